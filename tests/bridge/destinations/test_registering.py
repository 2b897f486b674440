"""Tests of bridge.destinations.registering: which subscriptions show which names, and what the answers mean."""

import pytest
from lxml import etree

from wsdgateway.bridge.destinations.registering import (
    TOGETHER,
    Entry,
    entries_for,
    goes_on,
    is_own,
    is_single,
    kept_tokens,
    may_take_single,
    plan,
    shown_by,
    takes_list,
    tokens_of,
)
from wsdgateway.bridge.events.upstream_core import NO_MANAGER
from wsdgateway.bridge.events.upstreamcommands import Held, Shown
from wsdgateway.scan.destinations import read_destinations

A, B = Entry("A", "ctx-a"), Entry("B", "ctx-b")


def test_contexts_are_stable_and_differ_by_gateway_and_name():
    first = entries_for("gw-1", ["Mail", "Archive"])
    assert first == entries_for("gw-1", ["Mail", "Archive"])
    contexts = {one.context for one in (*first, *entries_for("gw-2", ["Mail", "Archive"]))}
    assert len(contexts) == 4
    assert all(one.isascii() and len(one) < 32 for one in contexts)


def test_one_subscription_for_all_or_one_for_each():
    [together] = plan((A, B), singly=False)
    assert (together.identifier, together.entries) == (TOGETHER, (A, B))
    assert [one.entries for one in plan((A, B), singly=True)] == [(A,), (B,)]
    assert plan((), singly=False) == plan((), singly=True) == []
    identifiers = [one.identifier for one in (together, *plan((A, B), singly=True))]
    assert [is_own(one) for one in identifiers] == [True, True, True]
    assert [is_single(one) for one in identifiers] == [False, True, True]
    assert not is_own("") and not is_own("2f0c5f6e-1111-4111-8111-111111111111") and not is_own("left abc")


def test_names_are_written_as_clients_write_them():
    [one] = plan(entries_for("gw", ['Fritz & "Söhne" <x>', "B"]), singly=False)
    body = etree.fromstring(f"<x>{one.xml}</x>")
    found = read_destinations(body)
    assert [name for _, name in found.listed] == ['Fritz & "Söhne" <x>', "B"]
    assert [context for context, _ in found.listed] == [entry.context for entry in one.entries]


@pytest.mark.parametrize(("answered", "tokens", "all_there"), [
    ([("ctx-a", "1"), ("ctx-b", "2")], {"ctx-a": "1", "ctx-b": "2"}, True),
    ([("ctx-b", "2"), ("ctx-a", "1")], {"ctx-a": "1", "ctx-b": "2"}, True),
    ([("ctx-a", "1")], {"ctx-a": "1"}, False), ([], {}, False),
    ([("", "1"), ("", "2")], {"ctx-a": "1", "ctx-b": "2"}, True),
    ([("x", "1"), ("y", "2"), ("z", "3")], {}, False),
])
def test_tokens(answered, tokens, all_there):
    assert tokens_of((A, B), answered) == tokens
    assert takes_list((A, B), tokens) is all_there
    assert takes_list((A,), {})


BOTH = (("ctx-a", "1"), ("ctx-b", "2"))


@pytest.mark.parametrize(("entries", "answered", "planned", "same"), [
    ((A, B), BOTH, (A, B), True), ((A, B), BOTH, (B, A), False), ((A, B), BOTH, (A,), False),
    ((A,), BOTH[:1], (A, B), False), ((A,), BOTH[:1], (Entry("A", "ctx-c"),), False),
    ((A,), BOTH[:1], (Entry("C", "ctx-a"),), False), ((A, B), BOTH[:1], (A, B), False), ((A,), (), (A,), True)])
def test_a_subscription_goes_on_if_it_shows_what_is_planned(entries, answered, planned, same):
    left = Held("front-desk", TOGETHER, "http://d/scan", "http://gw/s", NO_MANAGER, 0.0, shown_by(entries, answered))
    [one] = plan(planned, singly=False)
    assert goes_on(one, left) is same


def test_kept_tokens():
    shown = shown_by((A, B), BOTH[:1])
    assert shown == (Shown("ctx-a", "A", "1"), Shown("ctx-b", "B", None))
    held = Held("front-desk", TOGETHER, "http://d/scan", "http://gw/s", NO_MANAGER, 0.0, shown)
    assert kept_tokens(held) == {"ctx-a": "1"}
    [one] = plan((A,), singly=False)
    assert not goes_on(one, Held("front-desk", TOGETHER, "http://d/scan", "http://gw/s", NO_MANAGER, 0.0))


@pytest.mark.parametrize(("refusal", "single"), [
    ("InvalidMessage", True), ("OperationFailed", True), ("400", True), ("ActionNotSupported", False), ("404", False),
    ("", False)])
def test_a_refused_list(refusal, single):
    assert may_take_single(refusal) is single
