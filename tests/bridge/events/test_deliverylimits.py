"""Tests of bridge.events.deliverylimits: which delivery begins next while others are open."""

import pytest

from wsdgateway.bridge.events.deliverylimits import FRESH_SECONDS, MAX_FRESH, DeliveryLimits


class Table:
    """Deliveries named after their scanner and a number."""

    def __init__(self, limit, waiting):
        self.limits = DeliveryLimits(limit)
        self.now = 0.0
        for name in waiting.split():
            self.limits.add(name[0], name)

    def begin(self):
        """Begins all deliveries that may begin now; returns their names."""
        begun = []
        while (name := self.limits.next(self.now)) is not None:
            self.limits.begin(name, self.now)
            begun.append(name)
        return " ".join(begun)


@pytest.mark.parametrize(("limit", "waiting", "begun"), [
    (8, "a1 a2 a3", "a1 a2 a3"),
    (8, "a1 a2 a3 a4 a5 a6", "a1 a2 a3 a4"),  # one scanner may have at most half of them
    (8, "a1 a2 b1 b2 c1", "a1 b1 c1 a2 b2"),
    (4, "a1 a2 a3 b1 b2 b3", "a1 b1 a2 b2"),
    (1, "a1 a2 b1", "a1"), (8, "", "")])
def test_scanners_take_turns_up_to_their_limits(limit, waiting, begun):
    assert Table(limit, waiting).begin() == begun


def test_a_finished_delivery_makes_room_for_another():
    table = Table(4, "a1 a2 a3 a4 b1")
    assert table.begin() == "a1 b1 a2"
    assert table.limits.open == 3
    table.limits.close("b1")
    assert table.begin() == ""  # a has its share
    table.limits.close("a1")
    assert table.begin() == "a3"
    assert (table.limits.open, table.limits.waiting("a")) == (2, 1)


def test_a_removed_delivery_does_not_begin():
    table = Table(4, "a1 a2 a3")
    assert table.limits.remove("a1")
    assert not table.limits.remove("a1")
    assert table.begin() == "a2 a3"
    assert not table.limits.remove("a2")
    table.limits.clear()
    assert table.limits.waiting("a") == 0


def test_the_number_of_deliveries_that_begin_at_once_is_limited():
    table = Table(10 * MAX_FRESH, " ".join(f"a{number}" for number in range(MAX_FRESH + 2)))
    assert table.limits.fresh_for(0.0) is None
    assert len(table.begin().split()) == MAX_FRESH
    table.now = 0.1
    assert table.limits.fresh_for(table.now) == pytest.approx(FRESH_SECONDS - 0.1)
    table.limits.close("a0")
    assert table.begin() == f"a{MAX_FRESH}"
    table.now = FRESH_SECONDS
    assert table.limits.fresh_for(table.now) is None
    assert table.begin() == f"a{MAX_FRESH + 1}"
