"""Stateful model of clients' subscriptions: each live matching subscriber gets each event once, and none after its end.

The model has one running scanner, as in the process, with a clock, a device, a store and sinks that it controls: each
answer, each write and each delivery happens when the model says so. In between the process is killed or stopped, and
the device restarts. What had been answered must hold after that.
"""

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock

from tests.messages import SCAN, envelope, manage, status_event, subscribe
from tests.net.events.modelparts import GRANT, SILENT, Device, NotificationExchange, StatusReads, Store
from tests.options import scanner_options
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import no_quotas
from wsdgateway.bridge.decisions import Answer
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.context import Context
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSCN, WSE
from wsdgateway.storage.memory import MemoryStore

W, A, S = f"{{{WSE}}}", f"{{{WSA}}}", f"{{{WSCN}}}"
AVAILABLE = f"{SCAN}/ScanAvailableEvent"
GIVE_UP, EPOCH = 120.0, 1.8e9
KINDS = {"all": {}, "status": {"events": ["JobStatusEvent"]}, "other": {"events": ["ScannerStatusSummaryEvent"]},
         "panel": {"events": ["ScanAvailableEvent"]}, "mixed": {"events": ["ScanAvailableEvent", "JobStatusEvent"]}}


@attrs.define(eq=False)
class Client:
    """A subscription as its client knows it.

    `state` is one of: asking, live, leaving, unsure (the client got no answer), over.
    """

    number: int
    kind: str
    state: str = "asking"
    identifier: str = ""
    expires_at: float = 0.0
    given: dict = attrs.field(factory=dict)
    expected: list = attrs.field(factory=list)
    received: list = attrs.field(factory=list)
    sink: str = "ok"
    failing_since: float | None = None

    @property
    def on_panel(self):
        return self.kind in ("panel", "mixed")

    def wants(self, event):
        return self.kind == "all" or (event == "JobStatusEvent" and self.kind in ("status", "mixed")) or (
            event == "ScannerStatusSummaryEvent" and self.kind == "other")


@attrs.frozen
class LivingDevice:
    """The device as one process reaches it; requests of a killed process have no effect."""

    model: "Model"
    life: Clock

    def own(self, *request):
        return self.model.device.own(*request) if self.life is self.model.clock else Deferred()


