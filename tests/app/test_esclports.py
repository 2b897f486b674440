"""Tests of app.esclports on a Clock: the ports follow the addresses of this host."""

from ipaddress import ip_interface
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from tests.app.test_escl import SIDES, config
from wsdgateway.app.esclports import EsclPorts
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.net.transport.interfaces import POLL_SECONDS, Interface
from wsdgateway.storage.memory import MemoryStore


class Host:
    """A gateway's eSCL ports on a host whose interfaces change."""

    def __init__(self, *endpoints, **sections):
        self.reactor = MemoryReactorClock()
        self.interfaces = {"eth0": Interface("eth0", 2, (ip_interface("192.0.2.5/24"),))}
        self.changes = []
        self.ports = EsclPorts(self.reactor, self.reactor, config(*endpoints, **sections), SimpleNamespace(), None,
                               {"a": ScannerConfig("a")}, MemoryStore(10), lambda host: None, wall=lambda: 0.0,
                               read=lambda: self.interfaces)
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
