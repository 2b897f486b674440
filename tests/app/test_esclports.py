"""Tests of app.esclports on a Clock: the ports follow the addresses of this host."""

from ipaddress import ip_interface
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock

from tests.app.test_escl import SIDES, config
from wsdgateway.app.assignedports import AssignedPorts
from wsdgateway.app.esclports import EsclPorts
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.net.transport.interfaces import POLL_SECONDS, Interface
from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.memory import MemoryStore


class Host:
    """A gateway's eSCL ports on a host whose interfaces change."""

    def __init__(self, *endpoints, **sections):
        self.reactor = MemoryReactorClock()
        self.interfaces = {"eth0": Interface("eth0", 2, (ip_interface("192.0.2.5/24"),))}
        self.changes = []
        self.ports = EsclPorts(self.reactor, self.reactor, config(*endpoints, **sections), SimpleNamespace(), None,
                               {"a": ScannerConfig("a")}, AssignedPorts(MemoryStore(10)), lambda host: None,
                               wall=lambda: 0.0, read=lambda: self.interfaces)
        self.ports.on_change = lambda: self.changes.append(len(self.opened))
        Deferred.fromCoroutine(self.ports.load())

    def set(self, name, index, *addresses):
        self.interfaces = {**self.interfaces, name: Interface(name, index, tuple(map(ip_interface, addresses)))}
        self.reactor.pump([POLL_SECONDS, 0])

    def remove(self, name):
        self.interfaces = {known: one for known, one in self.interfaces.items() if known != name}
        self.reactor.pump([POLL_SECONDS, 0])

    @property
    def opened(self):
        return [one.endpoint.partition("interface=")[2].replace("\\", "") for one in self.ports.listeners]


@pytest.fixture
def host():
    return Host("tcp:5357", "tcp6:5358", discovery=SIDES)


def test_an_address_that_appears_later(host):
    assert host.opened == ["192.0.2.5"]
    host.set("eth0", 2, "192.0.2.5/24", "fe80::5/64")
    assert host.opened == ["192.0.2.5", "fe80::5%eth0"]
    host.set("wlan0", 4, "203.0.113.5/24")
    host.set("eth1", 3, "198.51.100.5/24", "fe80::6/64")  # on the scanners' side
    assert host.opened == ["192.0.2.5", "fe80::5%eth0", "203.0.113.5"]


def test_an_address_that_changes(host):
    [first] = host.ports.listeners
    host.set("eth0", 2, "192.0.2.6/24")
    assert host.opened == ["192.0.2.6"]
    assert first.port is None and host.changes
    host.remove("eth0")
    assert host.opened == [] and host.ports.url("a") is None
    host.set("eth0", 2, "192.0.2.5/24")
    assert host.opened == ["192.0.2.5"]


def test_a_link_local_address_on_an_interface_that_was_made_again(host):
    host.set("eth0", 2, "fe80::5/64")
    [first] = host.ports.listeners
    host.set("eth0", 9, "fe80::5/64")
    [second] = host.ports.listeners
    assert first is not second and first.port is None


def test_other_ports_stay_open(host):
    [first] = host.ports.listeners
    host.set("eth0", 2, "192.0.2.5/24", "192.0.2.6/24")
    assert host.ports.listeners[0] is first


def test_all_addresses_at_once():
    host = Host("tcp6:5357")
    host.set("eth0", 2, "192.0.2.6/24")
    assert host.opened == ["::"]


def test_the_stop_ends_the_watch(host):
    Deferred.fromCoroutine(host.ports.stop())
    host.set("eth0", 2, "192.0.2.6/24")
    assert host.opened == [] and not host.reactor.getDelayedCalls()


class SharedStore:
    """The ports in a store that gateways share. While it is `away`, nothing can be written."""

    def __init__(self):
        self.ports, self.away, self.asked = {}, False, []

    def escl_ports(self):
        return succeed(dict(self.ports))

    def keep_escl_port(self, scanner, port, former, loser):
        self.asked.append((scanner, port, former, loser))
        if self.away:
            return fail(NotNow("away"))
        others = [known for known, one in self.ports.items() if one == port and known not in (scanner, loser)]
        if others or self.ports.get(scanner) not in (former, port):
            return succeed(False)
        self.ports.pop(loser, None)
        self.ports[scanner] = port
        return succeed(True)


