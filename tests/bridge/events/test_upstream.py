"""Tests of bridge.events.upstream: each state of a subscription at a scanner, and the commands after each input."""

import pytest

from tests.bridge.events.grants import GRANTED, MANAGER
from wsdgateway.bridge.events.upstream import ALL_EVENTS, JOB_EVENTS, Upstream
from wsdgateway.bridge.events.upstream_core import LONGEST_PAUSE, UNSUPPORTED_PAUSE
from wsdgateway.bridge.events.upstreamcommands import Lost, Renew, Replace, Subscribe, Unsubscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference


def test_every_event_but_scan_available_is_requested(upstream):
    assert upstream.start() == [Subscribe(ALL_EVENTS)]
    assert len(ALL_EVENTS) == 6
    assert not any("ScanAvailable" in action for action in ALL_EVENTS)
    assert upstream.state == "subscribing"
    assert not upstream.listening


def test_a_subscription_is_renewed_well_before_it_expires(upstream):
    upstream.start()
    [wake] = upstream.granted(GRANTED, 0.0)
    assert 0.4 * 600 < wake.after < 0.6 * 600
    assert upstream.listening
    assert upstream.due() == [Renew(MANAGER)]
    assert upstream.listening
    [wake] = upstream.granted(Granted(None, 60.0), 300.0)
    assert 20 < wake.after < 40
    assert upstream.due() == [Renew(MANAGER)]


def test_without_expires_the_requested_lifetime_counts(upstream):
    upstream.start()
    [wake] = upstream.granted(Granted(None, None), 0.0)
    assert 1400 < wake.after < 2200
    assert upstream.due() == [Renew(EndpointReference("http://device/scan"))]


@pytest.mark.parametrize("expires", [0.0, -3600.0])
def test_a_device_with_a_wrong_clock_is_asked_after_a_pause(upstream, expires):
    upstream.start()
    [wake] = upstream.granted(Granted(MANAGER, expires), 0.0)
    assert wake.after > 20


def test_a_device_that_refuses_the_long_filter_is_asked_for_job_events(upstream):
    upstream.start()
    assert upstream.refused("FilteringRequestedUnavailable", 0.0) == [Subscribe(JOB_EVENTS)]
    [wake] = upstream.refused("FilteringRequestedUnavailable", 0.0)
    assert isinstance(wake, Wake)
    assert upstream.due() == [Subscribe(ALL_EVENTS)]


@pytest.mark.parametrize("name", ["ServerErrorTemporaryError", "503", "404"])
def test_a_refusal_for_other_reasons_than_the_filter_causes_a_pause(upstream, name):
    upstream.start()
    assert isinstance(upstream.refused(name, 0.0)[0], Wake)
    assert upstream.state == "waiting"


def test_a_device_without_events_is_asked_once_an_hour(upstream):
    upstream.start()
    assert upstream.refused("ActionNotSupported", 0.0) == [Wake(UNSUPPORTED_PAUSE)]
    assert upstream.due() == [Subscribe(ALL_EVENTS)]
    upstream.refused("ActionNotSupported", 0.0)
    assert upstream.rebooted(0.0) == [Subscribe(ALL_EVENTS)]


def test_pauses_grow_to_five_minutes(upstream):
    upstream.start()
    pauses = []
    for _ in range(15):
        [wake] = upstream.unreachable(0.0)
        pauses.append(wake.after)
        upstream.due()
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE == 300.0


def test_pauses_jitter_downwards():
    upstream = Upstream(address="a", expires=60.0, random=lambda: 0.0)
    upstream.start()
    assert upstream.unreachable(0.0) == [Wake(0.75)]


@pytest.mark.parametrize("lose", [
    lambda machine: machine.ended(1.0),
    lambda machine: [machine.due(), machine.refused("x", 1.0), machine.unsubscribed(1.0, accepted=False)][-1],
    lambda machine: machine.rebooted(1.0)])
def test_a_lost_subscription_is_replaced_after_a_pause(subscribed, lose):
    lost, wake = lose(subscribed)
    assert lost == Lost()
    assert wake.after >= 0.75
    assert not subscribed.listening
    assert subscribed.due() == [Subscribe(ALL_EVENTS)]


def test_pauses_grow_for_a_device_that_grants_and_ends_at_once(upstream):
    pauses = []
    upstream.start()
    for _ in range(6):
        upstream.granted(GRANTED, 0.0)
        pauses.append(upstream.ended(0.0)[1].after)
        upstream.due()
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]


def test_an_unreachable_device_keeps_the_subscription_until_it_expires(subscribed):
    subscribed.due()
    assert isinstance(subscribed.unreachable(300.0)[0], Wake)
    assert subscribed.listening
    subscribed.due()
    assert subscribed.unreachable(601.0) == [Replace(MANAGER)]
    assert not subscribed.listening


def test_the_subscription_at_a_device_that_was_away_is_renewed(subscribed):
    assert subscribed.recovered(4.0) == subscribed.doubted(4.0) == [Wake(6.0, sooner=True)]
    assert subscribed.recovered(10.0) == [Renew(MANAGER)]


