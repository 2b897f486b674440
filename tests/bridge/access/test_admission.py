"""Tests of bridge.access.admission: which connections are admitted, and which are closed to make room.

Connections are plain values, and the time is a number.
"""

from ipaddress import ip_network

import attrs
import pytest

from wsdgateway.bridge.access.admission import (
    MAX_REFUSED,
    TOO_MANY,
    TOO_OFTEN,
    Admission,
    ArrivalDecision,
    OpenConnections,
    SharedConnections,
)
from wsdgateway.bridge.access.quotas import Quotas

LET_IN = ArrivalDecision(Admission.LET_IN)
REFUSED = ArrivalDecision(Admission.REFUSED, TOO_MANY)


@attrs.define(eq=False)
class Connection:
    client: str = "10.0.0.1"
    secure: bool = False
    is_needed: bool = False

    def can_make_room(self):
        return not self.is_needed


class Place:
    """A limit of `limit` connections, of which one client may have `own`."""

    def __init__(self, limit=4, own=100, requests=1e6):
        self.limit = limit
        self.open = OpenConnections(Quotas(requests=requests, connections=own, jobs=1, unlimited=[
            ip_network("127.0.0.0/8")]))

    def arrive(self, *clients, now=0.0, **more):
        """Lets a connection of each of these clients arrive; returns them, and the decision about the last one."""
        there = [Connection(client, **more) for client in clients]
        received = [self.open.arrived(one, self.limit, now) for one in there]
        return there, received[-1]


def test_connections_up_to_the_limit_are_admitted():
    place = Place(limit=2)
    assert place.arrive("10.0.0.1")[1] == place.arrive("10.0.0.2")[1] == LET_IN
    assert place.arrive("10.0.0.3")[1] == REFUSED
    assert len(place.open) == place.open.clients == 3


def test_the_longest_idle_connection_is_drained():
    place = Place(limit=3)
    (first, second, third), _ = place.arrive("10.0.0.1", "10.0.0.2", "10.0.0.3")
    for one in (first, second, third):
        place.open.idles(one)
    place.open.works(first)
    place.open.idles(first)  # now the second one has been idle longest
    assert place.open.idle == 3
    assert place.arrive("10.0.0.4")[1] == ArrivalDecision(Admission.LET_IN, drained=second)


@pytest.mark.parametrize(("there", "new", "aborted"), [
    ("1111", "2", 0), ("1122", "3", 0), ("1122", "1", None), ("1222", "1", 1), ("1112", "2", 0), ("1234", "5", None),
    ("1122", "2", None)])
def test_without_idle_connections_the_oldest_of_the_client_with_most_is_aborted(there, new, aborted):
    place = Place()
    connections, _ = place.arrive(*(f"10.0.0.{number}" for number in there))
    _, received = place.arrive(f"10.0.0.{new}")
    assert received == (REFUSED if aborted is None else ArrivalDecision(Admission.LET_IN, aborted=connections[aborted]))


def test_a_connection_that_awaits_an_answer_is_never_aborted():
    place = Place()
    (first, second, *rest), _ = place.arrive(*["10.0.0.1"] * 4)
    first.is_needed = True
    assert place.arrive("10.0.0.2")[1] == ArrivalDecision(Admission.LET_IN, aborted=second)
    for one in (second, *rest):
        one.is_needed = True
    assert place.arrive("10.0.0.3")[1] == REFUSED


def test_a_client_over_its_own_limit_closes_no_connection_of_others():
    place = Place(limit=3, own=2)
    (idle, *_), _ = place.arrive("10.0.0.2", "10.0.0.1", "10.0.0.1")
    place.open.idles(idle)
    assert place.arrive("10.0.0.1")[1] == REFUSED
    assert place.arrive("127.0.0.1")[1].drained is idle
    assert [place.arrive("127.0.0.1")[1].reason for _ in range(3)] == [None] * 3  # it is not limited


