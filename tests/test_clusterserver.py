"""The server of the tests of several gateways: ownership, eras with grace, restarts and failovers."""

import pytest
from twisted.internet.task import Clock

from tests.clusterserver import ClusterConnection, ClusterServer
from wsdgateway.bridge.cluster.values import Acquired, Owner, Refused, Registration
from wsdgateway.storage.coordination import DEADLINE, NameTaken, NotNow

LEASE = 4.0
A, B = (Registration(name, f"print-{name}", "", "1") for name in "ab")


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(1000.0)
    return clock


@pytest.fixture
def server(clock):
    """A server after its first grace."""
    server = ClusterServer(clock.seconds)
    server.tick(A, LEASE, {}, ())
    clock.advance(5.0)
    return server


def acquire(server, gateway=A, mine=0, still_valid=False):
    return server.acquire("desk", gateway.identifier, LEASE, mine, still_valid)


def test_one_owner_whose_lease_is_renewed_by_token(server, clock):
    assert acquire(server) == Acquired(1, 1005.0)
    assert acquire(server, B) == Refused(Owner(1, "a", 4.0), 0.0, 1005.0)
    clock.advance(3.0)
    view = server.tick(A, LEASE, {"desk": 1}, ["desk", "other"])
    assert (view.renewed, view.owners) == ({"desk"}, {"desk": Owner(1, "a", 4.0)})
    assert server.tick(A, LEASE, {"desk": 2}, ["desk"]).renewed == frozenset()
    clock.advance(4.0)
    assert server.tick(A, LEASE, {"desk": 1}, ["desk"]).renewed == frozenset()
    assert acquire(server, B) == Acquired(2, 1012.0)
    assert not server.fenced("desk", "a", 1)
    assert server.fenced("desk", "b", 2)


def test_release_needs_the_token_and_rings(server):
    rung = []
    acquire(server)
    server.bells.append(rung.append)
    assert not server.release("desk", "a", 2)
    assert not server.release("desk", "b", 1)
    assert rung == []
    assert server.release("desk", "a", 1)
    assert rung == ["a"]
    assert acquire(server, B).token == 2


def test_names_are_unique_among_the_running(server, clock):
    server.tick(A, LEASE, {}, ())
    twin = Registration("c", "print-a", "", "1")
    with pytest.raises(NameTaken):
        server.tick(twin, LEASE, {}, ())
    clock.advance(LEASE)
    assert server.tick(twin, LEASE, {}, ()).gateways == (twin,)
    server.leave("c")
    assert server.tick(A, LEASE, {}, ()).gateways == (A,)


def test_a_wish_ends(server, clock):
    server.wish("desk", "print-b")
    assert server.tick(A, LEASE, {}, ["desk"]).wishes == {"desk": "print-b"}
    clock.advance(10.0)
    assert server.tick(A, LEASE, {}, ["desk"]).wishes == {}


@pytest.mark.parametrize("data", ["kept", "older", "empty"])
def test_a_restart_begins_an_era_with_grace(server, clock, data):
    acquire(server)
    clock.advance(1.0)
    era = server.tick(A, LEASE, {"desk": 1}, ["desk"]).era
    clock.advance(1.0)
    server.restart(data, age=1.5)
    view = server.tick(A, LEASE, {"desk": 1}, ["desk"])
    assert view.era > era  # also on an empty server, as in `scripts/common.lua`
    assert (view.grace, view.owners, view.renewed) == (5.0, {}, set())
    assert acquire(server, B) == Refused(None, 5.0, 1007.0)
    assert acquire(server, A, mine=1, still_valid=True).token == 2
    assert acquire(server, B, mine=1, still_valid=True) == Refused(Owner(2, "a", 4.0), 5.0, 1007.0)
    clock.advance(5.0)
    assert acquire(server, B).token == 3


def test_a_failover_loses_the_last_writes_but_no_token_that_the_gateway_remembers(server, clock):
    clock.advance(10.0)
    acquire(server)
    server.release("desk", "a", 1)
    assert acquire(server).token == 2
    isolated = server.isolated()
    server.failover(lag=3.0)
    assert isolated.tick(A, LEASE, {"desk": 2}, ["desk"]).renewed == {"desk"}
    assert server.tick(B, LEASE, {}, ["desk"]).owners == {}
    assert acquire(server, mine=2, still_valid=True).token == 3


def test_a_connection_that_is_silent_deaf_or_refuses(server, clock):
    connection = ClusterConnection(server, clock)
    connection.state = "refusing"
    failures = [connection.leave("b")]
    connection.state = "silent"
    failures.append(connection.wish("desk", "print-a"))
    connection.state = "deaf"
    failures.append(connection.acquire("desk", "a", LEASE, 0, False))
    clock.advance(DEADLINE)
    outcomes = []
    for failure in failures:
        failure.addErrback(lambda reason: outcomes.append(reason.type))
    assert outcomes == [NotNow] * 3
    assert server.owner("desk").token == 1
    assert connection.commands == ["leave", "wish", "acquire"]


def test_the_bell_reaches_the_others(server, clock):
    rung = []
    for gateway in (A, B):
        connection = ClusterConnection(server, clock, gateway.identifier)
        connection.listen(lambda name=gateway.name: rung.append(name))
    server.leave("a")
    assert rung == ["print-b"]
