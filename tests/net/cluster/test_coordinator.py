"""Tests of net.cluster.coordinator: two and three gateways on one server, by one clock."""

import pytest
from twisted.internet.defer import Deferred, fail

from tests.net.cluster.gateways import LEASE, STEP, STOP_TIMEOUT, Cluster, Outcome
from wsdgateway.admin.cluster import cannot_serve
from wsdgateway.bridge.cluster.ownership import ALONE_AFTER
from wsdgateway.bridge.cluster.state import CannotMove
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.cluster.clusterstate import CoordinatedState
from wsdgateway.net.cluster.ownerwaits import MAX_WAITING
from wsdgateway.storage.coordination import NotAdmitted, NotNow
from wsdgateway.storage.store import Unreadable

TOOK = ["desk", "begin desk"]  # counted, and begun


@pytest.fixture
def cluster():
    """A server after its first grace; two gateways never own a scanner at once."""
    cluster = Cluster()
    cluster.add("first", ())
    cluster.advance(5.0)
    yield cluster
    assert cluster.overlaps == []


@pytest.fixture
def owner(cluster):
    """The owner of the desk scanner."""
    gateway = cluster.add("owner")
    assert gateway.owns()
    return gateway


@pytest.fixture
def follower(cluster, owner):
    return cluster.add("follower")


def lines(said, *words):
    return [line for line in said if all(word in line for word in words)]


def test_the_first_gateway_takes_all_scanners_at_once(cluster):
    gateway = cluster.add("only", ("desk", "hall"))
    assert gateway.served == {"desk", "hall"}
    cluster.advance(60.0)
    assert gateway.history == ["desk", "begin desk", "hall", "begin hall"]
    assert [(known.state, known.owner, known.token) for known in gateway.coordinator.ownerships()] == [
        ("owning", "only", 1), ("owning", "only", 1)]


def test_a_tick_each_quarter_of_a_lease_for_all_scanners(cluster):
    gateway = cluster.add("only", [f"scanner-{number}" for number in range(50)])
    cluster.advance(0.5)
    gateway.connection.commands.clear()
    cluster.advance(10.0)
    assert gateway.connection.commands == ["tick"] * 10


def test_others_follow_and_know_the_owner(cluster, owner, follower):
    cluster.advance(1.5)
    assert follower.coordinator.find("desk").name == "owner"
    assert owner.coordinator.find("desk").name == "owner"
    known = follower.state()
    assert (known.state, known.owner, known.token) == ("following", "owner", 1)
    assert 0.0 <= known.lease_age <= 2.0


def test_a_gateway_that_is_killed_loses_its_scanners_soon_after_its_lease(cluster, owner, follower, said):
    cluster.advance(7.3)
    owner.kill()
    assert 2.5 < cluster.advance_until(lambda: follower.owns()) < LEASE + 0.5
    assert follower.history == TOOK
    assert lines(said, "desk: this gateway owns the scanner from now on", "token 2")


def test_the_former_owner_is_told_apart_when_it_starts_again(cluster, owner):
    cluster.advance(1.0)
    owner.kill()
    again = cluster.add("owner")
    assert cluster.advance_until(lambda: again.owns()) < LEASE + 0.5
    assert again.taken == []


def test_stop_hands_over_at_once(cluster, owner, follower):
    cluster.advance(2.3)
    stopped = Outcome.of(owner.stop())
    assert cluster.advance_until(lambda: follower.owns()) < 0.3
    assert stopped.value is None
    assert owner.history == [*TOOK, "end desk: handed over"]
    cluster.advance(2.0)
    assert [gateway.name for gateway in follower.coordinator.view.gateways] == ["first", "follower"]


def test_stop_lets_requests_end_and_keeps_the_lease_meanwhile(cluster, owner, follower):
    owner.ending = Deferred()
    stopped = Outcome.of(owner.stop())
    cluster.advance(STOP_TIMEOUT - 1.0)
    assert stopped.value == "waiting"
    assert owner.leases.of("desk").holds()
    assert owner.coordinator.find("desk") is None  # requests wait for the next owner
    owner.ending.callback(None)
    assert cluster.advance_until(lambda: follower.owns()) < 0.3


def test_stop_breaks_off_what_runs_too_long(cluster, owner, follower, said):
    owner.ending = Deferred()
    stopped = Outcome.of(owner.stop())
    cluster.advance(STOP_TIMEOUT + 0.1)
    assert stopped.value is None
    assert follower.owns()
    assert lines(said, "desk: requests still ran after 10 s")
    owner.served.clear()


def test_the_last_gateway_stops(cluster, owner):
    cluster.gateways[0].kill()
    cluster.advance(LEASE + 2.0)
    assert owner.coordinator.is_last()
    assert Outcome.of(owner.stop()).value is None
    assert owner.history == [*TOOK, "end desk: stopped"]
    assert cluster.server.owner("desk") is None
    again = cluster.add("owner")
    assert again.owns()


