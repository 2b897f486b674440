"""The subscription at a scanner whose successes cannot be read."""

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


def test_a_success_that_cannot_be_read_is_no_answer(unconfirmed):
    assert unconfirmed.state == "unconfirmed"
    assert not unconfirmed.listening
    assert not unconfirmed.refusing
    assert unconfirmed.doubted(100.0) == unconfirmed.checked(100.0) == unconfirmed.recovered(100.0) == []
    assert unconfirmed.due() == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


@pytest.mark.parametrize(("expires", "pause"), [(60.0, LONGEST_PAUSE), (86400.0, UNSUPPORTED_PAUSE)])
def test_the_pause_after_it_is_long_and_has_bounds(expires, pause):
    upstream = Upstream(address="http://device/scan", expires=expires, random=lambda: 1.0)
    upstream.start()
    assert upstream.unreadable(0.0) == [Wake(pause)]


def test_a_scanner_that_was_away_is_asked_again_sooner(unconfirmed):
    assert unconfirmed.recovered(12.0, was_away=True) == [Wake(8.0, sooner=True)]
    assert unconfirmed.recovered(20.0, was_away=True) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


def test_an_event_proves_that_it_was_granted(unconfirmed):
    assert unconfirmed.notified(610.0) == [Wake(3000.0)]
    assert unconfirmed.listening
    assert unconfirmed.manager == NO_MANAGER
    assert unconfirmed.notified(620.0) == unconfirmed.doubted(620.0) == unconfirmed.recovered(620.0) == []
    assert unconfirmed.due() == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


def test_what_was_proved_and_has_ended_is_lost(unconfirmed):
    unconfirmed.notified(610.0)
    assert unconfirmed.recovered(700.0, was_away=True)[0] == Lost(forgotten=True)
    assert unconfirmed.state == "waiting"


def test_what_an_earlier_start_had_proved_is_waited_for(upstream):
    assert upstream.resumed(NO_MANAGER, 500.0, 100.0) == [Wake(400.0)]
    assert upstream.listening
    assert upstream.due() == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


@pytest.mark.parametrize("prepare", [lambda machine: None, lambda machine: machine.notified(20.0)])
def test_without_a_manager_there_is_nothing_to_end(unconfirmed, prepare):
    prepare(unconfirmed)
    assert unconfirmed.stop() == []
    assert unconfirmed.state == "stopped"


def test_a_renew_whose_success_cannot_be_read_grants_nothing(subscribed):
    subscribed.due()
    [wake] = subscribed.unreadable(300.0)
    assert subscribed.listening
    assert subscribed.expires_at == 600.0
    assert 100.0 < wake.after < 200.0
    assert subscribed.due() == [Replace(MANAGER)]


def test_whatever_grants_after_that_is_listened_to(unconfirmed):
    unconfirmed.due()
    [wake] = unconfirmed.granted(GRANTED, 4000.0)
    assert unconfirmed.state == "subscribed"
    assert wake.after > 200.0
