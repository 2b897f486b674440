"""The stateful model of clients' subscriptions, with gateways that take over the scanner from each other.

An owner is killed at any moment: while events wait to be written, after they were answered with 202, and while they are
being delivered. What it had answered with 202 must reach each subscriber at least once, always with the same MessageID,
and in order; a ScanAvailableEvent is sent by one gateway at most.
"""

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.net.events.modelparts import NotificationExchange
from tests.net.events.sharedevents import SharedEvents
from tests.net.events.test_subscriptions_model import EPOCH, Model
from wsdgateway.net.events.eventrecord import EventRecord


@attrs.define(eq=False)
class Told:
    """An event that the scanner has sent, and the clients that must be given it once it has been answered."""

    name: str
    exchange: NotificationExchange
    clients: list
    is_press: bool = False


class TakeoverModel(Model):
    subscribe_again = renew = the_answer_is_lost = device_becomes = a_job_without_events_changes = None
    device_starts_again = process_is_stopped = None

    def __init__(self):
        self.shared = SharedEvents(lambda: EPOCH + self.now)
        self.told, self.senders, self.message_ids = [], {}, {}
        self.last_trouble = -10.0  # the time at which the shared server last did not answer
        self.waiting_since = None  # since then a write waits
        self.life = 0
        super().__init__()
        for kind, sink in (("all", "slow"), ("mixed", "slow"), ("mixed", "ok"), ("panel", "dead")):
            self.subscribe(kind, "PT900S")
            self.answer_everything()
            self.clients[-1].sink = sink

    def device_goes_or_comes(self, away):
        """The device is never away here."""

    def boot(self):
        self.life += 1
        self.shared.token = self.life
        super().boot()

    def record_of(self, scanner):
        return EventRecord(self.clock, scanner=scanner, token=self.life, past=self.shared.past(scanner).result,
                           shared=self.shared, on_fenced=lambda scanner: None)

    # The sinks.

    def sees(self, client, message):
        name = message.action.rpartition("/")[2]
        if name == "SubscriptionEnd":
            return
        event = next(element.text for element in message.body.iter() if element.tag.endswith(
            ("}JobId", "}ScanIdentifier")))
        if self.shared.mode == "answers" and any(told.name == event for told in self.told):
            assert self.message_ids.setdefault((client.number, event), message.message_id) == message.message_id
        if name == "ScanAvailableEvent":
            assert self.senders.setdefault((client.number, event), self.life) == self.life, "sent by two gateways"

    def arrive(self, client, event, sending):
        if sending.called:
            return
        if event in client.received:
            assert not any(told.is_press for told in self.told if told.name == event), "a press was received twice"
            client.received.remove(event)  # again, after a takeover
            client.received = [*client.received, event]
            client.received.sort(key=lambda one: int(one[1:]))
        else:
            client.received.append(event)
        client.failing_since = None
        sending.callback(202)

    # The scanner.

    def tell(self, name, notify_to, message, clients, *, is_press=False):
        """Sends an event to the owner, which answers it later; a press may be lost with its owner."""
        place = self.scanner.sink.place(notify_to.rpartition("/")[2])
        if place is None:
            return
        exchange = NotificationExchange(message)
        self.told.append(Told(name, exchange, [] if is_press else clients, is_press))
        place(exchange)
        self.expect()

    @rule(data=st.data())
    @precondition(lambda self: any(told.exchange.status is None for told in self.told))
    def the_scanner_sends_again(self, data):
        """Repeats a message that was not answered, at the gateway that owns the scanner now."""
        told = data.draw(st.sampled_from([told for told in self.told if told.exchange.status is None]))
        for notify_to, _, tokens in list(self.device.held.values()):
            if bool(tokens) is told.is_press and told.exchange.body is not None:
                self.tell(told.name, notify_to, told.exchange.body, told.clients, is_press=told.is_press)
                break

    def expect(self):
        """Notes which events have been answered with 202, and must arrive."""
        if not self.shared.waiting:
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = self.now
        if self.shared.mode == "fails" or (self.waiting_since or self.now) < self.now:
            self.last_trouble = self.now
        for told in [told for told in self.told if told.exchange.status == 202 and told.clients]:
            assert self.now - self.last_trouble < 2.0 or self.is_written(told.name), "answered before it was written"
            for client in told.clients:
                if client.state == "live" and told.name not in client.expected:
                    client.expected.append(told.name)
            told.clients = []

    # The shared server.

    @rule(mode=st.sampled_from(["answers", "answers", "waits", "fails"]))
    def the_server_becomes(self, mode):
        self.shared.mode = mode
        if mode == "answers":
            while self.shared.waiting:
                self.shared.answer()
        self.expect()

    @rule(fate=st.sampled_from(["done", "done", "not done", "answer lost"]))
    @precondition(lambda self: self.shared.waiting)
    def the_server_answers(self, fate):
        if fate != "done":
            self.last_trouble = self.now
        if fate == "not done":
            self.shared.refuse()
        else:
            self.shared.answer(arrives=fate == "done")
        self.expect()

    # Takeovers.

    def lose_events_in_transit(self):
        self.slow.clear()
        for client in self.clients:
            client.failing_since = None
            if client.state in ("asking", "leaving"):
                client.state = "unsure"
                client.expires_at = 0.0

    @rule(is_done=st.booleans())
    def process_is_killed(self, is_done):
        """Kills the owner; its last writes may still have been made."""
        while self.shared.waiting:
            if is_done:
                self.shared.waiting[0][2]()
            self.shared.waiting.pop(0)
        self.excuse_what_is_not_written()
        super().process_is_killed()

    def excuse_what_is_not_written(self):
        """Drops what was answered while the server was silent: that is lost with its gateway."""
        for client in self.clients:
            client.expected = [one for one in client.expected if one in client.received or self.is_written(one)]

    def is_written(self, name):
        return any(f">{name}<".encode() in event.data for event in self.shared.events)

    @invariant()
    def answers_are_noted(self):
        self.expect()

    def answer_everything(self):
        self.shared.mode = "answers"
        while self.shared.waiting:
            self.shared.answer()
        super().answer_everything()
        self.expect()


TestTakeovers = TakeoverModel.TestCase
TestTakeovers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None,
                                  suppress_health_check=list(HealthCheck))
