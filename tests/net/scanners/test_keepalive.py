"""Idle connections: which is used again, which has to go, and when."""

from twisted.internet.task import Clock

from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.keepalive import IDLE_SECONDS, IdleConnections

HERE, THERE = address_of("http://198.51.100.20/scan"), address_of("http://198.51.100.20:8080/manager")


class Connection:
    """A connection, as far as it is kept."""

    def __init__(self, address=HERE):
        self.address = address


def test_the_one_that_was_used_last_is_used_again_and_the_one_used_first_goes_first():
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


def test_one_that_nobody_uses_is_closed_after_a_while():
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