class Member:
    """The eSCL ports of one of several gateways, which owns some of the scanners."""

    def __init__(self, store, *owned, scanners=("a", "b"), ports=("8400-8402"), fixed=()):
        self.reactor = MemoryReactorClock()
        self.owned, self.known = set(owned), {name: ScannerConfig(name, escl_port=dict(fixed).get(name))
                                              for name in scanners}
        assigned = AssignedPorts(store)
        assigned.may_assign = lambda name: name in self.owned
        assigned.is_known_elsewhere = lambda name: True
        self.ports = EsclPorts(
            self.reactor, self.reactor, config("tcp:5357", discovery=SIDES, escl={"ports": ports}), SimpleNamespace(),
            None, self.known, assigned, lambda host: None, wall=lambda: 0.0,
            read=lambda: {"eth0": Interface("eth0", 2, (ip_interface("192.0.2.5/24"),))})
        Deferred.fromCoroutine(self.ports.load())

    def turn(self):
        self.reactor.pump([0, 0, 0])

    def refresh(self):
        Deferred.fromCoroutine(self.ports.refresh())
        self.turn()

    def own(self, *names):
        self.owned.update(names)
        self.ports.changed()
        self.turn()

    @property
    def opened(self):
        """The open port of each scanner."""
        return {name: port for name in self.known if (port := self.ports.port(name)) is not None}


def test_only_the_owner_assigns_a_port():
    store = SharedStore()
    one, two = Member(store), Member(store)
    assert one.opened == two.opened == store.ports == {}
    one.own("a")
    assert one.opened == store.ports == {"a": 8400} and two.opened == {}
    two.refresh()
    assert two.opened == {"a": 8400}


def test_two_owners_that_do_not_know_of_each_other_never_open_one_port_for_two_scanners():
    store = SharedStore()
    one, two = Member(store), Member(store)
    one.own("a")
    two.own("b")
    assert store.asked == [("a", 8400, None, None), ("b", 8400, None, None), ("b", 8401, None, None)]
    one.refresh()
    assert one.opened == two.opened == store.ports == {"a": 8400, "b": 8401}


def test_a_port_is_not_opened_before_it_is_stored():
    store = SharedStore()
    one = Member(store)
    store.away = True
    one.own("a")
    assert one.opened == {}
    store.away = False
    one.refresh()
    assert one.opened == {"a": 8400}


def test_an_assigned_port_stays_at_a_takeover_and_at_a_gateway_with_another_range():
    store = SharedStore()
    Member(store).own("a", "b")
    assert Member(store, "a", "b", ports="8500-8502").opened == {"a": 8400, "b": 8401} == store.ports


def test_the_port_of_a_scanner_of_others_is_not_given_away():
    store = SharedStore()
    Member(store).own("a", "b")
    assert Member(store, "c", scanners=("c",), ports="8400-8401").opened == {}
    assert store.ports == {"a": 8400, "b": 8401}


def test_a_port_that_is_given_by_hand_to_another_scanner_moves():
    store = SharedStore()
    Member(store).own("a", "b")
    follower = Member(store, "b", fixed={"b": 8400}.items())
    assert follower.opened == {"b": 8400}
    owner = Member(store, "a", fixed={"b": 8400}.items())
    assert owner.opened == {"a": 8402, "b": 8400} and store.ports["a"] == 8402
    follower.refresh()
    assert follower.opened == {"a": 8402, "b": 8400}


def test_an_open_port_stays_after_the_store_has_lost_it():
    store = SharedStore()
    one, two = Member(store), Member(store)
    one.own("a")
    one.own("b")
    two.refresh()
    store.ports.clear()
    two.refresh()
    assert two.opened == {"a": 8400, "b": 8401} and store.ports == {}
    two.own("b")
    one.refresh()
    assert one.opened == {"a": 8400, "b": 8401} == store.ports
