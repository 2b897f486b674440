"""Tests of bridge.discovery.candidates: which discovered devices are asked, adopted and forgotten."""

import attrs
import pytest

from wsdgateway.bridge.discovery.adoption import Adopted, read_exclusion
from wsdgateway.bridge.discovery.candidates import (
    MAX_ADOPTED,
    MAX_DEVICES,
    RETRY_SECONDS,
    Candidates,
    Excluded,
    NotAdopted,
    ScanDevice,
    Step,
    is_same_device,
    places,
)
from wsdgateway.bridge.discovery.presence import STAND_IN
from wsdgateway.bridge.discovery.sightings import News, Sighting
from wsdgateway.metadata.messages import Labels

HERE, THERE = "http://192.0.2.20/d", "http://192.0.2.21/d"
SECURE = "https://192.0.2.20/d"


def uuid(number):
    return f"urn:uuid:00000000-0000-0000-0000-{number:012x}"


ONE = uuid(1)


def seen(endpoint=ONE, *xaddrs, types=()):
    return Sighting(endpoint, types, (), xaddrs or (HERE,), 1, None, "eth1", 0.0)


def news(endpoint=ONE, *xaddrs, types=(), **more):
    return News(seen(endpoint, *xaddrs, types=types), **more)


def scanner(name="Copy Room", scan="http://192.0.2.20/scan"):
    return ScanDevice(Labels(name, "Acme", "3000"), HERE, scan)


def judge(candidates, key=ONE, found=None, rules=(), bridged=(), names=()):
    return candidates.judge(key, found or scanner(), seen(key), rules=[read_exclusion(rule) for rule in rules],
                            bridged=lambda: set(bridged), names=lambda: set(names))


def asked(*endpoints):
    candidates = Candidates()
    for endpoint in endpoints:
        candidates.taken(seen(endpoint))
    return candidates


@pytest.mark.parametrize(("what", "step"), [
    (news(), Step.ASK), (news(ONE.upper()), Step.ASK), (news(SECURE), Step.EXPLAIN),
    (news(types=(STAND_IN,)), Step.NOTHING), (news(SECURE, types=(STAND_IN,)), Step.NOTHING),
    (news("http://192.0.2.20/d"), Step.NOTHING),
    (News(attrs.evolve(seen(), xaddrs=())), Step.NOTHING)])  # it is resolved first
def test_a_device_is_asked_if_it_may_be_a_scanner(what, step):
    candidates = Candidates()
    assert candidates.step(what, 0.0) is step
    assert candidates.step(what, 0.0) is step  # until the step has been taken


@pytest.mark.parametrize(("again", "step"), [
    (news(), Step.NOTHING), (news(ONE.upper()), Step.NOTHING), (news(described=True), Step.ASK),
    (news(ONE, THERE), Step.ASK), (news(started=True, returned=True), Step.NOTHING)])
def test_a_device_is_asked_again_only_if_something_may_have_changed(again, step):
    assert asked(ONE).step(again, 1000.0) is step


def test_an_adopted_scanner_is_asked_again_only_if_it_announces_a_change():
    candidates = asked(ONE)
    candidates.restore(ONE)
    assert candidates.step(news(ONE, THERE), 0.0) is Step.NOTHING  # its own bridge follows the address
    assert candidates.step(news(described=True), 0.0) is Step.ASK


def test_a_device_without_a_uuid_is_logged_once():
    assert asked(SECURE).step(news(SECURE, THERE, described=True), 0.0) is Step.NOTHING


@pytest.mark.parametrize("again", [news(), news(ONE, THERE, described=True)])
def test_a_device_that_gave_no_metadata_is_asked_again_after_a_pause(again):
    candidates = asked(ONE)
    candidates.failed(ONE, "it does not answer", 100.0)
    assert candidates.step(again, 100.0 + RETRY_SECONDS - 0.1) is Step.NOTHING
    assert candidates.step(again, 100.0 + RETRY_SECONDS) is Step.ASK
    candidates.taken(again.sighting)
    assert candidates.step(again, 100.0 + RETRY_SECONDS) is (Step.ASK if again.described else Step.NOTHING)


def test_a_repeated_problem_is_not_new():
    candidates = asked(ONE)
    assert [candidates.failed(ONE, problem, 0.0) for problem in ("a", "a", "b", "b", "a")] == [
        True, False, True, False, True]
    candidates.answered(ONE)
    assert candidates.failed(ONE, "a", 0.0)


