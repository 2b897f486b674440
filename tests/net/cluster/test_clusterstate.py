"""Tests of net.cluster.clusterstate: what people are shown of two gateways, their scanners and the server."""

import pytest

from tests.net.cluster.gateways import LEASE, Cluster, Outcome
from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, OWNING, CannotMove, Ownership
from wsdgateway.net.cluster.clusterstate import NO_ENDPOINT, CoordinatedState
from wsdgateway.storage.coordination import NotNow

URL = "redis://…@h:6379/0"
BEGAN = 1790000000.0  # seconds since 1970 at the boot


@pytest.fixture
def cluster():
    """A gateway `a`, which owns `desk`, and a gateway `b`, which has another scanner, too."""
    made = Cluster()
    made.add("a")
    made.advance_until(lambda: made.owner() == "a")
    made.add("b", ("desk", "attic"))
    made.advance_until(lambda: made.owner("attic") == "b")
    made.advance(2.0)
    return made


def state_of(cluster, position, version="7.0.15"):
    gateway, seconds = cluster.gateways[position], cluster.clock.seconds
    return CoordinatedState(gateway.coordinator, gateway.name, URL, wall=lambda: BEGAN + seconds(), boot_time=seconds,
                            version=lambda: version)


def test_owned_and_followed_scanners(cluster):
    a, b = state_of(cluster, 0), state_of(cluster, 1)
    [desk] = a.ownerships()
    assert (desk.scanner, desk.ownership, desk.owner, desk.problem) == ("desk", OWNING, "a", None)
    assert 0 <= desk.lease_age <= LEASE / 4 + 0.1
    assert a.ownership("desk") == desk
    assert a.ownership("unknown") == Ownership("unknown", FOLLOWING)
    shown = {one.scanner: (one.ownership, one.owner) for one in b.ownerships()}
    assert shown == {"desk": (FOLLOWING, "a"), "attic": (OWNING, "b")}
    assert 0 <= b.ownership("desk").lease_age <= LEASE


def test_the_gateways(cluster):
    b = state_of(cluster, 1)
    now = BEGAN + cluster.clock.seconds()
    shown = [(one.name, one.version, one.address, one.last_seen, one.scanners, sorted(one.configured))
             for one in b.gateways()]
    assert shown == [("a", "1", "http://a", now, ("desk",), ["desk"]),
                     ("b", "1", "http://b", now, ("attic",), ["attic", "desk"])]


def test_the_server_and_its_absence(cluster):
    a = state_of(cluster, 0)
    server = a.server()
    assert (server.url, server.reachable, server.version, server.problem, server.problem_since) == (
        URL, True, "7.0.15", None, None)
    assert server.era is not None
    for gateway in cluster.gateways:
        gateway.connection.state = "silent"
    gone = BEGAN + cluster.clock.seconds()
    cluster.advance(2 * LEASE)
    server = a.server()
    assert server.reachable is False and server.problem
    assert gone < server.problem_since < gone + LEASE
    assert [one.last_seen for one in a.gateways()] == [server.problem_since] * 2
    assert a.ownership("desk").ownership == ALONE


def test_before_the_first_answer_nothing_is_known():
    cluster = Cluster()
    cluster.add("a", start=False)
    a = state_of(cluster, 0, version=None)
    assert (a.server().reachable, a.server().era, a.server().version, a.gateways(), a.ownerships()) == (
        None, None, None, [], [])


def test_the_grace_of_a_server_that_was_restarted(cluster):
    b = state_of(cluster, 1)
    assert b.server().grace == 0.0
    cluster.server.restart("empty")
    cluster.advance_until(lambda: b.server().grace > 0.0)
    assert b.ownership("desk").owner == "a"  # who goes on
    cluster.advance_until(lambda: b.server().grace == 0.0)


def test_an_owner_that_cannot_be_reached_is_told(cluster):
    cluster.gateways[0].address = ""
    cluster.advance(LEASE)
    assert state_of(cluster, 1).ownership("desk").problem == NO_ENDPOINT
    assert state_of(cluster, 0).ownership("desk").problem is None


def test_a_wish_moves_a_scanner(cluster):
    b = state_of(cluster, 1)
    wished = Outcome.of(b.wish("desk", "b"))
    cluster.advance_until(lambda: b.ownership("desk").owner == "b")
    assert wished.value is None and cluster.owner() == "b"
    refused = Outcome.of(b.wish("desk", "c"))
    assert isinstance(refused.value, CannotMove)
    cluster.gateways[1].connection.state = "silent"
    refused = Outcome.of(b.wish("desk", "a"))
    cluster.advance(LEASE)
    assert isinstance(refused.value, NotNow)
