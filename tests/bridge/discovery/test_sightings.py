"""What is made of discovery: stand-ins and their announcements, what is new of a device, who is adopted as what."""

import attrs
import pytest

from wsdgateway.bridge.discovery.adoption import excluding, has_no_uuid, may_be_scanner, name_for, read_exclusion
from wsdgateway.bridge.discovery.presence import (
    PROXY_TYPES,
    STAND_IN,
    TYPES,
    Bye,
    Hello,
    Presence,
    derived_endpoint,
    is_meant,
    proxy_service,
    stand_in_service,
)
from wsdgateway.bridge.discovery.sightings import CHANGE_SECONDS, LATE_SECONDS, MAX_SIGHTINGS, Left, Sighting, Sightings
from wsdgateway.discovery.messages import Message, Probe, Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.soap.namespaces import WSCN, WSDP

OTHER = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
ONE = TargetService("urn:uuid:A", ((WSDP, "Device"),), ("http://floor/3",), ("http://198.51.100.20/x",), 1)


def test_who_a_stand_in_is():
    assert derived_endpoint("urn:uuid:5") == derived_endpoint("URN:UUID:5") != derived_endpoint("urn:uuid:6")
    assert derived_endpoint("uuid:5") == derived_endpoint("urn:uuid:5")
    assert derived_endpoint("front-desk").startswith("urn:uuid:")
    service = stand_in_service("urn:uuid:5", ("http://a/b",), 3)
    assert is_meant(Probe(TYPES[1:]), service)
    assert is_meant(Probe((), ("http://a",)), service)
    assert not is_meant(Probe(((WSDP, "Printer"),)), service)
    assert not is_meant(Probe((), ("http://b",)), service)
    proxy = proxy_service("gw")
    assert all(is_meant(Probe((kind,)), proxy) for kind in PROXY_TYPES)
    assert not is_meant(Probe(((WSDP, "Device"),)), proxy)


def test_what_is_announced():
    presence = Presence()
    assert presence.update(None) == []
    assert presence.update(ONE) == [Hello(ONE)]
    assert presence.update(ONE) == []
    newer = TargetService(ONE.endpoint, ONE.types, ONE.scopes, ONE.xaddrs, 2)
    assert presence.update(newer) == [Hello(newer)]
    spelled = attrs.evolve(newer, endpoint="uuid:a")  # the same to clients that compare uuids: no Bye for it
    assert presence.update(spelled) == [Hello(spelled)]
    assert presence.update(newer) == [Hello(newer)]
    other = TargetService("urn:uuid:B")
    assert presence.update(other) == [Bye(ONE.endpoint), Hello(other)]
    assert presence.update(None) == [Bye("urn:uuid:B")]
    assert presence.update(None) == []


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
    assert (changed.sighting.types, changed.sighting.xaddrs) == (ONE.types, ONE.xaddrs)  # it still is the same
    assert not heard(table, "Hello", sequence=(6, 1), now=CHANGE_SECONDS - 1).started  # so soon after the last change
    started = heard(table, "ProbeMatches", sequence=(6, 2), now=CHANGE_SECONDS)
    assert (started.started, started.described) == (True, True)
    assert len(table.all()) == 1


def test_a_device_that_spells_its_uuid_in_two_ways_is_one():
    table = Sightings()
    heard(table, "Hello", attrs.evolve(ONE, endpoint="uuid:A"))
    changed = heard(table, "ProbeMatches", attrs.evolve(ONE, endpoint="URN:UUID:a", metadata_version=2),
                    sequence=(5, 2))
    assert changed.described
    assert [one.endpoint for one in table.all()] == ["URN:UUID:a"]  # as it spelled it last
    assert table.get("uuid:a") is changed.sighting
    assert heard(table, "Bye", attrs.evolve(ONE, endpoint="uuid:a"), sequence=(5, 3)) == Left("uuid:a")
    assert heard(table, "Bye", attrs.evolve(ONE, endpoint="urn:uuid:a"), sequence=(5, 4)) is None


def test_what_is_older_says_nothing():
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


