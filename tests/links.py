"""Both sides of discovery for tests, with a simulated clock and with links that only record sent messages."""

from ipaddress import ip_interface

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.wire import UUID
from wsdgateway.bridge.discovery.appsequences import AppSequences
from wsdgateway.bridge.discovery.presence import TYPES
from wsdgateway.discovery.messages import TargetService, read_message
from wsdgateway.net.discovery import links as discovery_module
from wsdgateway.net.discovery.client import DiscoveryClient
from wsdgateway.net.discovery.links import DiscoveryLinks
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.discovery.targetservices import TargetServices
from wsdgateway.net.transport.interfaces import Interface
from wsdgateway.net.transport.localaddress import OpenPort, local_base, url_of

LAN = Interface("lan", 2, (ip_interface("192.0.2.5/24"), ip_interface("fe80::5/64")))
VLAN = Interface("vlan", 3, (ip_interface("198.51.100.5/24"),))


class FakeLink:
    """A link that records each sent message: ("all" or "ask" or the recipient's address, message)."""

    def __init__(self, reactor, interface, version, *, has_own_port, on_datagram):
        self.interface, self.version, self.has_own_port, self.on_datagram = (
            interface, version, has_own_port, on_datagram)
        self.sent, self.failed, self.problem, self.closed = [], False, "no", False

    def announce(self, data):
        self.sent.append(("all", read_message(data)))

    def ask(self, data):
        assert self.has_own_port
        self.sent.append(("ask", read_message(data)))

    def answer(self, data, host, port):
        self.sent.append(((host, port), read_message(data)))

    def close(self):
        self.closed = True
        return succeed(None)

    def names(self):
        return [message.name for _, message in self.sent]


class StandIn:
    """An announced stand-in."""

    def __init__(self, name="front-desk", endpoint=UUID, scopes=()):
        self.name = name
        self.service = TargetService(endpoint, TYPES, scopes, (), 1)

    def path(self):
        return f"/{self.name}"


class DiscoverySetup:
    """The discovery of one gateway with fake links and a simulated clock."""

    def __init__(self, monkeypatch, *, clients=("lan",), devices=("vlan",), rate=1000.0, proxy=None, missing=(),
                 directed=(), allows=lambda *asked: True, sequences=None, **cluster):
        self.clock = Clock()
        self.interfaces = {"lan": LAN, "vlan": VLAN}
        self.dropped, self.counted, self.news, self.unanswered, self.links = [], [], [], [], {}
        self.numbers = iter(range(1, 1000000))
        self.missing = list(missing)
        self.open_ports = [OpenPort("::", 5357)]
        monkeypatch.setattr(discovery_module, "Link", self.link)
        parameters = MessageParameters(
            lambda: f"urn:uuid:own-{next(self.numbers)}", lambda: 0.5, rate)
        self.sequences = AppSequences(9) if sequences is None else sequences
        self.targets = TargetServices(
            self.clock, parameters, self.sequences, seconds=self.clock.seconds, answer_rate=20.0, base_on=self.base_on,
            proxy=proxy, on_dropped=self.dropped.append, allows=allows, **cluster)
        self.client = DiscoveryClient(
            self.clock, parameters, seconds=self.clock.seconds, period=60.0, directed=directed,
            is_own=self.is_own, missing=lambda: self.missing, on_unanswered=self.unanswered.append,
            on_address_change=lambda: self.news.append("address change"), on_news=self.news.append,
            on_dropped=self.dropped.append)
        self.discovery = DiscoveryLinks(
            self.clock, client_interfaces=clients, device_interfaces=devices, targets=self.targets, client=self.client,
            is_own=self.is_own, count=lambda side, name: self.counted.append((side, name)),
            on_dropped=self.dropped.append, read=lambda: self.interfaces)

    def is_own(self, message_id):
        return message_id.startswith("urn:uuid:own-")

    def link(self, reactor, interface, version, **more):
        made = FakeLink(reactor, interface, version, **more)
        self.links[interface.name, version] = made
        return made

    def base_on(self, link, client):
        client = client or next(str(one.ip) for one in link.interface.addresses if one.version == link.version)
        found = local_base(link.interface.addresses, client, self.open_ports)
        return None if found is None else url_of(found.interface, found.port, secure=found.secure)

    def start(self):
        self.discovery.startService()
        return self

    def pass_time(self, seconds):
        self.clock.pump([0.01] * round(seconds * 100))

    def say(self, where, data, host=None, port=50000, answer=False, version=4):
        host = host or {"lan": "192.0.2.77", "vlan": "198.51.100.20"}[where]
        link = self.links[where, version]
        link.on_datagram(link, data, host, port, answer)

    def answers(self, where="lan", version=4):
        return [(whom, message) for whom, message in self.links[where, version].sent if isinstance(whom, tuple)]