def test_a_gateway_with_others_is_not_the_last(cluster, owner, follower):
    cluster.advance(1.0)
    assert not owner.coordinator.is_last()


@pytest.mark.parametrize("ago", [0.0, 1.5, LEASE - 0.5])
def test_a_gateway_that_has_just_died_does_not_go_on(cluster, owner, follower, ago):
    follower.kill()
    cluster.advance(ago)
    stopped = Outcome.of(owner.stop())
    while stopped.value == "waiting":
        assert owner.owns()
        cluster.advance(STEP)
    assert stopped.value is None
    assert owner.history == [*TOOK, "end desk: stopped"]


def test_the_scanner_of_a_gateway_that_has_just_died_is_ended_by_the_one_that_stops(cluster, owner, follower):
    owner.kill()
    stopped = Outcome.of(follower.stop())
    assert cluster.advance_until(lambda: stopped.value is None) < LEASE + 2.0
    assert follower.history == [*TOOK, "end desk: stopped"]


def test_of_gateways_that_stop_together_just_after_another_has_died_the_last_one_owns_all_scanners(
        cluster, owner, follower):
    third = cluster.add("third")
    third.kill()
    stopped = [Outcome.of(gateway.stop()) for gateway in (owner, follower)]
    cluster.advance_until(lambda: all(outcome.value is None for outcome in stopped))
    ends = [line for gateway in (owner, follower) for line in gateway.history if line.startswith("end desk: stopped")]
    assert len(ends) == 1
    assert cluster.server.owner("desk") is None


def test_a_gateway_that_lives_is_waited_for_in_vain_only_if_the_link_to_it_is_broken(cluster, owner, follower):
    owner.unreached.append(follower)
    stopped = Outcome.of(owner.stop())
    assert LEASE <= cluster.advance_until(follower.owns) < LEASE + 2.0
    assert stopped.value is None
    assert owner.history == [*TOOK, "end desk: handed over"]


def test_without_the_server_nobody_waits_for_gateways_that_may_have_died(cluster, owner, follower):
    follower.kill()
    owner.connection.state = "refusing"
    stopped = Outcome.of(owner.stop())
    assert cluster.advance_until(lambda: stopped.value is None) <= 1.5


@pytest.mark.parametrize("latency", [None, 0.05])
@pytest.mark.parametrize("later", [0.0, 0.01, 0.02, 0.1, 0.3])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_of_gateways_that_stop_together_the_last_one_owns_all_scanners_until_its_end(cluster, latency, later, first):
    desks = ("desk", "hall", "attic", "shop", "loft")
    gateways = [cluster.add(name, desks, latency=latency) for name in ("one", "two", "three")]
    cluster.advance(3.0)
    for gateway in gateways:  # each has one
        cluster.server.wish(desks[gateways.index(gateway)], gateway.name)
    cluster.advance(3.0)
    stopped = []
    for gateway in (*gateways[first:], *gateways[:first]):
        stopped.append(Outcome.of(gateway.stop()))
        cluster.advance(later)
    cluster.advance_until(lambda: all(outcome.value is None for outcome in stopped))
    for desk in desks:
        ends = [line for gateway in gateways for line in gateway.history if line.startswith(f"end {desk}: stopped")]
        assert len(ends) == 1
        assert cluster.server.owner(desk) is None
    assert cluster.overlaps == []


def test_the_last_gateway_waits_for_a_scanner_that_is_being_handed_over(cluster, owner, follower):
    owner.ending = Deferred()
    handing_over = Outcome.of(owner.stop())
    cluster.advance(0.1)
    stopped = Outcome.of(follower.stop())
    cluster.advance(2.0)
    assert (handing_over.value, stopped.value) == ("waiting", "waiting")
    owner.ending.callback(None)
    cluster.advance_until(lambda: stopped.value is None)
    assert handing_over.value is None
    assert follower.history == [*TOOK, "end desk: stopped"]


def test_the_last_gateway_waits_no_longer_than_it_may(cluster, owner, follower):
    owner.ending = Deferred()
    Outcome.of(owner.stop())
    stopped = Outcome.of(follower.stop())
    owner.kill()
    follower.beginning = Unreadable("damaged")
    assert cluster.advance_until(lambda: stopped.value is None) <= STOP_TIMEOUT + 1.0


def test_the_last_gateway_does_not_wait_for_a_server_that_is_away(cluster, owner, follower):
    owner.ending = Deferred()
    Outcome.of(owner.stop())
    cluster.advance(0.1)
    follower.connection.state = "refusing"
    stopped = Outcome.of(follower.stop())
    assert cluster.advance_until(lambda: stopped.value is None) <= 1.5


