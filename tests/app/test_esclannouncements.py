"""Tests of app.esclannouncements on a Clock: which scanners are announced where, and when they are withdrawn."""

from ipaddress import ip_address
from types import SimpleNamespace

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from tests.bridge.frontends.escl.offers import DEFAULT, FULL
from wsdgateway.app.esclannouncements import HOLD_SECONDS, PAUSE, EsclAnnouncements, Place
from wsdgateway.app.esclcapabilities import READ_AGAIN
from wsdgateway.bridge.dnssd.others import OtherScanner
from wsdgateway.config.reading import make_config
from wsdgateway.dnssd.scannerservice import USCAN, USCANS
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.escl.offer import Offer
from wsdgateway.net.transport.localaddress import OpenPort

OFFER = Offer(FULL, DEFAULT, "Scan 1", "2nd floor")
OWN = "4509a320-00a0-008f-00b6-002507510eca"


class Offers:
    """The offer of a scanner, which `answer` makes known."""

    def __init__(self, offer):
        self.last, self.on_change, self.asked, self._waiting = offer, lambda: None, 0, []

    async def read(self, client):
        self.asked += 1
        if self.last is not None:
            return self.last
        self._waiting.append(Deferred())
        return await self._waiting[-1]

    def answer(self, offer):
        self.last, waiting, self._waiting = offer, self._waiting, []
        self.on_change()
        for one in waiting:
            one.callback(offer)


class Announced:
    """An announcer that keeps what is announced; others are announced by other hosts."""

    def __init__(self, reactor, interfaces, gateway, *, on_name, on_others, serves):
        self.interfaces, self.gateway, self.on_others, self.on_name = interfaces, gateway, on_others, on_name
        self.services, self.secured, self.left_out, self.by_others = {}, {}, {}, {}
        self.handed_over = []
        self.calls, self.running = 0, False

    def start(self):
        self.running = True

    def stop(self):
        self.running = False
        self.services.clear()
        return succeed(None)

    def announce(self, service, *, leave_out):
        self.calls += 1
        of_type = self.secured if service.secure else self.services
        of_type[service.scanner], self.left_out[service.scanner] = service, leave_out

    def withdraw(self, scanner, kind=None):
        for of_type, own in ((self.services, USCAN), (self.secured, USCANS)):
            if kind in (None, own):
                of_type.pop(scanner, None)

    def hand_over(self, scanner):
        self.handed_over.append(scanner)
        self.withdraw(scanner)

    def names(self, scanner):
        if scanner not in self.services:
            return {}
        return {one: self.services[scanner].name for one in self.interfaces if one not in self.left_out[scanner]}

    def others(self, interface):
        return frozenset(self.by_others.get(interface, ()))

    def hear(self, interface, *scanners):
        self.by_others[interface] = scanners
        self.on_others(interface, frozenset(scanners))


class Scanners:
    """Scanners, their ports, and the announcements of their gateway."""

    def __init__(self, **escl):
        self.clock, self.scanners, self.ports, self.tls_ports, self.made = Clock(), [], {}, {}, []
        self.listen = [OpenPort("0.0.0.0", 5357)]
        self.announcements = EsclAnnouncements(
            self.clock, self.config(**escl), self.scanners, lambda: SimpleNamespace(
                port=lambda name, secure=False: (self.tls_ports if secure else self.ports).get(name),
                serves=lambda interface, address: True),
            lambda: self.listen, seconds=self.clock.seconds, make_announcer=self._make)

    def _make(self, *arguments, **more):
        self.made.append(Announced(*arguments, **more))
        return self.made[-1]

    @staticmethod
    def config(interfaces=("eth0", "eth1"), suffix="", name="gw", gateway=None, **escl):
        return make_config({
            "gateway": {"name": name, **(gateway or {})}, "listen": [{"endpoint": "tcp:5357"}], "escl": escl,
            "discovery": {"client_interfaces": list(interfaces), "suffix": suffix}}, "g.toml")

    def add(self, name, friendly="Desk", *, offer=OFFER, here=True, escl=True):
        one = Scanner(name, friendly, Offers(offer), here, escl)
        one.offers.on_change = self.announcements.changed
        self.scanners.append(one)
        self.ports[name] = 8400 + len(self.ports)
        return one

    def start(self):
        self.announcements.start()
        return self.soon()

    def soon(self, seconds=PAUSE):
        self.clock.advance(seconds)
        return self

    def change(self):
        self.announcements.changed()
        return self.soon()

    @property
    def announced(self):
        return {name: one.name for name, one in self.made[-1].services.items()} if self.made else {}


