"""Tests of bridge.discovery.sightings: the changes that discovery messages make to the known devices."""

import attrs

from tests.bridge.discovery.services import ONE
from wsdgateway.bridge.discovery.sightings import CHANGE_SECONDS, LATE_SECONDS, MAX_SIGHTINGS, Left, Sighting, Sightings
from wsdgateway.discovery.messages import Message, Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04


def heard(table, name, service=ONE, sequence=(5, 1), now=0.0, via="eth1"):
    news = table.hear(Message(WS_2005_04, name, "urn:uuid:m", None, sequence and Sequence(*sequence), (service,)), via,
                      now)
    assert len(news) <= 1
    return news[0] if news else None


def test_a_device_is_seen_and_changes():
    table = Sightings()
    first = heard(table, "Hello")
    assert (first.started, first.described, first.resolved) == (False, False, True)
    assert first.sighting == Sighting("urn:uuid:A", ONE.types, ONE.scopes, ONE.xaddrs, 1, Sequence(5, 1), "eth1", 0.0)
    again = heard(table, "ProbeMatches", sequence=(5, 2))
    assert (again.started, again.described) == (False, False)
    changed = heard(table, "Hello", TargetService("urn:uuid:a", (), (), (), 2), sequence=(5, 3))
    assert (changed.started, changed.described, changed.resolved) == (False, True, False)
    assert (changed.sighting.types, changed.sighting.xaddrs) == (ONE.types, ONE.xaddrs)  # the other contents are kept
    assert not heard(table, "Hello", sequence=(6, 1), now=CHANGE_SECONDS - 1).started  # too soon after the last change
    started = heard(table, "ProbeMatches", sequence=(6, 2), now=CHANGE_SECONDS)
    assert (started.started, started.described) == (True, True)
    assert len(table.all()) == 1


def test_two_spellings_of_a_uuid_are_one_device():
    table = Sightings()
    heard(table, "Hello", attrs.evolve(ONE, endpoint="uuid:A"))
    changed = heard(table, "ProbeMatches", attrs.evolve(ONE, endpoint="URN:UUID:a", metadata_version=2),
                    sequence=(5, 2))
    assert changed.described
    assert [one.endpoint for one in table.all()] == ["URN:UUID:a"]  # the last spelling
    assert table.get("uuid:a") is changed.sighting
    assert heard(table, "Bye", attrs.evolve(ONE, endpoint="uuid:a"), sequence=(5, 3)) == Left("uuid:a")
    assert heard(table, "Bye", attrs.evolve(ONE, endpoint="urn:uuid:a"), sequence=(5, 4)) is None


def test_older_messages_are_ignored():
    table = Sightings()
    heard(table, "Hello", sequence=(5, 10))
    assert heard(table, "Hello", sequence=(5, 9), now=LATE_SECONDS) is None
    assert heard(table, "Bye", sequence=(4, 99)) is None
    assert heard(table, "Hello", sequence=(5, 10)) is not None
    late = heard(table, "Hello", sequence=(3, 1), now=LATE_SECONDS + 1)  # its clock was reset
    assert late.started
    unnumbered = heard(table, "ProbeMatches", sequence=None, now=LATE_SECONDS + 2)
    assert not unnumbered.started
    assert unnumbered.sighting.sequence == Sequence(3, 1)


def test_a_device_leaves_and_starts_again():
    table = Sightings()
    assert heard(table, "Bye") == Left("urn:uuid:A")
    heard(table, "Hello", sequence=(5, 1))
    assert heard(table, "Bye", sequence=(5, 2)) == Left("urn:uuid:A")
    assert heard(table, "Bye", sequence=(5, 3), now=1.0) is None
    assert heard(table, "Hello", sequence=(6, 1), now=60.0).started


def test_a_repeated_hello_may_mean_that_the_device_was_away():
    """Some devices use the same InstanceId at each start, or send none."""
    table = Sightings()
    assert not heard(table, "Hello", sequence=(0, 1)).returned
    assert not heard(table, "ProbeMatches", sequence=(0, 2), now=20.0).returned
    assert heard(table, "Hello", sequence=(0, 1), now=40.0).returned
    assert not heard(table, "Hello", sequence=(0, 2), now=40.5).returned  # over another link
    again = heard(table, "Hello", sequence=None, now=41.0)
    assert (again.returned, again.started, again.described) == (True, False, False)


def test_the_number_of_sightings_is_limited():
    table = Sightings()
    for number in range(MAX_SIGHTINGS + 1):
        heard(table, "Hello", TargetService(f"urn:uuid:{number}"))
    assert len(table.all()) == MAX_SIGHTINGS
    assert table.get("urn:uuid:0") is None
    assert table.get("URN:UUID:1").endpoint == "urn:uuid:1"