def test_a_gateway_that_starts_meanwhile_gets_the_scanner(cluster, owner, follower):
    owner.ending = Deferred()
    Outcome.of(owner.stop())
    cluster.advance(0.1)
    stopped = Outcome.of(follower.stop())
    again = cluster.add("again", holds_address=True)
    follower.beginning = Deferred()
    cluster.advance(1.0)
    owner.ending.callback(None)
    cluster.advance_until(lambda: stopped.value is None or again.owns())
    assert again.owns()
    cluster.advance_until(lambda: stopped.value is None)
    assert follower.history == []


def test_stop_without_the_server_ends_within_its_deadlines(cluster, owner):
    owner.connection.state = "silent"
    stopped = Outcome.of(owner.stop())
    cluster.advance(5.0)
    assert stopped.value is None
    assert not owner.leases.of("desk").holds()


def test_a_process_that_was_stopped_finds_another_owner(cluster, owner, follower, said):
    cluster.advance(2.0)
    owner.is_running = False
    assert cluster.advance_until(lambda: follower.owns()) < LEASE + 0.5
    cluster.advance(1.0)
    assert not owner.leases.of("desk").holds()
    owner.is_running = True
    cluster.advance(0.2)
    assert owner.history == [*TOOK, "end desk: lost"]
    assert owner.coordinator.find("desk").name == "follower"
    assert lines(said, "desk: this gateway no longer owns the scanner", "follower owns it")


def test_a_process_that_was_stopped_for_less_than_a_lease_goes_on(cluster, owner, follower):
    cluster.advance(2.0)
    owner.is_running = False
    cluster.advance(LEASE - 1.1)
    owner.is_running = True
    cluster.advance(10.0)
    assert owner.owns()
    assert owner.history == TOOK


@pytest.mark.parametrize("state", ["silent", "refusing"])
def test_without_the_server_the_owner_goes_on_alone_without_a_break(cluster, owner, follower, state, said):
    cluster.advance(2.3)
    for gateway in cluster.gateways:
        gateway.connection.state = state
    for _ in range(600):
        cluster.advance(0.1)
        assert owner.owns()
    assert owner.state().state == "alone"
    assert owner.coordinator.redis_state.is_reachable is False
    assert follower.coordinator.find("desk").name == "owner"  # requests are passed to it as before
    for gateway in cluster.gateways:
        gateway.connection.state = "up"
    for _ in range(30):
        cluster.advance(0.1)
        assert owner.owns()
    assert owner.history == [*TOOK, "regained desk"]
    assert owner.state().state == "owning"
    assert lines(said, "desk", "going on alone")
    assert lines(said, "desk: no longer alone, after")
    assert lines(said, "Redis cannot be used")
    assert lines(said, "Redis answers again after")


def test_an_owner_that_may_not_be_alone_serves_again_with_the_server(cluster, said):
    owner = cluster.add("owner", alone=False)
    owner.connection.state = "silent"
    cluster.advance(LEASE)
    assert not owner.owns()
    assert owner.coordinator.find("desk") is None
    assert (owner.state().state, owner.state().owner, owner.state().lease_age) == ("following", None, None)
    shown = shown_by(owner)
    assert cannot_serve(shown).startswith("no scanner can be served: redis://h: ")
    cluster.advance(LEASE)
    assert len(lines(said, "desk: its lease has run out while Redis cannot be reached; clients get temporary")) == 1
    assert not lines(said, "going on alone")
    owner.connection.state = "up"
    cluster.advance_until(lambda: owner.owns(), 3.0)
    assert owner.state().state == "owning"
    assert cannot_serve(shown) is None


@pytest.mark.parametrize("data", ["kept", "older", "empty"])
def test_a_restart_of_the_server_leaves_the_scanner_with_its_owner(cluster, owner, follower, data):
    cluster.advance(2.3)
    cluster.server.restart(data)
    for _ in range(100):
        cluster.advance(0.1)
        assert owner.owns()
    assert owner.history == [*TOOK, "regained desk"]
    assert owner.state().token == 2


def test_a_long_outage_with_a_restart_leaves_the_scanner_with_its_owner(cluster, owner, follower):
    for gateway in cluster.gateways:
        gateway.connection.state = "refusing"
    cluster.advance(20.0)
    cluster.server.restart("empty")
    for gateway in cluster.gateways:
        gateway.connection.state = "up"
    for _ in range(100):
        cluster.advance(0.1)
        assert owner.owns()
    assert owner.history == [*TOOK, "regained desk"]


@pytest.mark.parametrize("data", ["kept", "empty"])
def test_requests_go_to_the_owner_during_an_outage_and_in_the_grace_after_it(cluster, owner, follower, data):
    for gateway in cluster.gateways:
        gateway.connection.state = "refusing"
    cluster.advance(20.0)
    cluster.server.restart(data)
    for gateway in cluster.gateways:
        gateway.connection.state = "up"
    for _ in range(100):
        cluster.advance(0.1)
        assert follower.coordinator.find("desk").name == owner.name