def test_a_device_that_says_hello_again_may_have_been_away():
    """Some devices start with the same InstanceId each time, or send none."""
    table = Sightings()
    assert not heard(table, "Hello", sequence=(0, 1)).returned
    assert not heard(table, "ProbeMatches", sequence=(0, 2), now=20.0).returned
    assert heard(table, "Hello", sequence=(0, 1), now=40.0).returned
    assert not heard(table, "Hello", sequence=(0, 2), now=40.5).returned  # over another link
    again = heard(table, "Hello", sequence=None, now=41.0)
    assert (again.returned, again.started, again.described) == (True, False, False)


def test_sightings_are_bounded():
    table = Sightings()
    for number in range(MAX_SIGHTINGS + 1):
        heard(table, "Hello", TargetService(f"urn:uuid:{number}"))
    assert len(table.all()) == MAX_SIGHTINGS
    assert table.get("urn:uuid:0") is None
    assert table.get("URN:UUID:1").endpoint == "urn:uuid:1"


@pytest.mark.parametrize(("types", "looked_at"), [
    ((), True), (((WSDP, "Device"),), True), (((WSCN, "ScanDeviceType"),), True), (TYPES, False), ((STAND_IN,), False),
    (((WSDP, "Device"), ("urn:p", "PrintDeviceType")), True),
    (((WSDP, "Device"), ("http://schemas.microsoft.com/windows/pub/2005/07", "Computer")), False)])
def test_who_may_be_a_scanner(types, looked_at):
    for spelled in (OTHER.upper(), OTHER.removeprefix("urn:"), f"urn:uuid:{{{OTHER.removeprefix('urn:uuid:')}}}"):
        assert may_be_scanner(spelled, types) is looked_at
    assert not may_be_scanner("urn:uuid:desk", types)
    assert not may_be_scanner(f"{OTHER}0", types)
    assert not may_be_scanner("https://192.0.2.1/d", types)
    assert has_no_uuid("https://192.0.2.1/d", types) is looked_at
    assert not has_no_uuid(OTHER, types) and not has_no_uuid("http://192.0.2.1/d", types)


SEEN = Sighting("urn:uuid:37F86D35-e6ac-4241-964f-1d9ae46fb366", (), (), (), 1, None, "eth1", 0.0)


@pytest.mark.parametrize(("rule", "excluded"), [
    ("urn:uuid:37f86d35-E6AC-4241-964f-1d9ae46fb366", True), ("uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", True),
    ("{37F86D35-e6ac-4241-964f-1d9ae46fb366}", True), ("uuid:47f86d35-e6ac-4241-964f-1d9ae46fb366", False),
    ("urn:uuid:47f86d35-e6ac-4241-964f-1d9ae46fb366", False),
    ("198.51.100.20", True), ("198.51.100.16/28", True), ("198.51.100.32/28", False), ("fe80::/10", True),
    ("laserjet*", True), ("HP LaserJet 4?0", True), ("Copy room", True), ("LaserJet", False), ("*jet", False)])
def test_exclusions(rule, excluded):
    rules = [read_exclusion(rule)]
    for seen in (SEEN, attrs.evolve(SEEN, endpoint=SEEN.endpoint.removeprefix("urn:"))):
        found = excluding(rules, seen, hosts=["198.51.100.20", "fe80::1%eth1", "name.example"],
                          models=("LaserJet 400", "HP LaserJet 400", "Copy Room", ""))
        assert (found is not None) is excluded


@pytest.mark.parametrize(("friendly", "taken", "name"), [
    ("Front Desk", (), "front-desk"), ("  HP LaserJet (Büro 3) ", (), "hp-laserjet-buro-3"), ("扫描仪", (), "scanner"),
    ("", (), "scanner"), ("x" * 100, (), "x" * 40), ("Front Desk", ("front-desk",), "front-desk-37f8"),
    ("Front Desk", ("front-desk", "front-desk-37f8"), "front-desk-37f86d35"),
    ("Front Desk", ("front-desk", "front-desk-37f8", "front-desk-37f86d35", "front-desk-2"), "front-desk-3")])
def test_names(friendly, taken, name):
    assert name_for(friendly, SEEN.endpoint, taken) == name
    assert name_for(friendly, SEEN.endpoint.removeprefix("urn:"), taken) == name
    assert len(name) <= 63