def test_an_ipv6_network_is_one_client():
    place = Place(own=1)
    assert place.arrive("2001:db8::1")[1] == LET_IN
    assert place.arrive("2001:db8::2")[1] == REFUSED
    assert place.open.clients == 1


def test_in_a_flood_connections_are_closed_without_an_answer():
    place = Place(limit=1, own=1000)
    place.arrive("10.0.0.1")
    received = [place.arrive("10.0.0.1")[1].admission for _ in range(MAX_REFUSED + 5)]
    assert received == [Admission.REFUSED] * MAX_REFUSED + [Admission.HUNG_UP_ON] * 5


def test_a_client_with_too_many_handshakes_closes_no_connection_of_others():
    place = Place(limit=2, requests=20.0)
    (idle,), _ = place.arrive("10.0.0.2")
    place.open.idles(idle)
    received = [place.arrive("10.0.0.1", secure=True)[1] for _ in range(12)]
    assert ArrivalDecision(Admission.HUNG_UP_ON, TOO_OFTEN) == received[-1]
    assert place.arrive("10.0.0.1")[1].reason != TOO_OFTEN  # without TLS there is no handshake
    assert place.arrive("10.0.0.1", secure=True, now=60.0)[1].reason != TOO_OFTEN


@pytest.mark.parametrize(("limit", "own", "has_room"), [(3, 100, True), (2, 100, False), (4, 3, True), (4, 2, False)])
def test_room_for_another_connection(limit, own, has_room):
    place = Place(limit, own)
    place.arrive("10.0.0.1", "10.0.0.1")
    assert place.open.has_room("10.0.0.1", limit) is has_room
    assert place.open.has_room("10.0.0.2", limit) is (limit > 2)
    assert len(place.open) == 2


def test_closed_connections_are_forgotten():
    place = Place(limit=2)
    connections, _ = place.arrive("10.0.0.1", "10.0.0.2")
    for one in connections:
        place.open.idles(one)
        place.open.left(one)
    assert (len(place.open), place.open.idle, place.open.clients, list(place.open)) == (0, 0, 0, [])
    assert place.arrive("10.0.0.1", "10.0.0.1")[1] == LET_IN


def shared(*, waiting="", arriving="", answering=""):
    connections = SharedConnections()
    for one in (*waiting, *arriving, *answering):
        assert connections.arrived(one, 100) == ([], True)
        connections.arrives(one)
    for one in (*waiting, *answering):
        connections.answers(one)
    for one in waiting:
        connections.waits(one)
    return connections


@pytest.mark.parametrize(("there", "limit", "closed", "is_admitted"), [
    ({}, 1, "", True), ({"arriving": "ab"}, 3, "", True),
    ({"waiting": "ba", "arriving": "c"}, 3, "b", True),  # the idle one that has waited longest
    ({"arriving": "ba", "answering": "c"}, 3, "b", True),
    ({"answering": "abc"}, 3, "", False), ({"answering": "ab", "waiting": "c"}, 2, "c", False),
    ({"waiting": "a", "arriving": "bc", "answering": "d"}, 2, "abc", True)])  # the limit is lower now
def test_with_shared_connections_those_that_wait_longest_make_room(there, limit, closed, is_admitted):
    assert shared(**there).arrived("new", limit) == (list(closed), is_admitted)


def test_an_admitted_connection_counts_until_it_closes():
    connections = shared(answering="ab")
    assert connections.arrived("c", 2) == ([], False)
    assert len(connections) == 2
    connections.left("a")
    assert connections.arrived("c", 2) == ([], True)
    connections.arrives("c")
    assert connections.unanswered == ["c"]
    connections.left("c")
    assert (connections.unanswered, len(connections)) == ([], 1)


def test_the_waiting_time_of_a_connection_begins_with_its_last_answer():
    connections = shared(waiting="ab")
    connections.arrives("a")
    assert connections.unanswered == ["b", "a"]
    connections.answers("a")
    assert connections.unanswered == ["b"]
    connections.waits("a")
    assert connections.arrived("c", 2) == (["b"], True)
