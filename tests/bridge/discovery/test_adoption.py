"""Tests of bridge.discovery.adoption: which devices may be adopted, exclusions, and the names of adopted scanners."""

import attrs
import pytest

from wsdgateway.bridge.discovery.adoption import (
    Adopted,
    Bridged,
    Restoring,
    duplicates,
    excluding,
    has_no_uuid,
    may_be_scanner,
    name_for,
    plan_restoring,
    read_exclusion,
)
from wsdgateway.bridge.discovery.presence import (
    STAND_IN,
    TYPES,
)
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.soap.namespaces import WSCN, WSDP

OTHER = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"


@pytest.mark.parametrize(("types", "looked_at"), [
    ((), True), (((WSDP, "Device"),), True), (((WSCN, "ScanDeviceType"),), True), (TYPES, False), ((STAND_IN,), False),
    (((WSDP, "Device"), ("urn:p", "PrintDeviceType")), True),
    (((WSDP, "Device"), ("http://schemas.microsoft.com/windows/pub/2005/07", "Computer")), False)])
def test_which_devices_may_be_scanners(types, looked_at):
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


ONE, TWO, THREE = (f"urn:uuid:00000000-0000-0000-0000-00000000000{number}" for number in range(1, 4))


@pytest.mark.parametrize(("stored", "bridge", "delete", "write"), [
    ([], [], [], []),
    ([(ONE, "a"), (TWO, "b")], [(ONE, "a"), (TWO, "b")], [], []),
    ([(ONE, "a"), (OTHER, "b")], [(ONE, "a")], [OTHER], []),  # it has a section now
    ([(ONE, "a"), (THREE, "b")], [(ONE, "a")], [THREE], []),  # a rule excludes it now
    ([(ONE.upper(), "a")], [(ONE, "a")], [ONE.upper()], [(ONE, "a")]),  # as spelled by an earlier version
    ([(ONE.removeprefix("urn:"), "a"), (ONE, "b")], [(ONE, "a")], [ONE.removeprefix("urn:")], [(ONE, "a")]),
    ([(ONE, "a"), (ONE.upper(), "b")], [(ONE, "a")], [ONE.upper()], []),
    ([(ONE, "front-desk")], [(ONE, "front-desk-0000")], [], [(ONE, "front-desk-0000")]),  # a section has that name
    ([(ONE, "front-desk"), (TWO, "front-desk-0000")], [(ONE, "front-desk-00000000"), (TWO, "front-desk-0000")], [],
     [(ONE, "front-desk-00000000")])])
def test_restoring_of_scanners_adopted_by_earlier_starts(stored, bridge, delete, write):
    plan = plan_restoring([Adopted(*one) for one in stored], configured={OTHER}, rules=[read_exclusion(THREE)],
                          names={"front-desk"})
    assert plan == Restoring(tuple(Adopted(*one) for one in bridge), tuple(delete),
                             tuple(Adopted(*one) for one in write))


PLACE, PLACE_2 = ("198.51.100.20", 80), ("198.51.100.21", 80)


@pytest.mark.parametrize(("configured", "found"), [
    ([], []),
    ([Bridged(ONE.upper(), {PLACE_2})], [ONE]),  # found by its UUID, in any spelling
    ([Bridged(THREE, {PLACE, PLACE_2})], []),  # another scanner, which formerly had this address
    ([Bridged(None, {PLACE})], [ONE]), ([Bridged(None, {PLACE_2})], [TWO]), ([Bridged(None, set())], []),
    ([Bridged(None, {PLACE}), Bridged(TWO, set())], [ONE, TWO])])
def test_adopted_scanners_that_are_also_configured(configured, found):
    assert duplicates([Bridged(ONE, {PLACE}), Bridged(TWO, {PLACE_2})], configured) == found