class Scanner:
    """The properties of a bridged scanner that the announcements use."""

    def __init__(self, name, friendly, offers, here, escl):
        self.name, self.offers = name, offers
        self.options = SimpleNamespace(section=SimpleNamespace(escl=escl, uuid=None))
        self.monitor = SimpleNamespace(labels=Labels(friendly, "Maker", "1000"), endpoint=f"urn:uuid:{OWN}",
                                       places=lambda: {("192.0.2.20", 80), ("printer.example", 80)})
        self.stand_in = SimpleNamespace(is_hidden=False)
        self.is_there = here
        self.escl = self

    @property
    def endpoint(self):
        return self.monitor.endpoint

    @property
    def labels(self):
        return self.monitor.labels

    @property
    def is_here(self):
        return self.is_there and self.options.section.escl

    def goes(self):
        self.is_there = False

    def returns(self):
        self.is_there = True


@pytest.fixture
def scanners():
    return Scanners()


def test_a_scanner_and_its_service(scanners):
    scanners.add("a", "Front Desk")
    scanners.start()
    [announcer] = scanners.made
    assert (announcer.running, announcer.interfaces) == (True, ("eth0", "eth1"))
    service = announcer.services["a"]
    assert (service.name, service.port, service.note, service.admin_url) == (
        "Front Desk", 8400, "2nd floor", "http://{host}:5357/a")
    assert service.uuid == OFFER.capabilities(Labels(), f"urn:uuid:{OWN}", "", detects_paper=False).uuid
    assert scanners.announcements.places("a") == [Place("eth0", "Front Desk"), Place("eth1", "Front Desk")]
    scanners.change()
    assert announcer.calls == 1


@pytest.mark.parametrize(("ports", "url"), [
    ([], ""), ([OpenPort("0.0.0.0", 1, guarded=True)], ""), ([OpenPort("192.0.2.5", 2)], "http://{host}:2/a"),
    ([OpenPort("::", 3, secure=True), OpenPort("192.0.2.5", 2)], "https://{host}:3/a")])
def test_the_page_for_people(scanners, ports, url):
    scanners.listen = ports
    scanners.add("a")
    scanners.start()
    assert scanners.made[0].services["a"].admin_url == url


def test_it_goes_and_returns(scanners, said):
    one = scanners.add("a")
    scanners.start()
    one.goes()
    scanners.change()
    reason = "the scanner is not there, or not known yet"
    assert scanners.announced == {}
    assert scanners.announcements.places("a") == [Place("eth0", reason=reason), Place("eth1", reason=reason)]
    assert f"a: no longer announced to eSCL clients: {reason}" in "\n".join(said)
    one.returns()
    scanners.change()
    assert scanners.announced == {"a": "Desk"}
    assert one.offers.asked == 2


def test_a_port_that_closes(scanners):
    scanners.add("a")
    scanners.start()
    port = scanners.ports.pop("a")
    scanners.change()
    assert scanners.announced == {}
    assert scanners.announcements.places("a")[0].reason == "its port is not open"
    scanners.ports["a"] = port
    assert scanners.change().announced == {"a": "Desk"}


def test_a_port_with_tls(scanners):
    scanners.add("a")
    scanners.tls_ports["a"] = 8500
    announcer = scanners.start().made[0]
    plain, service = announcer.services["a"], announcer.secured["a"]
    assert (service.port, service.name, service.uuid, plain.port) == (8500, "Desk", plain.uuid, 8400)
    del scanners.tls_ports["a"]
    scanners.change()
    assert (announcer.secured, announcer.services["a"]) == ({}, plain)
    scanners.tls_ports["a"] = 8500
    scanners.change()
    scanners.scanners[0].goes()
    scanners.change()
    assert (announcer.secured, announcer.services) == ({}, {})


def test_a_scanner_that_is_removed_or_switched_off(scanners):
    one, other = scanners.add("a", "A"), scanners.add("b", "B")
    scanners.start()
    scanners.scanners.remove(one)
    other.options.section.escl = False
    scanners.change()
    assert scanners.announced == {}
    assert scanners.announcements.places("b")[0].reason == "escl is false"


def test_one_name_for_two(scanners):
    one, _ = scanners.add("a"), scanners.add("b")
    scanners.start()
    assert scanners.announced == {"a": "Desk (a)", "b": "Desk (b)"}
    one.monitor.labels = Labels("Hall", "Maker", "1000")
    assert scanners.change().announced == {"a": "Hall", "b": "Desk"}


def test_the_suffix_and_a_scanner_without_a_name():
    scanners = Scanners()
    scanners.add("a", "").monitor.labels = Labels()
    scanners.announcements.configure(scanners.config(suffix=" (gateway)"))
    assert scanners.start().announced == {"a": "a (gateway)"}