def test_the_owner_alone_is_cut_off_and_a_peer_tells_it(cluster, owner, follower):
    cluster.advance(2.3)
    owner.connection.state = "silent"
    cluster.advance_until(lambda: follower.owns())
    cluster.overlaps.clear()  # of two owners, one is alone until its peers tell it
    assert owner.owns()
    owner.coordinator.demote("desk", follower.state().token)
    assert not owner.owns()
    assert owner.history == [*TOOK, "end desk: lost"]
    owner.coordinator.demote("unknown", 7)


@pytest.mark.parametrize("is_back", [False, True])
def test_the_new_owner_learns_that_the_former_one_has_served_alone_until_now(cluster, owner, follower, is_back):
    cluster.advance(2.3)
    owner.connection.state = "silent"
    cluster.advance_until(lambda: follower.owns())
    assert owner.owns()
    follower.heard.clear()
    cluster.overlaps.clear()  # of two owners, one is alone until it asks the other
    if is_back:
        owner.connection.state = "up"  # it learns from the server that there is another owner
    cluster.advance_until(lambda: not owner.owns())
    cluster.overlaps.clear()
    before = len(follower.heard)
    cluster.advance(3 * STEP)
    assert set(follower.heard) == {"desk"} and len(follower.heard) > before
    assert owner.heard == []


def test_the_bell_saves_waiting_for_the_next_tick_but_not_more_than_twenty_times_a_second(cluster, owner, follower):
    cluster.advance(1.3)
    follower.connection.commands.clear()
    for _ in range(100):
        cluster.server.wish("hall", "first")
        cluster.advance(0.01)
    assert 18 <= follower.connection.commands.count("tick") <= 21


def test_a_takeover_works_without_a_bell(cluster, owner):
    deaf = cluster.add("deaf", start=False)
    cluster.server.bells.clear()
    deaf.start()
    cluster.advance(0.5)
    Outcome.of(owner.stop())
    assert cluster.advance_until(lambda: deaf.owns()) <= 1.1


def test_move_hands_over_to_the_gateway_that_is_wished_for(cluster, owner, follower):
    third = cluster.add("third", holds_address=True)
    cluster.advance(1.0)
    assert Outcome.of(follower.coordinator.move("desk", "follower")).value is None
    assert cluster.advance_until(lambda: follower.owns()) < 0.3
    cluster.advance(30.0)
    assert (owner.owns(), follower.owns(), third.owns()) == (False, True, False)
    assert owner.history == [*TOOK, "end desk: handed over"]


def test_a_move_outlasts_requests_that_run_longer_than_the_wish(cluster, owner, follower):
    cluster.add("third")
    cluster.advance(1.0)
    owner.ending = Deferred()
    Outcome.of(owner.coordinator.move("desk", "follower"))
    cluster.advance(STOP_TIMEOUT - 0.5)
    cluster.server.wish("desk", "nobody")  # in place of the first one
    owner.ending.callback(None)
    assert cluster.advance_until(lambda: follower.owns()) < 0.3


@pytest.mark.parametrize(("scanner", "gateway", "why"), [
    ("attic", "follower", "attic: there is no scanner with this name"),
    ("desk", "nobody", "nobody: must be the name of a running gateway: first, follower, owner"),
    ("desk", "first", "desk: the gateway first is not configured for this scanner"),
])
def test_move_to_where_a_scanner_cannot_go(cluster, owner, follower, scanner, gateway, why):
    cluster.advance(1.5)
    outcome = Outcome.of(owner.coordinator.move(scanner, gateway)).value
    assert isinstance(outcome, CannotMove)
    assert str(outcome) == why


def test_move_without_the_server(cluster, owner, follower):
    cluster.advance(1.5)
    owner.connection.state = "refusing"
    assert isinstance(Outcome.of(owner.coordinator.move("desk", "follower")).value, NotNow)


def test_a_scanner_that_cannot_be_reached_goes_to_another_gateway_once(cluster, owner, follower):
    owner.coordinator.reached("desk", False)
    cluster.advance(29.0)
    assert owner.owns()
    assert cluster.advance_until(lambda: follower.owns()) < 3.0
    assert owner.history == [*TOOK, "end desk: handed over"]
    follower.coordinator.reached("desk", False)
    cluster.advance(120.0)
    assert follower.owns()  # nobody reaches it


def test_requests_wait_for_an_owner(cluster, owner, follower):
    cluster.advance(1.5)
    assert Outcome.of(follower.coordinator.wait_for_owner("desk", 6.0)).value.name == "owner"
    owner.kill()
    cluster.advance(LEASE - 1.2)
    cluster.advance_until(lambda: follower.coordinator.find("desk") is None)
    waiting = Outcome.of(follower.coordinator.wait_for_owner("desk", 6.0))
    beside = Outcome.of(cluster.gateways[0].coordinator.wait_for_owner("desk", 0.01))
    assert (waiting.value, beside.value) == ("waiting", "waiting")
    cluster.advance(0.3)
    assert waiting.value.name == "follower"
    assert beside.value is None


