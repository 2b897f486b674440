"""Tests of bridge.roundrobin: owners take turns, and an item of several owners is served once, in the earliest turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.bridge.roundrobin import RoundRobin


def served(queue):
    """Serves all items; returns them in the order of service."""
    found = []
    while queue:
        found.append(queue.first)
        queue.serve(queue.first)
    return found


def filled(**items):
    queue = RoundRobin()
    for owner, names in items.items():
        for name in names:
            queue.add(owner, name)
    return queue


def test_owners_take_turns_and_the_items_of_each_keep_their_order():
    assert served(filled(a=["a1", "a2", "a3"], b=["b1"], c=["c1", "c2"])) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_a_newcomer_is_served_after_one_item_of_an_owner_with_a_hundred():
    queue = filled(a=range(100))
    queue.serve(queue.first)
    queue.add("b", "b1")
    assert served(queue)[:3] == [1, "b1", 2]


def test_an_owner_without_items_loses_its_turn():
    queue = filled(a=["a1"], b=["b1", "b2"])
    assert queue.remove("a1")
    assert not queue.remove("a1")
    queue.add("a", "a2")
    assert served(queue) == ["b1", "a2", "b2"]


def test_an_item_of_several_owners_is_served_in_the_earliest_turn_and_once():
    queue = filled(a=["a1", "a2", "both"], b=["b1"])
    queue.add("c", "both")
    assert queue.owners("both") == ("a", "c")
    assert served(queue) == ["a1", "b1", "both", "a2"]
    assert (len(queue), queue.owners("both")) == (0, ())


def test_an_item_served_out_of_turn_uses_its_owners_turn():
    queue = filled(a=["a1"], b=["b1", "b2"], c=["c1"])
    assert list(queue.firsts()) == ["a1", "b1", "c1"]
    queue.serve("b1")
    assert served(queue) == ["a1", "c1", "b2"]


def test_the_owner_with_the_most_items():
    queue = filled(a=["a1"], b=["b1", "b2"])
    assert (queue.largest(), queue.newest("b"), queue.count("b"), queue.count("x")) == ("b", "b2", 2, 0)
    assert queue.clear() == ["a1", "b1", "b2"]
    with pytest.raises(ValueError):
        queue.largest()


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=60))
def test_no_owner_waits_for_more_than_one_item_of_each_other_owner(steps):
    """While an owner waits, each other owner is served at most once more than the waiting owner."""
    queue, number, since = RoundRobin(), 0, {}
    for owner, serves in steps:
        if not serves:
            number += 1
            queue.add(owner, (owner, number))
            since.setdefault(owner, {})
            continue
        if not queue:
            continue
        served_owner, _ = item = queue.first
        queue.serve(item)
        for waiting in [one for one in since if one != served_owner]:
            since[waiting][served_owner] = since[waiting].get(served_owner, 0) + 1
            assert since[waiting][served_owner] <= 1
        if queue.count(served_owner):
            since[served_owner] = {}
        else:
            del since[served_owner]
