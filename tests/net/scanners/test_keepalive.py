"""Tests of net.scanners.keepalive: which idle connection is reused, which is closed, and when."""

from twisted.internet.task import Clock

from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.keepalive import IDLE_SECONDS, IdleConnections

HERE, THERE = address_of("http://198.51.100.20/scan"), address_of("http://198.51.100.20:8080/manager")


class Connection:
    """Stands in for a connection to a device."""

    def __init__(self, address=HERE):
        self.address = address


def test_the_most_recently_used_connection_is_reused_and_the_least_recent_closed():
    idle = IdleConnections(Clock(), lambda connection: None)
    first, second, third, other = Connection(), Connection(), Connection(), Connection(THERE)
    for connection in (first, second, third, other):
        idle.keep(connection)
    assert idle.take(HERE) is third
    assert idle.take(address_of("http://198.51.100.20/other")) is second
    assert idle.longest() is first
    assert idle.take(HERE) is None
    assert len(idle) == 1
    idle.discard(other)
    idle.discard(other)
    assert len(idle) == 0
    idle.stop()


def test_an_unused_connection_expires():
    clock, expired = Clock(), []
    idle = IdleConnections(clock, expired.append)
    first, second = Connection(), Connection()
    idle.keep(first)
    clock.advance(IDLE_SECONDS / 2)
    idle.keep(second)
    clock.advance(IDLE_SECONDS / 2)
    assert expired == [first]
    assert idle.take(HERE) is second
    clock.advance(IDLE_SECONDS)
    assert expired == [first]
    idle.stop()
    assert clock.getDelayedCalls() == []