def test_requests_wait_until_the_scanner_is_served(cluster):
    gateway = cluster.add("slow", start=False)
    gateway.beginning = Deferred()
    gateway.start()
    waiting = Outcome.of(gateway.coordinator.wait_for_owner("desk", 6.0))
    assert waiting.value == "waiting"
    gateway.beginning.callback(None)
    assert waiting.value.name == "slow"


def test_only_so_many_requests_wait(cluster):
    gateway = cluster.add("first-of-many", ())
    waiting = [Outcome.of(gateway.coordinator.wait_for_owner("desk", 6.0)) for _ in range(MAX_WAITING)]
    assert Outcome.of(gateway.coordinator.wait_for_owner("desk", 6.0)).value is None
    cluster.advance(6.1)
    assert {outcome.value for outcome in waiting} == {None}
    assert Outcome.of(gateway.coordinator.wait_for_owner("desk", 6.0)).value == "waiting"
    Outcome.of(gateway.stop())


def test_a_request_that_is_given_up_makes_room(cluster):
    gateway = cluster.add("first-of-many", ())
    waiting = [gateway.coordinator.wait_for_owner("desk", 6.0) for _ in range(MAX_WAITING)]
    for deferred in waiting:
        deferred.addErrback(lambda failure: None)
        deferred.cancel()
    assert Outcome.of(gateway.coordinator.wait_for_owner("desk", 0.01)).value == "waiting"
    cluster.advance(0.1)


def test_data_that_cannot_be_read_leaves_the_scanner_to_others(cluster, said):
    broken = cluster.add("broken", start=False)
    broken.beginning = NotNow("the server does not answer")
    broken.start()
    other = cluster.add("other")
    cluster.advance(1.0)
    assert other.owns()
    assert broken.history == ["desk"]
    assert lines(said, "desk: its data cannot be read, so it is released: the server does not answer")


@pytest.mark.logs_failure
def test_a_composition_that_fails_releases_the_scanner_and_tries_again(cluster):
    broken = cluster.add("broken", start=False)
    broken.beginning = ValueError("a fault of the program")
    broken.start()
    assert cluster.server.owner("desk") is None
    broken.beginning = None
    assert 4.0 < cluster.advance_until(lambda: broken.owns()) < 6.5


def test_an_ownership_that_is_lost_while_it_begins_is_ended_after_that(cluster):
    gateway = cluster.add("slow", start=False)
    gateway.beginning = Deferred()
    gateway.start()
    gateway.coordinator.demote("desk", 9)
    assert gateway.history == ["desk"]
    gateway.beginning.callback(None)
    assert gateway.history[:3] == ["desk", "begin desk", "end desk: lost"]


def test_a_fenced_write_is_counted_and_the_server_asked(cluster, owner):
    cluster.advance(0.5)
    owner.connection.commands.clear()
    owner.coordinator.fenced("desk")
    cluster.advance(0.1)
    assert owner.history == [*TOOK, "fenced"]
    assert owner.connection.commands == ["tick"]
    assert owner.owns()


def test_a_second_gateway_of_the_same_name_does_not_start(cluster, owner, said):
    twin = cluster.add("owner")
    assert lines(said, "[cluster] name: another gateway is registered as owner")
    cluster.advance(LEASE + 0.9)
    assert twin.taken == []
    cluster.advance(1.5)
    assert twin.taken[0].startswith("[cluster] name: must be unique")
    assert owner.owns()


def test_sections_that_differ_are_complained_of_once(cluster, owner, said):
    other = cluster.add("other", {"desk": "2"})
    cluster.advance(10.0)
    complaints = lines(said, "desk: its section in the configuration differs between the gateways")
    assert sorted(line.partition("gateways ")[2].partition(";")[0] for line in complaints) == [
        "other and owner", "owner and other"]
    assert owner.coordinator.differences == (
        "desk: its section in the configuration differs between the gateways owner and other; that of the scanner's "
        "owner counts. Make them equal",)
    other.sections["desk"] = "1"
    cluster.advance(2.0)
    assert owner.coordinator.differences == ()


def test_leases_that_differ_are_complained_of_once(cluster, owner, said):
    cluster.add("other", lease=6.0)
    cluster.advance(10.0)
    told = "[cluster] lease: must be the same at all gateways, but is 4 at owner and 6 at other"
    assert owner.coordinator.differences == (told,)
    assert lines(said, told) == [told]


def test_an_earlier_version_that_does_not_tell_its_lease_is_not_complained_of(cluster, owner):
    owner.connection.tick(Registration("old-1", "old", "", "0", {"desk": "1"}), LEASE, {}, ())
    cluster.advance(2.0)
    assert len(owner.coordinator.view.gateways) == 3 and owner.coordinator.differences == ()