def test_if_there_are_too_many_devices_the_one_asked_longest_ago_is_forgotten():
    candidates = asked(*map(uuid, range(MAX_DEVICES)))
    candidates.failed(uuid(1), "it does not answer", 0.0)
    candidates.taken(seen(uuid(0)))  # asked once more
    candidates.taken(seen(uuid(MAX_DEVICES)))
    assert candidates.step(news(uuid(0)), 0.0) is Step.NOTHING
    assert candidates.step(news(uuid(1)), 0.0) is Step.ASK
    assert candidates.failed(uuid(1), "it does not answer", 0.0)


def test_an_adopted_scanner_gets_an_unused_name():
    candidates = Candidates()
    assert judge(candidates, names=("copy-room",)) == Adopted(ONE, "copy-room-0000")
    assert candidates.has_adopted(ONE)
    assert judge(candidates, found=scanner("Other")) is NotAdopted.BRIDGED
    second, third = judge(candidates, uuid(2), scanner("Hall")), judge(candidates, uuid(3), scanner("Hall"))
    assert (second.name, third.name) == ("hall", "hall-0000")  # the second has no section yet and is not stored
    candidates.stored(second)
    assert judge(candidates, uuid(4), scanner("Hall")).name == "hall"


@pytest.mark.parametrize(("bridged", "is_bridged"), [
    ((), False), ((("192.0.2.20", 80),), True), ((("192.0.2.20", 5357),), False), ((("192.0.2.21", 80),), False)])
def test_a_scanner_bridged_by_its_address_is_not_adopted(bridged, is_bridged):
    candidates = Candidates()
    assert (judge(candidates, bridged=bridged) is NotAdopted.BRIDGED) is is_bridged
    assert candidates.has_adopted(ONE) is not is_bridged


@pytest.mark.parametrize("rule", [ONE, "192.0.2.20", "Acme*"])
def test_a_rule_excludes_devices_and_ends_adoptions(rule):
    candidates = Candidates()
    assert judge(candidates, rules=(rule,)) == Excluded(read_exclusion(rule), was_adopted=False)
    candidates.restore(ONE)
    assert judge(candidates, rules=(rule,)) == Excluded(read_exclusion(rule), was_adopted=True)
    assert not candidates.has_adopted(ONE)
    assert judge(candidates, rules=(rule,)) == Excluded(read_exclusion(rule), was_adopted=False)


def test_the_number_of_adopted_scanners_is_limited():
    candidates = Candidates()
    for number in range(MAX_ADOPTED):
        candidates.restore(uuid(number))
    assert judge(candidates, uuid(MAX_ADOPTED)) is NotAdopted.TOO_MANY
    candidates.forget(uuid(0))
    assert judge(candidates, uuid(MAX_ADOPTED)) == Adopted(uuid(MAX_ADOPTED), "copy-room")


def test_a_device_that_could_not_be_stored_is_asked_again():
    candidates = asked(ONE)
    adopted = judge(candidates)
    candidates.not_stored(adopted)
    assert not candidates.has_adopted(ONE)
    assert candidates.step(news(), 0.0) is Step.ASK
    assert judge(candidates) == adopted


def test_the_places_of_a_scanner():
    sighting = seen(ONE, "http://192.0.2.20/d", "http://[2001:db8::5]:3702/d", "soap.udp://x")
    assert places(scanner(scan="http://printer:5357/scan"), sighting) == {
        ("192.0.2.20", 5357), ("2001:db8::5", 5357), ("printer", 5357)}


@pytest.mark.parametrize(("told", "endpoint", "url", "is_same"), [
    (ONE, ONE, HERE, True), (ONE.removeprefix("urn:").upper(), ONE, HERE, True), (uuid(2), ONE, HERE, False),
    (ONE, SECURE, SECURE, True), (ONE, SECURE.replace("/d", "/D"), SECURE, True),
    (ONE, SECURE, "https://192.0.2.21/d", False), (ONE, HERE, HERE, False), (uuid(2), ONE, SECURE, False)])
def test_the_device_that_answers_is_the_one_that_was_seen(told, endpoint, url, is_same):
    assert is_same_device(told, seen(endpoint), url) is is_same
