"""Tests of bridge.events.upstream: a scanner whose success answers cannot be read."""

import pytest

from tests.bridge.events.grants import GRANTED, MANAGER
from wsdgateway.bridge.events.upstream import ALL_EVENTS, Upstream
from wsdgateway.bridge.events.upstream_core import LONGEST_PAUSE, NO_MANAGER, UNSUPPORTED_PAUSE
from wsdgateway.bridge.events.upstreamcommands import Lost, Replace, Subscribe, Wake


@pytest.fixture
def unconfirmed(upstream):
    upstream.start()
    assert upstream.unreadable(10.0) == [Wake(3600.0)]
    return upstream


def test_an_unreadable_success_leaves_the_subscription_unconfirmed(unconfirmed):
    assert unconfirmed.state == "unconfirmed"
    assert not unconfirmed.listening
    assert not unconfirmed.refusing
    assert unconfirmed.doubted(100.0) == unconfirmed.checked(100.0) == unconfirmed.recovered(100.0) == []
    assert unconfirmed.due() == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


@pytest.mark.parametrize(("expires", "pause"), [(60.0, LONGEST_PAUSE), (86400.0, UNSUPPORTED_PAUSE)])
def test_the_pause_after_an_unreadable_success_is_long_and_limited(expires, pause):
    upstream = Upstream(address="http://device/scan", expires=expires, random=lambda: 1.0)
    upstream.start()
    assert upstream.unreadable(0.0) == [Wake(pause)]


def test_a_scanner_that_was_away_is_asked_again_sooner(unconfirmed):
    assert unconfirmed.recovered(12.0, was_away=True) == [Wake(8.0, sooner=True)]
    assert unconfirmed.recovered(20.0, was_away=True) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


def test_an_event_proves_that_the_subscription_was_granted(unconfirmed):
    assert unconfirmed.notified(610.0) == [Wake(3000.0)]
    assert unconfirmed.listening
    assert unconfirmed.manager == NO_MANAGER
    assert unconfirmed.notified(620.0) == unconfirmed.doubted(620.0) == unconfirmed.recovered(620.0) == []
    assert unconfirmed.due() == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


def test_a_proved_subscription_that_has_ended_is_lost(unconfirmed):
    unconfirmed.notified(610.0)
    assert unconfirmed.recovered(700.0, was_away=True)[0] == Lost(forgotten=True)
    assert unconfirmed.state == "waiting"


def test_a_proved_subscription_of_an_earlier_start_is_kept_until_it_expires(upstream):
    assert upstream.resumed(NO_MANAGER, 500.0, 100.0) == [Wake(400.0)]
    assert upstream.listening
    assert upstream.due() == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


@pytest.mark.parametrize("prepare", [lambda machine: None, lambda machine: machine.notified(20.0)])
def test_without_a_manager_there_is_no_unsubscribe(unconfirmed, prepare):
    prepare(unconfirmed)
    assert unconfirmed.stop() == []
    assert unconfirmed.state == "stopped"


def test_an_unreadable_answer_to_renew_extends_nothing(subscribed):
    subscribed.due()
    [wake] = subscribed.unreadable(300.0)
    assert subscribed.listening
    assert subscribed.expires_at == 600.0
    assert 100.0 < wake.after < 200.0
    assert subscribed.due() == [Replace(MANAGER)]


def test_a_later_readable_grant_counts(unconfirmed):
    unconfirmed.due()
    [wake] = unconfirmed.granted(GRANTED, 4000.0)
    assert unconfirmed.state == "subscribed"
    assert wake.after > 200.0