def test_a_configuration_that_is_read_again(cluster, owner, follower):
    owner.sections["hall"] = "1"
    owner.coordinator.adjust()
    cluster.advance(0.5)
    assert owner.served == {"desk", "hall"}
    del owner.sections["desk"], owner.sections["hall"]
    owner.coordinator.adjust()
    cluster.advance(0.5)
    assert owner.served == set()
    assert owner.history[-2:] == ["end desk: handed over", "end hall: stopped"]
    assert follower.owns()


def test_a_scanner_that_is_configured_again_while_it_is_given_up(cluster, owner):
    owner.ending = Deferred()
    del owner.sections["desk"]
    owner.coordinator.adjust()
    owner.sections["desk"] = "1"
    owner.coordinator.adjust()
    owner.ending.callback(None)
    cluster.advance(0.5)
    assert owner.owns()
    assert owner.history == [*TOOK, "end desk: stopped", *TOOK]


def test_the_gateway_that_holds_the_address_takes_first(cluster):
    owner = cluster.add("owner")
    for name in ("a", "b", "c"):
        cluster.add(name)
    holder = cluster.add("holder", holds_address=True)
    cluster.advance(2.0)
    owner.kill()
    cluster.advance_until(lambda: cluster.owner() is not None)
    assert holder.owns()


def test_answers_that_are_lost_delay_a_takeover_by_a_tick_only(cluster):
    gateway = cluster.add("deaf", start=False)
    gateway.connection.state = "deaf"
    gateway.start()
    cluster.advance(0.5)
    gateway.connection.state = "up"
    assert cluster.advance_until(lambda: gateway.owns()) < 3.0


def test_three_gateways_each_take_their_share_and_that_of_one_that_is_killed(cluster):
    scanners = [f"scanner-{number}" for number in range(12)]
    gateways = [cluster.add(name, scanners, start=False) for name in ("a", "b", "c")]
    for gateway in gateways:
        cluster.server.tick(gateway.registration(), LEASE, {}, ())
    for gateway in gateways:
        gateway.start()
    cluster.advance(2.0)
    assert sorted(scanner for gateway in gateways for scanner in gateway.served) == sorted(scanners)
    assert all(gateway.served for gateway in gateways)
    gateways[0].kill()
    cluster.advance(LEASE + 1.0)
    assert sorted(scanner for gateway in gateways for scanner in gateway.served) == sorted(scanners)


def test_no_command_is_sent_for_what_others_ask(cluster, owner, follower):
    cluster.advance(1.0)
    owner.connection.commands.clear()
    for _ in range(100):
        owner.coordinator.find("desk")
        owner.coordinator.ownerships()
        owner.coordinator.is_last()
        owner.leases.of("desk").holds()
    assert owner.connection.commands == []


def test_what_changes_is_told(cluster, owner):
    cluster.advance(5.0)
    before = owner.changes
    cluster.advance(5.0)
    assert owner.changes == before
    cluster.add("another")
    cluster.advance(1.0)
    assert owner.changes > before


def test_a_slow_server(cluster):
    gateways = [cluster.add(name, latency=0.2) for name in ("a", "b")]
    cluster.advance_until(lambda: cluster.owner() is not None, 3.0)
    for _ in range(200):
        cluster.advance(0.1)
        assert cluster.owner() is not None
    assert sum(len(gateway.history) for gateway in gateways) == len(TOOK)


# Without the server and without the owner.


@pytest.fixture
def silence(cluster, owner, follower):
    """The server answers nobody any more."""
    cluster.advance(2.3)
    for gateway in cluster.gateways:
        gateway.connection.state = "silent"
    return cluster


def test_a_follower_that_reaches_the_owner_passes_on_to_it(silence, owner, follower):
    silence.advance(60.0)
    assert (owner.state().state, follower.state().state) == ("alone", "following")
    assert follower.coordinator.find("desk").name == "owner"
    assert owner.restricted == [("desk", True)]


def test_a_follower_that_reaches_neither_server_nor_owner_serves_alone(silence, owner, follower, said):
    owner.kill()
    assert 9.0 < silence.advance_until(lambda: follower.owns()) < 13.0
    assert follower.history == ["begin desk alone"]
    assert (follower.state().state, follower.state().owner) == ("alone", "follower")
    assert follower.coordinator.find("desk").name == "follower"
    silence.advance(30.0)
    assert follower.owns()
    assert lines(said, "desk: Redis gives the scanner to nobody, and no gateway that serves it can be reached")
    follower.connection.state = "up"
    assert silence.advance_until(lambda: follower.state().state == "owning") < 6.0
    assert follower.history == ["begin desk alone", "end desk: lost", *TOOK]
    assert follower.restricted == []
    assert lines(said, "desk: no longer alone, after")


@pytest.fixture
def failover():
    """Another server becomes the master after 7 seconds, in which none answers; it lacks the last 5 seconds."""
    cluster = Cluster(grace=15.0)

    def happen(*dead):
        for gateway in dead:
            gateway.kill()
        for gateway in cluster.gateways:
            gateway.connection.state = "silent"
        cluster.advance(7.0)
        cluster.server.failover(5.0)
        for gateway in cluster.gateways:
            gateway.connection.state = "up" if gateway.is_running else "silent"

    cluster.happen = happen
    yield cluster
    assert cluster.overlaps == []