def test_a_device_that_refused_keeps_its_pause_unless_it_was_away(upstream):
    upstream.start()
    upstream.refused("ActionNotSupported", 0.0)
    assert upstream.recovered(100.0) == []
    assert upstream.recovered(4.0, was_away=True) == [Wake(6.0, sooner=True)]
    assert upstream.recovered(100.0, was_away=True) == [Subscribe(ALL_EVENTS)]


def test_a_renew_that_gets_no_answer_is_sent_again_when_the_subscription_ends(subscribed):
    now, pauses = 300.0, []
    while now < 600.0:
        assert subscribed.due() == [Renew(MANAGER)]
        [wake] = subscribed.unreachable(now)
        pauses.append(wake.after)
        now += wake.after
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 45.0]  # not 256, because the subscription expires
    assert subscribed.due() == [Renew(MANAGER)]
    assert subscribed.unreachable(now) == [Replace(MANAGER)]


def test_a_device_that_was_unreachable_is_asked_as_soon_as_it_answers(upstream):
    upstream.start()
    upstream.unreachable(0.0)
    assert upstream.recovered(4.0) == [Wake(6.0, sooner=True)]
    assert upstream.doubted(20.0) == []
    assert upstream.recovered(20.0) == [Subscribe(ALL_EVENTS)]


def test_stopping_unsubscribes(subscribed):
    assert subscribed.stop() == [Unsubscribe(MANAGER)]
    assert subscribed.state == "stopped"
    assert subscribed.start() == subscribed.due() == subscribed.ended(0.0) == []


def test_stopping_while_subscribing_unsubscribes_as_soon_as_it_is_granted(upstream):
    upstream.start()
    assert upstream.stop() == []
    assert upstream.granted(GRANTED, 0.0) == [Unsubscribe(MANAGER)]
    assert upstream.state == "stopped"


@pytest.mark.parametrize("answer", [lambda m: m.refused("x", 0.0), lambda m: m.unreachable(0.0),
                                    lambda m: m.refused("ActionNotSupported", 0.0)])
def test_stopping_without_a_subscription_sends_nothing(upstream, answer):
    upstream.start()
    upstream.stop()
    assert answer(upstream) == []
    assert upstream.state == "stopped"


def test_stopping_from_idle_or_waiting_sends_nothing(upstream):
    upstream.start()
    upstream.unreachable(0.0)
    assert upstream.stop() == []
    assert Upstream(address="a", expires=1.0, random=lambda: 0.0).stop() == []


def test_unexpected_inputs_change_nothing(upstream):
    assert upstream.due() == upstream.recovered(20.0) == upstream.doubted(20.0) == upstream.ended(0.0) == []
    assert upstream.state == "idle"


def test_a_subscription_of_an_earlier_start_is_renewed(upstream):
    assert upstream.resumed(MANAGER, 500.0, 0.0) == [Renew(MANAGER)]
    assert upstream.listening
    assert upstream.expires_at == 500.0
    [wake] = upstream.granted(Granted(None, 600.0), 0.0)
    assert wake.after > 200
    assert upstream.manager == MANAGER


def test_a_subscription_of_an_earlier_start_that_the_device_has_forgotten_is_replaced(upstream):
    upstream.resumed(MANAGER, 500.0, 0.0)
    assert upstream.refused("InvalidMessage", 0.0) == [Replace(MANAGER)]
    lost, wake = upstream.unsubscribed(0.0, accepted=False)
    assert lost == Lost(forgotten=True)
    assert isinstance(wake, Wake)
    assert upstream.due() == [Subscribe(ALL_EVENTS)]


def test_a_device_that_is_away_at_the_start_is_asked_again(upstream):
    upstream.resumed(MANAGER, 500.0, 0.0)
    [wake] = upstream.unreachable(0.0)
    assert upstream.due() == [Renew(MANAGER)]
    assert upstream.unreachable(500.0) == [Replace(MANAGER)]
    assert isinstance(wake, Wake)


def test_a_subscription_requested_elsewhere_is_kept():
    upstream = Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0, filters=(("urn:a",),))
    assert upstream.once() == Subscribe(("urn:a",))
    [wake] = upstream.adopted(GRANTED, 10.0)
    assert upstream.state == "subscribed"
    assert upstream.expires_at == 610.0
    assert isinstance(wake, Wake)
    assert upstream.due() == [Renew(MANAGER)]


def test_with_a_single_filter_no_other_is_tried():
    upstream = Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0, filters=(("urn:a",),))
    upstream.start()
    [wake] = upstream.refused("FilteringRequestedUnavailable", 0.0)
    assert isinstance(wake, Wake)
    assert upstream.due() == [Subscribe(("urn:a",))]


@pytest.mark.parametrize(("name", "refusing"), [
    ("ActionNotSupported", True), ("404", True), ("FilteringRequestedUnavailable", True),
    ("ServerErrorTemporaryError", False), ("503", False)])
def test_a_temporary_refusal_is_not_permanent(upstream, name, refusing):
    upstream.start()
    upstream.refused(name, 0.0)
    assert upstream.refusing is refusing
