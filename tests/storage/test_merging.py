"""Tests of storage.merging: merging the contents of a file with those in memory."""

import attrs

from tests.storage.stores import held, kept_offer, own_job, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage import recovery
from wsdgateway.storage.merging import LEFT, merge, name_of_job
from wsdgateway.storage.store import Content


def content(**more):
    return Content(**{name: tuple(value) if isinstance(value, list) else value for name, value in more.items()})


def test_merging_keeps_the_contents_in_memory_and_adds_the_rest():
    known = content(subscriptions=[subscription("a")], held=[held("a", notify_to="u/1"), held("", notify_to="u/2")],
                    instance=5, versions=[("x", "new", 3), ("y", "same", 2)])
    before = content(
        subscriptions=[subscription("a", expires_at=0.0), subscription("ended"), subscription("b", client="b")],
        held=[held("a", notify_to="u/1"), held("", notify_to="u/ended"), held("", notify_to="u/3"),
              held("b", notify_to="u/4"), held("c", notify_to="u/5")],
        adopted=[Adopted("urn:uuid:1", "one"), Adopted("urn:uuid:2", "two")], instance=9,
        versions=[("x", "old", 7), ("y", "same", 4), ("z", "z", 1)])
    merged, found = merge(known, before, {"ended", "u/ended", "urn:uuid:2"})
    b = subscription("b", client="b")
    left = [attrs.evolve(held("", notify_to="u/3"), identifier=f"{LEFT}3"), held("b", notify_to="u/4"),
            attrs.evolve(held("c", notify_to="u/5"), identifier=f"{LEFT}5")]
    assert found == content(subscriptions=[b], held=left, adopted=[Adopted("urn:uuid:1", "one")])
    assert merged == content(
        subscriptions=[subscription("a"), b], held=[*known.held, *left], adopted=[Adopted("urn:uuid:1", "one")],
        instance=9, versions=[("x", "new", 8), ("y", "same", 4), ("z", "z", 1)])
    assert merge(merged, before, {"ended", "u/ended", "urn:uuid:2"})[1].is_empty


def test_own_jobs_of_an_earlier_start_are_restored_unless_they_ended_or_began_again():
    known = content(own_jobs=[own_job("1", created="new"), own_job("4")])
    before = content(own_jobs=[own_job("1"), own_job("2"), own_job("3"), own_job("3", scanner="other")])
    merged, found = merge(known, before, {name_of_job("front-desk", "3")})
    assert found == content(own_jobs=[own_job("2"), own_job("3", scanner="other")])
    assert merged == content(own_jobs=[*known.own_jobs, *found.own_jobs])
    assert not found.is_empty


def test_contents_written_by_this_start_are_not_restored():
    known = content(subscriptions=[subscription("a")], held=[held("a")], instance=1)
    assert merge(known, known, ())[1].is_empty
    assert recovery.IN_MEMORY


def test_escl_ports_of_this_start_win():
    known = content(escl_ports=(("a", 8400), ("b", 8401)))
    before = content(escl_ports=(("a", 8402), ("c", 8401), ("d", 8403)))
    merged, _ = merge(known, before, ())
    assert merged.escl_ports == (("a", 8400), ("b", 8401), ("d", 8403))


def test_offers_of_escl_scanners_that_were_read_since_the_start_win():
    known, listed = content(escl_offers=(kept_offer("a"),)), content(
        escl_offers=(kept_offer("a", elements="<old/>"), kept_offer("b")))
    merged, restored = merge(known, listed, ())
    assert merged.escl_offers == (kept_offer("b"), kept_offer("a"))
    assert restored.escl_offers == ()