def test_in_the_grace_of_a_failover_the_scanner_of_an_owner_that_is_gone_is_served_alone(failover):
    owner = failover.add("owner")
    failover.advance_until(owner.owns)
    follower = failover.add("follower")
    failover.happen(owner)
    assert failover.advance_until(follower.owns) < 13.0 - 7.0
    assert (follower.history, follower.state().state) == (["begin desk alone"], "alone")
    failover.advance(8.0)
    assert follower.owns()
    failover.advance_until(lambda: follower.state().state == "owning")
    assert follower.history == ["begin desk alone", "end desk: lost", *TOOK]


def test_in_the_grace_of_a_failover_an_owner_that_reaches_the_server_keeps_its_scanner(failover):
    owner = failover.add("owner")
    failover.advance_until(owner.owns)
    follower = failover.add("follower")
    follower.unreached.append(owner)
    failover.happen()
    for _ in range(30):
        failover.advance(1.0)
        assert owner.owns()
    assert (owner.state().state, follower.history) == ("owning", [])


def test_in_the_grace_of_a_failover_requests_go_to_the_gateway_that_serves_alone(failover):
    owner = failover.add("owner")
    failover.advance_until(owner.owns)
    others = failover.add("one"), failover.add("another")
    failover.happen(owner)
    failover.advance_until(lambda: any(one.owns() for one in others))
    failover.advance(2.0)
    [serving], [passing] = ([one for one in others if one.owns() is owns] for owns in (True, False))
    for _ in range(200):
        failover.advance(0.02)
        assert passing.coordinator.find("desk").name == serving.name
    assert passing.history == []


def test_a_follower_that_may_not_be_alone_waits_for_the_server(cluster, owner):
    follower = cluster.add("follower", alone=False)
    cluster.advance(2.0)
    owner.kill()
    follower.connection.state = "silent"
    cluster.advance(60.0)
    assert follower.history == []
    assert "cannot be reached" in follower.coordinator.outage


def shown_by(gateway):
    """The state of the cluster as that gateway shows it."""
    return CoordinatedState(gateway.coordinator, gateway.name, "redis://h", wall=lambda: 0.0,
                            boot_time=gateway.cluster.clock.seconds, version=lambda: None)


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_follower_that_may_not_be_alone_is_not_ready_while_nothing_can_be_passed_on(cluster, is_killed):
    owner, follower = cluster.add("owner", alone=False), cluster.add("follower", alone=False)
    shown = shown_by(follower)
    for gateway in (owner, follower):
        gateway.connection.state = "silent"
    cluster.advance(2.0)
    assert owner.owns() and follower.state().owner == "owner"  # by its lease
    assert cannot_serve(shown) is None
    if is_killed:
        owner.kill()
    cluster.advance(3.0)
    for _ in range(30):
        cluster.advance(0.1)
        assert (follower.state().state, follower.state().owner) == ("following", None)
        assert cannot_serve(shown).startswith("no scanner can be served: redis://h: ")
    follower.connection.state = owner.connection.state = "up"
    cluster.advance_until(lambda: shown.ownership("desk").owner is not None)
    assert cannot_serve(shown) is None


def test_a_follower_that_may_not_be_alone_passes_on_to_an_owner_that_reaches_the_server(cluster, owner):
    follower = cluster.add("follower", alone=False)
    shown = shown_by(follower)
    follower.connection.state = "silent"
    for _ in range(20):
        cluster.advance(1.0)
        assert (shown.ownership("desk").owner, cannot_serve(shown)) == ("owner", None)
        assert follower.coordinator.find("desk").name == "owner"


def test_an_owner_that_may_not_be_alone_passes_on_to_a_gateway_that_serves_alone(cluster):
    owner = cluster.add("owner", alone=False)
    other = cluster.add("other")
    for gateway in (owner, other):
        gateway.connection.state = "silent"
    cluster.advance_until(other.owns)
    cluster.advance(2.0)
    assert owner.coordinator.find("desk").name == owner.state().owner == "other"
    assert not owner.owns()
    for gateway in (owner, other):
        gateway.connection.state = "up"
    cluster.advance(5.0)
    assert cluster.owner() in ("owner", "other")


def test_in_the_grace_a_follower_that_may_not_be_alone_is_not_ready_while_nobody_serves(failover):
    owner = failover.add("owner", alone=False)
    failover.advance_until(owner.owns)
    follower = failover.add("follower", alone=False)
    shown = shown_by(follower)
    failover.happen(owner)
    failover.advance_until(lambda: shown.server().grace > 0.0)
    failover.advance(1.0)
    assert shown.ownership("desk").owner is None
    assert "gateways may take scanners in" in cannot_serve(shown)
    failover.advance_until(follower.owns)
    assert cannot_serve(shown) is None


