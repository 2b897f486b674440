"""Tests of bridge.discovery.announcements: the meaning of a scanner's Hello and Bye."""

import pytest

from wsdgateway.bridge.discovery.announcements import (
    AGAIN_SECONDS,
    BYE_SECONDS,
    Announcements,
    Doubt,
    Pending,
    doubt_of,
    has_moved,
)
from wsdgateway.bridge.discovery.sightings import News, Sighting

SEEN = Sighting("urn:uuid:5", (), (), (), 1, None, "eth1", 0.0)


@pytest.mark.parametrize(("answered_at", "has_left"), [
    (float("-inf"), True), (100.0, True), (100.0 + BYE_SECONDS - 0.1, True), (100.0 + BYE_SECONDS, False)])
def test_a_bye_counts_until_a_later_request_is_answered(answered_at, has_left):
    announcements = Announcements()
    assert not announcements.has_left(answered_at)
    assert announcements.said_bye(100.0) == BYE_SECONDS
    assert announcements.has_left(answered_at) is has_left


def test_a_bye_counts_until_the_scanner_announces_itself():
    announcements = Announcements()
    announcements.said_bye(100.0)
    announcements.sighted(SEEN, 100.5)
    assert not announcements.has_left(0.0)
    assert announcements.sighting is SEEN
    assert announcements.said_bye(100.6) == BYE_SECONDS  # it was present between the two


@pytest.mark.parametrize(("at", "pause"), [
    (100.0, None), (100.0 + AGAIN_SECONDS - 0.1, None), (100.0 + AGAIN_SECONDS, BYE_SECONDS)])
def test_a_bye_soon_after_another_one_does_not_count(at, pause):
    announcements = Announcements()
    announcements.said_bye(100.0)
    assert announcements.said_bye(at) == pause
    assert announcements.has_left(100.0 + BYE_SECONDS) is (pause is not None)


def test_last_heard_is_the_later_of_sighting_and_answer():
    announcements = Announcements()
    assert announcements.last_heard(float("-inf")) == float("-inf")
    announcements.sighted(SEEN, 50.0)
    assert (announcements.last_heard(40.0), announcements.last_heard(60.0)) == (50.0, 60.0)
    announcements.said_bye(70.0)  # anybody can send that
    assert announcements.last_heard(60.0) == 60.0


@pytest.mark.parametrize(("news", "doubt"), [
    ({}, Doubt.NONE), ({"described": True, "resolved": True}, Doubt.NONE), ({"returned": True}, Doubt.AWAY),
    ({"started": True}, Doubt.RESTARTED), ({"started": True, "returned": True}, Doubt.RESTARTED)])
def test_the_doubt_that_follows_from_news(news, doubt):
    assert doubt_of(News(SEEN, **news)) is doubt


@pytest.mark.parametrize("first", [Pending(), Pending(started=True), Pending(described=True), Pending(True, True)])
@pytest.mark.parametrize("news", [{}, {"started": True}, {"described": True}, {"returned": True}])
def test_pending_news_accumulate(first, news):
    both = first.with_news(News(SEEN, **news))
    assert both.started is (first.started or "started" in news)
    assert both.described is (first.described or "described" in news)


HERE, THERE = "http://192.0.2.20/scan", "http://192.0.2.21/scan"


@pytest.mark.parametrize(("found", "reachable", "moved"), [
    (HERE, True, False), (HERE, None, False), (HERE, False, True), (THERE, True, True), (THERE, None, True),
    (THERE, False, True)])
def test_whether_a_scan_service_has_moved(found, reachable, moved):
    assert has_moved(HERE, found, reachable=reachable) is moved
