"""Tests of bridge.cluster.candidates: the order in which gateways try, and when an owner gives a scanner away."""

import attrs
import pytest

from wsdgateway.bridge.cluster.candidates import (
    GIVE_UP_AGAIN,
    GIVE_UP_REACHING,
    STEP,
    WISH_WAIT,
    Reach,
    delay,
    wished_for,
)
from wsdgateway.bridge.cluster.values import Registration, View

ALL = [Registration(name, f"print-{name}", "", "1", {"desk": "1"}) for name in "abcd"]


def view(gateways=ALL, **more):
    return View(1e9, 1, 0.0, tuple(gateways), {}, frozenset(), **more)


def delays(seen, former=None, scanner="desk"):
    """The places in the order, by gateway."""
    return {gateway.identifier: round(delay(seen, scanner, gateway.identifier, former) / STEP, 3)
            for gateway in seen.gateways}


def changed(name, **changes):
    return [attrs.evolve(gateway, **changes) if gateway.identifier == name else gateway for gateway in ALL]


def test_without_a_former_owner_all_try_one_after_the_other():
    assert sorted(delays(view()).values()) == [0, 1, 2, 3]


def test_the_order_differs_from_scanner_to_scanner_and_only_those_of_a_gateway_that_goes_move():
    scanners = [f"scanner-{number}" for number in range(40)]
    all_sections = dict.fromkeys(scanners, "1")
    gateways = [attrs.evolve(gateway, sections=all_sections) for gateway in ALL]

    def first(gateways, scanner):
        return min(delays(view(gateways), scanner=scanner).items(), key=lambda item: item[1])[0]

    before = {scanner: first(gateways, scanner) for scanner in scanners}
    assert set(before.values()) == set("abcd")
    for scanner, gateway in before.items():
        if gateway != "d":
            assert first(gateways[:3], scanner) == gateway


def test_the_former_owner_tries_at_once():
    assert delays(view(), "c")["c"] == 0
    assert sorted(delays(view(), "c").values()) == [0, 1, 2, 3]


def test_the_holder_of_the_shared_address_tries_at_once():
    assert delays(view(changed("b", holds_address=True)), "c")["b"] == 0
    assert sorted(delays(view(changed("b", holds_address=True)), "c").values()) == [0, 0, 1, 2]


def test_a_gateway_that_does_not_reach_the_scanner_is_last():
    unreachable = view(changed("c", unreachable=frozenset({"desk"}), holds_address=True))
    assert delays(unreachable, "c")["c"] == 3


def test_a_gateway_that_is_not_configured_for_the_scanner_is_no_candidate():
    seen = view(changed("c", sections={"hall": "1"}))
    assert sorted(delays(seen)[name] for name in "abd") == [0, 1, 2]


def test_all_wait_for_the_gateway_that_is_wished_for():
    seen = view(wishes={"desk": "print-d"})
    waits = delays(seen, "a")
    assert waits["d"] == 0
    assert waits["a"] == pytest.approx(WISH_WAIT / STEP, abs=0.01)
    assert min(waits[name] for name in "bc") == pytest.approx(WISH_WAIT / STEP + 1, abs=0.01)


@pytest.mark.parametrize(("wish", "gateways"), [("print-x", ALL), ("print-d", changed("d", sections={}))])
def test_a_wish_for_a_gateway_that_cannot_own_the_scanner_has_no_effect(wish, gateways):
    seen = view(gateways, wishes={"desk": wish})
    assert wished_for(seen, "desk") is None
    assert delays(seen, "a")["a"] == 0


def test_all_wait_for_a_gateway_that_goes_on_alone():
    waits = delays(view(changed("b", alone={"desk": 7}), wishes={"desk": "print-d"}), "a")
    assert min(waits[name] for name in "acd") >= 1


class Reaching:
    """An owner, a, that reaches its scanner or not."""

    def __init__(self):
        self.reach = Reach()

    def gives_up(self, now, gateways=ALL):
        return self.reach.gives_up(view(gateways), "desk", "a", now)


def test_an_owner_gives_up_a_scanner_that_it_cannot_reach():
    owner = Reaching()
    assert not owner.gives_up(1000.0)
    owner.reach.failed(1000.0)
    owner.reach.failed(1010.0)
    assert not owner.gives_up(1000.0 + GIVE_UP_REACHING - 1.0)
    assert owner.gives_up(1000.0 + GIVE_UP_REACHING)


def test_an_owner_that_reaches_the_scanner_again_keeps_it():
    owner = Reaching()
    owner.reach.failed(1000.0)
    owner.reach.reached(1010.0)
    owner.reach.failed(1020.0)
    assert not owner.gives_up(1000.0 + GIVE_UP_REACHING)
    assert owner.gives_up(1020.0 + GIVE_UP_REACHING)


def test_an_owner_keeps_a_scanner_that_nobody_reaches():
    owner = Reaching()
    owner.reach.failed(1000.0)
    nobody = [attrs.evolve(gateway, unreachable=frozenset({"desk"})) for gateway in ALL[1:]]
    assert not owner.gives_up(1100.0, [ALL[0], *nobody])
    assert not owner.gives_up(1100.0, ALL[:1])
    assert owner.gives_up(1100.0, ALL)


def test_an_owner_gives_up_a_scanner_once_in_ten_minutes():
    owner = Reaching()
    owner.reach.failed(1000.0)
    assert owner.gives_up(1030.0)
    owner.reach.ended()
    owner.reach.reached(1040.0)
    owner.reach.failed(1050.0)
    assert not owner.gives_up(1030.0 + GIVE_UP_AGAIN - 1.0)
    assert owner.gives_up(1030.0 + GIVE_UP_AGAIN)


def test_the_others_are_told_for_ten_minutes_that_the_scanner_could_not_be_reached():
    reach = Reach()
    assert not reach.is_unreachable(1000.0)
    reach.failed(1000.0)
    reach.ended()
    assert reach.is_unreachable(1000.0 + GIVE_UP_AGAIN - 1.0)
    assert not reach.is_unreachable(1000.0 + GIVE_UP_AGAIN)
