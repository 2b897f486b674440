"""Tests of net.scanners.pool: connections to one device in use, idle, being closed, and closed."""

from twisted.internet.task import Clock

from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.keepalive import IDLE_SECONDS
from wsdgateway.net.scanners.pool import LINGER_SECONDS, ConnectionPool

ADDRESS = address_of("http://198.51.100.20/scan")


class Connection:
    """Connection that the device does not close by itself."""

    address, request, lost = ADDRESS, None, False

    def __init__(self):
        self.transport, self.asked = self, []

    def loseConnection(self):
        self.asked.append("close")

    def abort(self):
        self.asked.append("abort")


def pool_of(number):
    clock = Clock()
    pool, connections = ConnectionPool(clock), [Connection() for _ in range(number)]
    for connection in connections:
        pool.add(connection)
    return clock, pool, connections


def test_a_connection_is_reused_and_counts_until_it_is_closed():
    clock, pool, [one] = pool_of(1)
    assert not pool.is_quiet
    pool.keep(one)
    assert pool.is_quiet and pool.idle == 1
    assert pool.take(ADDRESS) is one
    assert pool.idle == 0 and pool.take(ADDRESS) is None
    pool.close(one)
    assert (one.asked, pool.open, len(pool)) == (["close"], 0, 1)
    pool.keep(one)  # too late
    assert pool.idle == 0
    clock.advance(LINGER_SECONDS)
    assert one.asked == ["close", "abort"]
    pool.gone(one)
    assert len(pool) == 0


def test_make_room_closes_one_connection_at_a_time():
    _, pool, [first, second] = pool_of(2)
    pool.make_room()
    assert (first.asked, second.asked) == ([], [])  # both are in use
    pool.keep(first)
    pool.keep(second)
    pool.make_room()
    pool.make_room()
    assert (first.asked, second.asked) == (["close"], [])
    pool.gone(first)
    pool.make_room()
    assert second.asked == ["close"]


def test_an_idle_connection_is_closed_after_a_while():
    clock, pool, [one] = pool_of(1)
    pool.keep(one)
    clock.advance(IDLE_SECONDS)
    assert one.asked == ["close"] and len(pool) == 1


def test_a_lost_connection_does_not_count():
    _, pool, [one] = pool_of(1)
    one.lost = True
    pool.close(one)
    assert (one.asked, len(pool)) == ([], 0)


def test_a_stop_aborts_connections_in_use_and_connections_being_closed():
    clock, pool, [used, idle, closing] = pool_of(3)
    pool.keep(idle)
    pool.close(closing)
    pool.stop()
    assert used.asked == ["abort"]
    assert idle.asked == closing.asked == ["close", "abort"]
    assert clock.getDelayedCalls() == []
