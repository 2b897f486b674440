"""A model of the registration at a scanner: reloads, kills, reboots, outages, and scanners that take no list.

No name is ever twice on the panel, and when the scanner can be reached again, it shows the names of the configuration.
"""

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.messages import envelope, fault
from tests.net.events.eventsource import EXPIRES, Scanner, Subscriber
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.destinations.registering import entries_for, is_own
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.net.destinations.registration import Registration
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.unsubscribing import Unsubscribing
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.scan.destinations import read_destinations
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

NAMES = ("Mail", "Archive", "Paperless", "Script")
SETTLED = 2 * EXPIRES


class PanelScanner(Scanner):
    """A scanner with a panel. `takes`: "list", "single" (it refuses a list), or "first" (it registers the first)."""

    def __init__(self, clock, takes):
        super().__init__(clock)
        self.takes, self.names, self.tokens = takes, {}, {}

    async def send(self, url, operation, body):
        destinations = read_destinations(read(body).body) if operation.name == "Subscribe" else None
        listed = [] if destinations is None else list(destinations.listed)
        if len(listed) > 1 and self.takes == "single" and "Subscribe" not in self.fails:
            return Reply(500, b"application/soap+xml", fault("wse:InvalidMessage", code="Sender"))
        count = self.count
        reply = await super().send(url, operation, body)
        if self.count > count:
            identifier = f"urn:uuid:{self.count}"
            kept = listed[:1] if self.takes == "first" else listed
            self.names[identifier] = [name for _, name in kept]
            self.tokens[identifier] = {context: f"{self.count}-{context}" for context, _ in kept}
            tokens = "".join(f"<wscn:DestinationResponse><wscn:ClientContext>{context}</wscn:ClientContext>"
                             f"<wscn:DestinationToken>{token}</wscn:DestinationToken>"
                             "</wscn:DestinationResponse>" for context, token in self.tokens[identifier].items())
            reply = Reply(200, b"application/soap+xml", envelope(f"{WSE}/SubscribeResponse", (
                f"<wse:SubscribeResponse><wse:SubscriptionManager>{self.address()}<wsa:ReferenceParameters>"
                f"<wse:Identifier>{identifier}</wse:Identifier></wsa:ReferenceParameters></wse:SubscriptionManager>"
                f"<wse:Expires>PT{EXPIRES:.0f}S</wse:Expires><wscn:DestinationResponses>{tokens}"
                "</wscn:DestinationResponses></wse:SubscribeResponse>")))
        return reply

    def current(self):
        """The token of each context on the panel."""
        return {context: token for identifier in self.held for context, token in self.tokens[identifier].items()}

    def shown(self):
        return sorted(name for identifier in self.held for name in self.names[identifier])


class Gateway(Subscriber):
    """The gateway's destinations, with a store that outlives the process."""

    def __init__(self, takes):
        super().__init__()
        self.scanner = PanelScanner(self.clock, takes)
        self.names = ()
        self.run()

    def run(self):
        self.begin()
        bridge = ScannerBridge(ScannerOptions(ScannerConfig("front-desk")), new_id=self.new_id)
        self.panel = ScanDestinations(self.clock, bridge, self.store, bytes, lambda: None)
        self.panel.client = attrs.evolve(self.client, end_elsewhere=self.end)
        self.registration = Registration("front-desk", self.panel, on_lost=lambda: None, on_granted=lambda: None)
        self.registration.configure(entries_for("gw", self.names))
        self.registration.begin([one for one in self.store.held().result if is_own(one.identifier)])

    def end(self, held):
        """Ends a subscription of an earlier start, for which there is no object."""
        ending = Unsubscribing(self.client, held.identifier)
        self.panel.add_ending(ending)
        ending.end_held(held)

    def configure(self, names):
        self.names = names
        self.registration.configure(entries_for("gw", names))

    def kill(self):
        for held in self.registration.hand_off():
            assert held is not None
        for one in self.panel.ending:
            one.give_up()
        self.run()


class Registrations(RuleBasedStateMachine):
    """The model."""

    def __init__(self):
        super().__init__()
        self.gateway = None

    @precondition(lambda self: self.gateway is None)
    @rule(takes=st.sampled_from(["list", "single", "first"]))
    def start(self, takes):
        self.gateway = Gateway(takes)

    @precondition(lambda self: self.gateway is not None)
    @rule(names=st.lists(st.sampled_from(NAMES), unique=True).map(tuple))
    def reload(self, names):
        self.gateway.configure(names)

    @precondition(lambda self: self.gateway is not None)
    @rule()
    def kill(self):
        gateway = self.gateway
        registration, scanner = gateway.registration, gateway.scanner
        is_settled = registration.state == "subscribed" and len(registration.tokens) == len(gateway.names) and (
            registration.tokens == scanner.current() and not gateway.panel.ending)
        asked, answers = len(scanner.requests), not scanner.fails and not scanner.refuses
        gateway.kill()
        if is_settled and answers:
            assert {name for _, _, name, _ in scanner.requests[asked:]} == {"Renew"}
            assert gateway.registration.tokens == scanner.current()

    @precondition(lambda self: self.gateway is not None)
    @rule()
    def reboot(self):
        self.gateway.scanner.held.clear()
        self.gateway.registration.recovered(was_away=True)

    @precondition(lambda self: self.gateway is not None)
    @rule()
    def go_away(self):
        error = Unavailable("192.0.2.20", "it is away")
        self.gateway.scanner.fails = dict.fromkeys(("Subscribe", "Renew", "Unsubscribe"), error)

    @precondition(lambda self: self.gateway is not None)
    @rule(refuses=st.booleans())
    def come_back(self, refuses):
        self.gateway.scanner.fails = {}
        self.gateway.scanner.refuses = {"Renew"} if refuses else set()
        self.gateway.registration.recovered(was_away=True)
        self.gateway.panel.recovered(was_away=True)

    @precondition(lambda self: self.gateway is not None)
    @rule(seconds=st.sampled_from([1.0, 15.0, 400.0]))
    def wait(self, seconds):
        self.gateway.pass_time(seconds, min(seconds, 5.0))

    @invariant()
    def no_name_is_shown_twice(self):
        if self.gateway is not None:
            shown = self.gateway.scanner.shown()
            assert len(shown) == len(set(shown)), shown

    @invariant()
    def every_name_has_its_current_token(self):
        if self.gateway is None:
            return
        registration = self.gateway.registration
        assert set(registration.tokens) <= {entry.context for entry in entries_for("gw", self.gateway.names)}

    def teardown(self):
        if self.gateway is None:
            return
        self.come_back(False)
        self.gateway.pass_time(SETTLED, 20.0)
        assert self.gateway.scanner.shown() == sorted(self.gateway.names)
        assert self.gateway.registration.tokens == self.gateway.scanner.current()
        assert len(self.gateway.registration.tokens) == len(self.gateway.names)
        stopping = []
        from twisted.internet.defer import Deferred

        Deferred.fromCoroutine(self.gateway.registration.stop()).addCallback(stopping.append)
        self.gateway.pass_time(20.0)
        assert (self.gateway.scanner.shown(), stopping) == ([], [None])
        assert not [one for one in self.gateway.store.held().result if is_own(one.identifier)]


Registrations.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestRegistrations = Registrations.TestCase