class Model(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.device, self.kept = Device(), MemoryStore(10)
        self.clients, self.slow, self.events, self.now = [], [], 0, 0.0
        self.stored = set()
        self.secrets = 0
        self.waiting_for_silent = []  # clients that must be told the last state of the job without events
        self.killed = []  # objects of a killed process must not act when they are collected
        self.boot()

    # The process.

    def boot(self):
        self.killed.append(vars(self).get("scanner"))
        self.clock = Clock()
        self.clock.rightNow = self.now
        self.store = Store(self.kept)
        self.ids = 0
        policy = SinkPolicy(None, (), lambda: [("192.0.2.5", 5357)])
        self.scanner = BridgedScanner(
            scanner_options("s", scan="http://192.0.2.20/scan", client_retry=GIVE_UP, expires=GRANT, client_queue=1000),
            Context(self.clock, self.clock.seconds, lambda: EPOCH + self.clock.seconds(), self.new_id, Metrics(),
                         ExchangeLog(), self.store, Permission(), no_quotas(), policy, self, None, lambda name: None,
                         lambda uuid: None, self.base, lambda *_: None, lambda *_: succeed(None),
                         TimeSlices(self.clock, self.clock.seconds), lambda: 0.5, self.secret,
                         record_of=self.record_of))
        life = self.clock
        # Requests of a killed process have no effect.
        self.scanner.requests.send_by = lambda _, *request, begun=None: (
            self.device.own(*request) if life is self.clock else Deferred())
        self.scanner.device.peers = {"192.0.2.20"}
        self.scanner.polling.requests = StatusReads(self.scanner, LivingDevice(self, life), self.clock)
        self.scanner.take_over()
        self.scanner.restore(self.kept.subscriptions().result, self.kept.held().result)
        self.scanner.start()

    def record_of(self, scanner):
        """No record: the model has one gateway."""

    def new_id(self):
        self.ids += 1
        return f"urn:uuid:{self.now}-{self.ids}"

    def secret(self, count):
        self.secrets += 1
        return self.secrets.to_bytes(count)

    async def base(self, device, zone):
        return "http://192.0.2.5:5357"

    def wall(self):
        return EPOCH + self.clock.seconds()

    def is_live(self, client):
        return client.state in ("live", "leaving") and client.expires_at > self.wall()

    # The sinks.

    def when_begun(self, scanner, call):
        """Calls back at once: no sink waits for another one."""
        call()

    def send(self, scanner, sink, message):
        """Stands in for the connections to sinks."""
        envelope = read(message)
        client = self.clients[int(sink.reference.address.rpartition("/")[2])]
        self.sees(client, envelope)
        assert envelope.header.findtext("Number") == str(client.number)
        assert envelope.to == sink.reference.address
        sending = Deferred()
        if envelope.action.endswith("SubscriptionEnd"):
            assert client.state in ("over", "unsure") or self.wall() - client.failing_since >= GIVE_UP
            sending.callback(202)
            return sending
        assert client.state not in ("over",), "notified after its end"
        assert client.state == "unsure" or client.state == "asking" or client.expires_at > self.wall()
        event = next(element.text for element in envelope.body.iter(f"{S}JobId", f"{S}ScanIdentifier"))
        if event == SILENT:
            event = envelope.body.findtext(f".//{S}JobStateReason")
        if client.sink == "ok":
            self.arrive(client, event, sending)
        elif client.sink == "dead":
            client.failing_since = self.wall() if client.failing_since is None else client.failing_since
            sending.errback(ConnectionRefusedError())
        else:
            self.slow.append((client, event, sending))
        return sending

    def sees(self, client, envelope):
        """Nothing more is checked of the message."""

    def arrive(self, client, event, sending):
        if sending.called:
            return
        assert event not in client.received, "notified twice"
        client.received.append(event)
        client.failing_since = None
        sending.callback(202)

    # Actions of clients.

    def ask(self, message, then):
        request = route(message, Endpoint.SCAN, client="192.0.2.7", host=b"")
        asking = Deferred.fromCoroutine(self.scanner.source.answer(request, "http://192.0.2.5:5357", lambda: False))
        life = self.clock
        asking.addCallback(lambda result: then(*result) if self.clock is life else None)
        failures = []
        asking.addErrback(failures.append)
        assert not failures, failures

    @rule(kind=st.sampled_from(sorted(KINDS)), expires=st.sampled_from(["PT40S", "PT900S", None]))
    def subscribe(self, kind, expires):
        client = Client(len(self.clients), kind)
        self.clients.append(client)
        url = f"http://192.0.2.7/{client.number}"
        destinations = [("ctx", "Name"), (str(client.number), "Mine")] if client.on_panel else ()

        def then(decision, source):
            if not isinstance(decision, Answer):
                client.state = "over"
                return
            answer = read(decision.body)
            client.state = "live"
            client.identifier = answer.body.findtext(f"{W}SubscriptionManager/{A}ReferenceParameters/{W}Identifier")
            client.expires_at = self.table()[client.identifier].expires_at
            client.given = dict(read_tokens(answer.body))
            assert (len(client.given) == 2) is client.on_panel

        self.ask(subscribe(url, end_to=url, expires=expires, destinations=destinations,
                           parameters=f"<Number>{client.number}</Number>", **KINDS[kind]), then)

    @rule(data=st.data())
    def subscribe_again(self, data):
        """Subscribes the same names for the same sink again, as some clients do every minute."""
        live = [client for client in self.clients
                if client.on_panel and client.state == "live" and self.is_live(client)]
        if not live:
            return
        client = data.draw(st.sampled_from(live))
        client.state = "leaving"

        def then(decision, source):
            if not isinstance(decision, Answer):
                client.state = "live" if client.identifier in self.table() else "over"
                return
            answer = read(decision.body)
            former, client.state = client.identifier, "live"
            client.identifier = answer.body.findtext(f"{W}SubscriptionManager/{A}ReferenceParameters/{W}Identifier")
            client.expires_at = self.table()[client.identifier].expires_at
            assert former not in self.table()
            given = dict(read_tokens(answer.body))
            assert given == client.given or client.expires_at > self.wall()
            client.given = given

        url = f"http://192.0.2.7/{client.number}"
        self.ask(subscribe(url, end_to=url, destinations=[("ctx", "Name"), (str(client.number), "Mine")],
                           parameters=f"<Number>{client.number}</Number>", **KINDS[client.kind]), then)

    def table(self):
        return {f"urn:uuid:{one.identifier}": one for one in self.scanner.bridge.subscriptions.all()}

    def some(self, data):
        live = [client for client in self.clients if client.state == "live" and self.is_live(client)]
        return data.draw(st.sampled_from(live)) if live else None

    @rule(data=st.data(), expires=st.sampled_from(["PT20S", "PT900S"]))
    def renew(self, data, expires):
        client = self.some(data)
        if client is None:
            return
        before, client.state = client.expires_at, "leaving"
        client.expires_at = min(before, self.wall() + float(expires[2:-1]))

        def then(decision, source):
            assert isinstance(decision, Answer)
            client.state = "live"
            client.expires_at = self.table()[client.identifier].expires_at

        self.ask(manage("Renew", client.identifier, expires=expires), then)

    @rule(data=st.data())
    def unsubscribe(self, data):
        client = self.some(data)
        if client is None:
            return
        client.state = "leaving"

        def then(decision, source):
            assert isinstance(decision, Answer)
            client.state = "over"

        self.ask(manage("Unsubscribe", client.identifier), then)

    @rule(data=st.data(), sink=st.sampled_from(["ok", "dead", "slow"]))
    def sink_becomes(self, data, sink):
        client = self.some(data)
        if client is not None:
            client.sink = sink

    @rule()
    @precondition(lambda self: self.slow)
    def slow_sink_answers(self):
        self.arrive(*self.slow.pop(0))

    # Actions of the device.

    @rule(place=st.integers(0, 5))
    @precondition(lambda self: self.device.queue)
    def device_answers(self, place):
        self.device.answer(place % len(self.device.queue))

    @rule(place=st.integers(0, 5))
    @precondition(lambda self: self.device.queue)
    def the_answer_is_lost(self, place):
        self.device.answer(place % len(self.device.queue), arrives=False)

    @rule(renews=st.booleans(), readable=st.booleans())
    def device_becomes(self, renews, readable):
        self.device.renews, self.device.readable = renews, readable

    @rule(count=st.integers(1, 5))
    @precondition(lambda self: self.store.queue)
    def store_writes(self, count):
        self.store.write(count)

    def new_event(self):
        """The name of the next event: it stands where the JobId or the ScanIdentifier would."""
        self.events += 1
        return f"e{self.events}"

    def tell(self, name, notify_to, message, clients, *, is_press=False):
        """Sends an event to the gateway, which answers it; then these clients are to receive it."""
        place = self.scanner.sink.place(notify_to.rpartition("/")[2])
        if place is None:
            return
        exchange = NotificationExchange(message)
        place(exchange)
        assert exchange.status == 202
        for client in clients:
            client.expected.append(name)

    @rule(event=st.sampled_from(["JobStatusEvent", "ScannerStatusSummaryEvent"]))
    def device_tells(self, event):
        name = self.new_event()
        message = status_event(name, message_id=f"urn:uuid:{name}")
        if event == "ScannerStatusSummaryEvent":
            message = envelope(f"{SCAN}/{event}", f"<wscn:{event}><wscn:JobId>{name}</wscn:JobId></wscn:{event}>",
                               message_id=f"urn:uuid:{name}")
        listening = [client for client in self.clients if client.state == "live" and self.is_live(client)
                     and client.wants(event)]
        for notify_to, actions, _ in list(self.device.held.values()):
            if f"{SCAN}/{event}" in actions:
                self.tell(name, notify_to, message, listening)

    @rule(data=st.data())
    @precondition(lambda self: any(tokens for _, _, tokens in self.device.held.values()))
    def button_is_pressed(self, data):
        notify_to, _, tokens = data.draw(st.sampled_from([one for one in self.device.held.values() if one[2]]))
        name = self.new_event()
        owner = self.clients[int(next(context for context in tokens if context != "ctx"))]
        self.tell(name, notify_to, envelope(AVAILABLE, (
            f"<wscn:ScanAvailableEvent><wscn:ClientContext>ctx</wscn:ClientContext><wscn:ScanIdentifier>{name}"
            "</wscn:ScanIdentifier></wscn:ScanAvailableEvent>"), message_id=f"urn:uuid:{name}"),
            [owner] if owner.state == "live" and self.is_live(owner) else [], is_press=True)

    @rule(creates=st.booleans())
    def a_job_without_events_changes(self, creates):
        """Changes a job of which only answers tell; a client creates it through the gateway, or an image passes."""
        table = self.scanner.bridge.table
        if creates and not self.device.silent_changes:
            table.created(SILENT, table.moment())
        self.device.silent_changes += 1
        if len(self.killed) == 1:  # a later process does not tell the state in which it finds the job
            self.waiting_for_silent = [client for client in self.clients if client.state == "live" and self.is_live(
                client) and client.wants("JobStatusEvent")]
        table.gave_image(SILENT)
        self.scanner.polling.look()

    @rule()
    def device_starts_again(self):
        self.device.held.clear()

    @rule(away=st.booleans())
    def device_goes_or_comes(self, away):
        """Makes the device fail requests at once, as with an open circuit breaker, or answer again."""
        self.device.away = away
        while away and self.device.queue:
            done, _ = self.device.queue.pop(0)
            done.errback(Unavailable("192.0.2.20", "it is away"))
        if not away:
            self.scanner.recovered(True)

    # Time, and the end of the process.

    @rule(seconds=st.sampled_from([0.5, 5.0, 15.0, 45.0]))
    def time_passes(self, seconds):
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.now = self.clock.seconds()
            self.expire_subscriptions()

    def expire_subscriptions(self):
        """Updates the clients whose subscriptions have expired."""
        self.device.expire(self.now)
        for client in self.clients:
            if client.state == "live" and client.expires_at <= self.wall():
                client.state = "over"
            elif client.state == "leaving" and client.expires_at <= self.wall():
                client.state = "unsure"

    def lose_events_in_transit(self):
        """Drops events in transit, which do not survive the process; clients without an answer become unsure."""
        self.slow.clear()
        self.waiting_for_silent.clear()
        for client in self.clients:
            client.expected = list(client.received)
            client.failing_since = None
            if client.state in ("asking", "leaving"):
                client.state = "unsure"
                client.expires_at = 0.0

    @rule()
    def process_is_killed(self):
        self.killed.append((self.store, self.device.queue))
        self.device.queue = []
        kept = {held.notify_to for held in self.kept.held().result}
        for identifier, (notify_to, _, _) in list(self.device.held.items()):
            if notify_to not in kept:
                assert notify_to not in self.stored, "the store forgot a subscription before it was ended"
                del self.device.held[identifier]  # the gateway never knew of it, so it expires by itself
        self.lose_events_in_transit()
        self.boot()

    @rule()
    def process_is_stopped(self):
        self.device.away = False
        self.store.write(10000)
        self.scanner.subscribers.notifier.stop()
        stopping = Deferred.fromCoroutine(self.scanner.stop())
        self.lose_events_in_transit()
        for _ in range(1000):
            if stopping.called and not self.store.queue:
                break
            self.store.write(10000)
            if self.device.queue:
                self.device.answer()
            self.clock.advance(0)
        assert stopping.called
        kept = {held.notify_to for held in self.kept.held().result}
        assert all(notify_to in kept or identifier in self.device.unheard
                   for identifier, (notify_to, _, _) in self.device.held.items()), "neither ended nor stored"
        self.boot()

    # Invariants.

    @invariant()
    def what_was_answered_holds(self):
        self.expire_subscriptions()
        self.stored |= {held.notify_to for held in self.kept.held().result}
        table = self.table()
        for client in self.clients:
            if client.state != "live":
                continue
            held = table.get(client.identifier)
            if held is None:
                since = client.failing_since
                assert since is not None and self.wall() - since >= GIVE_UP, "subscription ended too early"
                client.state = "over"
                continue
            assert held.expires_at == client.expires_at
            assert {token.context: token.given for token in held.tokens} == client.given
        given = [token.given for held in table.values() for token in held.tokens]
        assert len(given) == len(set(given))

    @invariant()
    def the_scanner_holds_one_subscription_for_each_purpose(self):
        purposes = self.device.purposes()
        assert len(purposes) == len(set(purposes)), purposes

    @invariant()
    def events_arrive_in_order(self):
        for client in self.clients:
            for kind in "em":
                numbers = [int(event[1:]) for event in client.received if event.startswith(kind)]
                assert numbers == sorted(numbers)
            if client.state == "live":
                wanted = set(client.expected)
                assert [event for event in client.received if event in wanted] == [
                    event for event in client.expected if event in set(client.received)]

    def answer_everything(self):
        while self.device.queue or self.store.queue or self.slow:
            self.store.write(10000)
            if self.device.queue:
                self.device.answer()
            if self.slow:
                self.arrive(*self.slow.pop(0))
            self.clock.advance(0)

    @rule()
    def everything_settles(self):
        self.device_goes_or_comes(away=False)
        self.device.readable = True
        for client in self.clients:
            client.sink = "ok"
        if not self.table():
            self.scanner.subscriptions.own.doubted()  # without subscribers the gateway does not check its subscription
        for _ in range(2 * 700):
            self.answer_everything()
            self.clock.advance(0.5)
            self.now = self.clock.seconds()
            self.expire_subscriptions()
        self.answer_everything()
        self.what_was_answered_holds()
        for client in self.clients:
            if client.state == "live":
                assert set(client.expected) <= set(client.received), "an event is missing"
                if client in self.waiting_for_silent:
                    assert f"m{self.device.silent_changes}" in client.received, "a made event is missing"
        self.check_the_panel()

    def check_the_panel(self):
        """Checks that each live client's names are on the panel once, with valid tokens, and no other names."""
        table = self.table()
        owners = [next(context for context in tokens if context != "ctx")
                  for _, _, tokens in self.device.held.values() if tokens]
        assert sorted(owners) == sorted({str(self.number_of(held)) for held in table.values() if held.panel})
        assert len(self.device.held) == len(owners) + 1
        current = {token: context for _, _, tokens in self.device.held.values() for context, token in tokens.items()}
        for client in self.clients:
            if client.state == "live" and client.on_panel:
                for context, given in client.given.items():
                    _, token = self.scanner.bridge.subscriptions.token(given)
                    assert current[token.current] == context
        assert {one.identifier for one in self.kept.subscriptions().result} == {
            one.identifier for one in table.values()}
        assert {held.identifier for held in self.kept.held().result} == {
            "", *(one.identifier for one in table.values() if one.panel)}

    @staticmethod
    def number_of(held):
        return int(held.notify_to.reference.address.rpartition("/")[2])

    def teardown(self):
        self.everything_settles()


TestSubscriptions = Model.TestCase
TestSubscriptions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None,
                                      suppress_health_check=list(HealthCheck))


