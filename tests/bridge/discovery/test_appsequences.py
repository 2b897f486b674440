"""Tests of bridge.discovery.appsequences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.bridge.discovery import appsequences
from wsdgateway.bridge.discovery.appsequences import AppSequences
from wsdgateway.discovery.messages import Sequence


@pytest.fixture
def shared():
    """The sequences of one of several gateways, which has drawn 20 and taken over two scanners."""
    made = AppSequences(7, each_begins=True)
    made.drawn(20)
    made.begin("one")
    made.begin("two")
    return made


def test_a_gateway_of_its_own_counts_for_each_stand_in():
    sequences = AppSequences(7)
    assert [sequences.next([name]) for name in ("one", "two", "one")] == [
        Sequence(7, 1), Sequence(7, 1), Sequence(7, 2)]
    assert sequences.next() == Sequence(7, 1)
    assert sequences.next(["one", "two", "three"]) == Sequence(7, 3)
    assert sequences.next(["three"]) == Sequence(7, 4)
    sequences.drawn(8)
    assert sequences.next(["one"]) == Sequence(8, 1)


def test_each_ownership_has_an_instance_id(shared):
    assert (shared.next(["one"]), shared.next(["one"])) == (Sequence(20, 1), Sequence(20, 2))
    shared.drawn(25)
    shared.begin("two")
    assert (shared.next(["one"]), shared.next(["two"])) == (Sequence(20, 3), Sequence(25, 1))
    assert shared.next() == Sequence(7, 1)  # of the gateway itself
    assert shared.instance_id == 25


def test_a_message_about_several_raises_all_of_them(shared):
    shared.next(["one"])
    shared.drawn(25)
    assert shared.next(["one", "two"]) == Sequence(25, 1)
    assert (shared.next(["one"]), shared.next(["two"])) == (Sequence(25, 2), Sequence(25, 2))


def test_a_message_beside_stand_ins_of_other_gateways(shared):
    shared.drawn(30)  # by another gateway, whose answer has it
    assert shared.next(["one"], beside_others=True) == Sequence(30, 1)
    assert (shared.next(["one"]), shared.next(["two"])) == (Sequence(30, 2), Sequence(20, 1))


def test_nothing_is_sent_without_an_instance_id(shared):
    assert not shared.has("three")
    assert shared.next(["three"]) is shared.next(["one", "three"]) is None
    shared.end("one")
    assert shared.next(["one"]) is None
    assert shared.has("") and AppSequences(7).has("three")


def test_forgotten_sequences_do_not_begin_again(monkeypatch):
    monkeypatch.setattr(appsequences, "MAX_SEQUENCES", 2)
    sequences = AppSequences(7)
    for name in ("one", "one", "two", "three"):
        sequences.next([name])
    assert sequences.next(["one"]) == Sequence(7, 3)


@given(st.lists(st.one_of(
    st.tuples(st.just("send"), st.sets(st.sampled_from("abc"), min_size=1), st.booleans()),
    st.tuples(st.just("take"), st.sampled_from("abc"), st.just(False))), max_size=40))
def test_no_client_sees_a_lower_sequence(actions):
    """Two gateways draw from one counter and take the scanners from each other."""
    gateways = [AppSequences(0, each_begins=True) for _ in range(2)]
    drawn, owners, seen = 100, {}, {}
    for kind, names, others in actions:
        if kind == "take":
            drawn += 1
            owner = owners[names] = 1 - owners.get(names, 1)
            gateways[owner].drawn(drawn)
            gateways[owner].begin(names)
            continue
        for number, gateway in enumerate(gateways):
            own = sorted(name for name in names if owners.get(name) == number)
            sent = gateway.next(own, beside_others=others) if own else None
            for name in own:
                now = sent.instance_id, sent.message_number
                assert now > seen.get(name, (0, 0))
                seen[name] = now