@pytest.mark.parametrize("other", [
    OtherScanner("Own", "p.local", OWN, frozenset()),
    OtherScanner("Own", "p.local", "", frozenset({ip_address("192.0.2.20")}))])
def test_a_scanner_that_another_host_announces(scanners, said, other):
    scanners.add("a")
    announcer = scanners.start().made[0]
    announcer.hear("eth1", other, OtherScanner("X", "x.local", "x", frozenset()))
    scanners.soon()
    assert announcer.left_out["a"] == {"eth1"}
    text = "another host announces the scanner there, as Own"
    assert scanners.announcements.places("a") == [Place("eth0", "Desk"), Place("eth1", reason=text)]
    scanners.change()
    assert said.count(f"a: not announced to eSCL clients on eth1: {text}") == 1
    announcer.hear("eth1")
    scanners.soon()
    assert announcer.left_out["a"] == frozenset()


def test_a_former_owner_does_not_keep_the_next_one_from_announcing():
    scanners = Scanners(gateway={"state": "redis://192.0.2.7"})
    scanners.add("a")
    announcer = scanners.start().made[0]
    announcer.hear("eth1", OtherScanner("Own", "wsdgw-0123456789ab.local", OWN, frozenset()))
    scanners.soon()
    assert announcer.left_out["a"] == frozenset()
    announcer.hear("eth1", OtherScanner("Own", "p.local", OWN, frozenset()))
    scanners.soon()
    assert announcer.left_out["a"] == {"eth1"}


def test_a_scanner_that_another_gateway_takes_over(scanners):
    scanners.add("a")
    announcer = scanners.start().made[0]
    del scanners.scanners[:]
    scanners.announcements.leave("a")
    scanners.announcements.leave("a")
    assert (announcer.handed_over, scanners.announced) == (["a"], {})
    assert scanners.change().announced == {}


def test_all_are_announced_together_after_a_start(scanners):
    scanners.add("a", "A")
    late = scanners.add("b", "B", offer=None)
    assert scanners.start().announced == {}
    late.offers.answer(OFFER)
    assert scanners.soon().announced == {"a": "A", "b": "B"}


def test_capabilities_that_cannot_be_read_are_asked_for_again(scanners, said):
    scanners.add("a", "A")
    mute = scanners.add("b", "B", offer=None)
    scanners.start()
    mute.offers.answer(None)
    assert "b: not announced to eSCL clients, because its capabilities could not be read" in "\n".join(said)
    assert scanners.soon().announced == {}
    scanners.soon(HOLD_SECONDS)
    assert scanners.soon().announced == {"a": "A"}
    assert scanners.announcements.places("b")[0].reason == "its capabilities have not been read yet"
    assert mute.offers.asked == 1
    scanners.soon(READ_AGAIN)
    scanners.soon()
    assert mute.offers.asked == 2
    mute.offers.answer(OFFER)
    assert scanners.soon().announced == {"a": "A", "b": "B"}


def test_capabilities_that_no_client_can_use(scanners):
    scanners.add("a", offer=Offer(attrs.evolve(FULL, sources={}), DEFAULT, ""))
    assert scanners.start().announced == {}
    assert scanners.announcements.places("a")[0].reason == "no eSCL client can use its sources and formats"


def test_changed_capabilities(scanners):
    one = scanners.add("a")
    announcer = scanners.start().made[0]
    one.offers.answer(attrs.evolve(OFFER, location="Hall"))
    scanners.soon()
    assert announcer.services["a"].note == "Hall"


def test_a_reload_switches_it_off_and_on(scanners):
    scanners.add("a")
    [first] = scanners.start().made
    scanners.announcements.configure(scanners.config(announce=False))
    scanners.soon()
    assert not first.running
    assert scanners.announcements.places("a")[0] == Place("eth0", reason="[escl] announce is false")
    scanners.announcements.configure(scanners.config())
    assert scanners.soon().announced == {"a": "Desk"}
    assert scanners.made[1:] and scanners.made[1].running


@pytest.mark.parametrize("settings", [{"announce": False}, {"interfaces": ()}])
def test_nothing_is_opened_if_nothing_is_to_be_announced(settings):
    scanners = Scanners(**settings)
    scanners.add("a")
    assert not scanners.start().made


def test_the_stop(scanners):
    scanners.add("a")
    [announcer] = scanners.start().made
    stopped = []
    Deferred.fromCoroutine(scanners.announcements.stop()).addCallback(lambda _: stopped.append(True))
    assert stopped == [True] and not announcer.running
    scanners.change()
    assert len(scanners.made) == 1 and not scanners.clock.getDelayedCalls()