def test_nobody_serves_a_scanner_that_its_owner_still_hands_over_without_the_server(cluster, owner, follower):
    for gateway in (owner, follower):
        gateway.connection.state = "silent"
    cluster.advance(ALONE_AFTER + LEASE)
    owner.ending = Deferred()
    Outcome.of(owner.stop())
    cluster.advance(STOP_TIMEOUT - 1.0)
    assert (owner.history[-1].startswith("end desk: "), follower.served) == (True, set())
    owner.ending.callback(None)
    assert cluster.advance_until(lambda: follower.owns()) < 3.0
    assert follower.history == ["begin desk alone"]
    assert cluster.overlaps == []


def test_a_gateway_that_starts_without_the_server_serves_alone(cluster):
    gateway = cluster.add("only", start=False)
    gateway.connection.state = "refusing"
    gateway.start()
    assert 9.0 < cluster.advance_until(lambda: gateway.owns()) < 11.5
    assert gateway.history == ["begin desk alone"]
    gateway.connection.state = "up"
    assert cluster.advance_until(lambda: gateway.state().state == "owning") < 6.0
    assert gateway.history == ["begin desk alone", "end desk: lost", *TOOK]


def test_a_gateway_that_the_server_does_not_admit_does_not_serve_beside_the_owner(cluster, owner, monkeypatch):
    gateway = cluster.add("other", start=False)
    with monkeypatch.context() as patch:
        patch.setattr(gateway.connection, "tick", lambda *_: fail(NotAdmitted("redis://h: the password is wrong")))
        gateway.start()
        cluster.advance(60.0)
        assert gateway.history == []
        assert cannot_serve(shown_by(gateway)) == "no scanner can be served: redis://h: the password is wrong"
    cluster.advance_until(lambda: gateway.state().owner == "owner")


def test_an_owner_that_the_server_no_longer_admits_goes_on_alone(cluster, owner, monkeypatch):
    monkeypatch.setattr(owner.connection, "tick", lambda *_: fail(NotAdmitted("redis://h: a password is required")))
    cluster.advance(20.0)
    assert owner.owns() and owner.state().state == "alone"


def test_of_two_followers_that_reach_each_other_one_serves_and_the_other_passes_on(silence, owner, follower):
    third = silence.add("third", start=False)
    third.start()
    third.connection.state = "up"
    silence.advance(2.0)
    third.connection.state = "silent"
    owner.kill()
    silence.advance_until(lambda: follower.owns() or third.owns())
    silence.advance(30.0)
    serving, passing = (follower, third) if follower.owns() else (third, follower)
    assert passing.history == []
    assert passing.coordinator.find("desk").name == serving.name
    assert passing.state().owner == serving.name


def test_two_that_serve_alone_and_reach_each_other_again_are_one_soon(silence, owner, follower):
    follower.unreached.append(owner)
    silence.advance_until(lambda: follower.owns())
    assert owner.owns()
    silence.overlaps.clear()  # neither knows of the other
    follower.unreached.clear()
    assert silence.advance_until(lambda: not follower.owns()) < 2.5
    silence.overlaps.clear()
    assert (owner.owns(), follower.history) == (True, ["begin desk alone", "end desk: lost"])
    silence.advance(30.0)
    assert follower.coordinator.find("desk").name == "owner"


def test_a_scanner_that_cannot_be_served_alone_is_tried_again(silence, owner, follower):
    owner.kill()
    follower.beginning = NotNow("no room")
    silence.advance(20.0)
    assert follower.history == [] and not follower.owns()
    follower.beginning = None
    assert silence.advance_until(lambda: follower.owns()) < 8.0


def test_a_gateway_that_serves_alone_stops(silence, owner, follower):
    owner.kill()
    silence.advance_until(lambda: follower.owns())
    stopped = Outcome.of(follower.stop())
    silence.advance(5.0)
    assert stopped.value is None
    assert follower.history == ["begin desk alone", "end desk: lost"]
    assert follower.connection.commands[-1] == "leave"


@pytest.mark.logs_failure
@pytest.mark.parametrize("command", ["tick", "acquire"])
def test_an_answer_that_cannot_be_used_does_not_end_the_ticks(cluster, owner, command, monkeypatch):
    gateway = cluster.add("follower")
    with monkeypatch.context() as broken:
        broken.setattr(gateway.connection, command, lambda *arguments: fail(ValueError("damaged")))
        owner.kill()
        cluster.advance(10.0)
        assert not gateway.owns()
    assert cluster.advance_until(gateway.owns) < LEASE


def test_a_value_that_cannot_be_read_is_one_line(cluster, said):
    broken = cluster.add("broken", start=False)
    broken.beginning = Unreadable("a value of wsdgateway:x cannot be read")
    broken.start()
    assert lines(said, "desk: its data cannot be read, so it is released: a value of wsdgateway:x cannot be read")
