"""The subscription at a scanner: every state, and what each input brings."""

import pytest

from wsdgateway.bridge.events.upstream import ALL_EVENTS, JOB_EVENTS, TEMPORARY, Upstream
from wsdgateway.bridge.events.upstream_core import LONGEST_PAUSE, NO_MANAGER, RECHECK, SETTLED, UNSUPPORTED_PAUSE
from wsdgateway.bridge.events.upstreamcommands import Lost, Renew, Replace, Subscribe, Unsubscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference

MANAGER = EndpointReference("http://device/manager")
GRANTED = Granted(MANAGER, 600.0)


@pytest.fixture
def upstream():
    return Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0)


@pytest.fixture
def subscribed(upstream):
    upstream.start()
    upstream.granted(GRANTED, 0.0)
    return upstream


def test_every_event_but_scan_available_is_asked_for(upstream):
    assert upstream.start() == [Subscribe(ALL_EVENTS)]
    assert len(ALL_EVENTS) == 6
    assert not any("ScanAvailable" in action for action in ALL_EVENTS)
    assert upstream.state == "subscribing"
    assert not upstream.listening


def test_it_is_renewed_well_before_the_end(upstream):
    upstream.start()
    [wake] = upstream.granted(GRANTED, 0.0)
    assert 0.4 * 600 < wake.after < 0.6 * 600
    assert upstream.listening
    assert upstream.due() == [Renew(MANAGER)]
    assert upstream.listening
    [wake] = upstream.granted(Granted(None, 60.0), 300.0)
    assert 20 < wake.after < 40
    assert upstream.due() == [Renew(MANAGER)]


def test_without_expires_what_was_asked_counts(upstream):
    upstream.start()
    [wake] = upstream.granted(Granted(None, None), 0.0)
    assert 1400 < wake.after < 2200
    assert upstream.due() == [Renew(EndpointReference("http://device/scan"))]


@pytest.mark.parametrize("expires", [0.0, -3600.0])
def test_a_device_whose_clock_is_wrong_is_not_asked_without_pause(upstream, expires):
    upstream.start()
    [wake] = upstream.granted(Granted(MANAGER, expires), 0.0)
    assert wake.after > 20


def test_who_refuses_the_long_filter_is_asked_for_jobs_alone(upstream):
    upstream.start()
    assert upstream.refused("FilteringRequestedUnavailable", 0.0) == [Subscribe(JOB_EVENTS)]
    [wake] = upstream.refused("FilteringRequestedUnavailable", 0.0)
    assert isinstance(wake, Wake)
    assert upstream.due() == [Subscribe(ALL_EVENTS)]


@pytest.mark.parametrize("name", ["ServerErrorTemporaryError", "503", "404"])
def test_what_is_not_about_the_filter_waits(upstream, name):
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
def test_a_lost_subscription_is_made_anew_after_a_pause(subscribed, lose):
    lost, wake = lose(subscribed)
    assert lost == Lost()
    assert wake.after >= 0.75
    assert not subscribed.listening
    assert subscribed.due() == [Subscribe(ALL_EVENTS)]


def test_a_device_that_grants_and_ends_at_once_is_not_pressed(upstream):
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


def test_a_device_that_was_away_is_asked_whether_it_remembers(subscribed):
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
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 45.0]  # not 256
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
def test_stopping_without_a_subscription_is_quiet(upstream, answer):
    upstream.start()
    upstream.stop()
    assert answer(upstream) == []
    assert upstream.state == "stopped"


def test_stopping_from_idle_or_waiting_is_quiet(upstream):
    upstream.start()
    upstream.unreachable(0.0)
    assert upstream.stop() == []
    assert Upstream(address="a", expires=1.0, random=lambda: 0.0).stop() == []


def test_what_a_state_does_not_expect_changes_nothing(upstream):
    assert upstream.due() == upstream.recovered(20.0) == upstream.doubted(20.0) == upstream.ended(0.0) == []
    assert upstream.state == "idle"


def test_what_an_earlier_start_has_left_is_renewed_not_made_anew(upstream):
    assert upstream.resumed(MANAGER, 500.0, 0.0) == [Renew(MANAGER)]
    assert upstream.listening
    assert upstream.expires_at == 500.0
    [wake] = upstream.granted(Granted(None, 600.0), 0.0)
    assert wake.after > 200
    assert upstream.manager == MANAGER


def test_if_the_device_has_forgotten_it_meanwhile_it_is_made_anew(upstream):
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


def test_what_somebody_else_has_asked_for_is_kept():
    upstream = Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0, filters=(("urn:a",),))
    assert upstream.once() == Subscribe(("urn:a",))
    [wake] = upstream.adopted(GRANTED, 10.0)
    assert upstream.state == "subscribed"
    assert upstream.expires_at == 610.0
    assert isinstance(wake, Wake)
    assert upstream.due() == [Renew(MANAGER)]


def test_where_there_is_one_filter_no_other_is_tried():
    upstream = Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0, filters=(("urn:a",),))
    upstream.start()
    [wake] = upstream.refused("FilteringRequestedUnavailable", 0.0)
    assert isinstance(wake, Wake)
    assert upstream.due() == [Subscribe(("urn:a",))]


@pytest.mark.parametrize(("name", "refusing"), [
    ("ActionNotSupported", True), ("404", True), ("FilteringRequestedUnavailable", True),
    ("ServerErrorTemporaryError", False), ("503", False)])
def test_a_refusal_for_the_moment_is_not_one_for_good(upstream, name, refusing):
    upstream.start()
    upstream.refused(name, 0.0)
    assert upstream.refusing is refusing


# A scanner that refuses Renew: it has forgotten the subscription, or cannot renew.

def refuse_renew(machine, now, *, accepted):
    """Renew is refused, and then Unsubscribe accepted or refused; what follows that."""
    assert machine.due() == [Renew(machine.manager)]
    assert machine.refused("OperationFailed", now) == [Replace(MANAGER)]
    assert machine.state == "replacing"
    assert machine.holding
    assert not machine.listening
    return machine.unsubscribed(now, accepted=accepted)


def test_what_is_replaced_is_ended_first(subscribed):
    assert refuse_renew(subscribed, 60.0, accepted=True) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]
    assert subscribed.state == "subscribing"


def test_a_refused_renew_and_unsubscribe_mean_that_the_scanner_has_forgotten(subscribed):
    lost, wake = refuse_renew(subscribed, 60.0, accepted=False)
    assert lost == Lost(forgotten=True)
    assert wake.after <= 1.0
    assert subscribed.due() == [Subscribe(ALL_EVENTS)]


def test_a_scanner_that_has_renewed_before_and_refuses_has_forgotten(subscribed):
    subscribed.due()
    subscribed.granted(Granted(None, 600.0), 300.0)
    assert subscribed.renews
    assert refuse_renew(subscribed, 600.0, accepted=True)[0] == Lost(forgotten=True)


@pytest.mark.parametrize("accepted", [True, False])
def test_the_new_subscription_is_renewed_soon_to_see_whether_the_scanner_can(subscribed, accepted):
    refuse_renew(subscribed, 60.0, accepted=accepted)
    if not accepted:
        subscribed.due()
    assert subscribed.granted(GRANTED, 61.0) == [Wake(RECHECK)]
    assert subscribed.due() == [Renew(MANAGER)]
    [wake] = subscribed.granted(Granted(None, 600.0), 71.0)
    assert 200.0 < wake.after < 400.0
    assert subscribed.renews


@pytest.fixture
def unrenewable(subscribed):
    """A machine whose scanner refuses each Renew and accepts Unsubscribe; its second subscription began at 61 s."""
    refuse_renew(subscribed, 60.0, accepted=True)
    subscribed.granted(GRANTED, 61.0)
    subscribed.due()
    [wake] = subscribed.refused("OperationFailed", 71.0)
    assert 200.0 < wake.after < 400.0
    assert subscribed.state == "subscribed"
    assert subscribed.renews is False
    return subscribed


def replace(machine, now, *, accepted=True):
    """It is replaced: what follows the Unsubscribe, and what the grant."""
    assert machine.state == "replacing"
    after = machine.unsubscribed(now, accepted=accepted)
    return after, machine.granted(GRANTED, now)


def test_a_scanner_that_cannot_renew_is_subscribed_to_anew_before_the_subscription_ends(unrenewable):
    for number in range(1, 20):
        assert unrenewable.due() == [Replace(MANAGER)]
        now = 61.0 + 300.0 * number
        after, [wake] = replace(unrenewable, now)
        assert after == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]
        assert 250.0 < wake.after < 350.0


def test_a_scanner_that_cannot_renew_is_spared_the_usual_checks(unrenewable):
    for now in range(100, 340, 60):
        assert unrenewable.checked(float(now)) == []
    assert unrenewable.state == "subscribed"


def test_doubts_replace_after_pauses_that_grow_to_half_of_the_time(unrenewable):
    began, pauses = 61.0, []
    for _ in range(6):
        [wake] = unrenewable.doubted(began + 1.0)
        assert wake.sooner
        pauses.append(wake.after + 1.0)
        began += pauses[-1]
        assert unrenewable.doubted(began) == [Replace(MANAGER)]
        replace(unrenewable, began)
    assert pauses == [SETTLED, 120.0, 240.0, 300.0, 300.0, 300.0]


def test_a_scanner_that_cannot_renew_and_was_away_is_doubted_like_at_first(unrenewable):
    for now in (121.0, 241.0, 481.0):
        assert unrenewable.doubted(now) == [Replace(MANAGER)]
        replace(unrenewable, now)
    assert unrenewable.recovered(500.0, was_away=True) == [Wake(SETTLED - 19.0, sooner=True)]
    assert unrenewable.recovered(541.0, was_away=True) == [Replace(MANAGER)]


def test_a_scanner_that_accepted_unsubscribe_and_refuses_it_has_started_again_and_is_judged_anew(unrenewable):
    unrenewable.due()
    lost, wake = unrenewable.unsubscribed(361.0, accepted=False)
    assert lost == Lost(forgotten=True)
    assert isinstance(wake, Wake)
    assert unrenewable.renews is None
    unrenewable.due()
    [wake] = unrenewable.granted(GRANTED, 362.0)
    assert wake.after > 200.0
    assert unrenewable.due() == [Renew(MANAGER)]


def test_a_scanner_that_refuses_everything_is_asked_after_pauses_that_grow_to_half_of_the_time(subscribed):
    assert refuse_renew(subscribed, 60.0, accepted=False)[0] == Lost(forgotten=True)
    began, pauses = 61.0, []
    for _ in range(7):
        subscribed.due()
        assert subscribed.granted(GRANTED, began) == [Wake(RECHECK)]
        assert subscribed.due() == [Renew(MANAGER)]
        [wake] = subscribed.refused("OperationFailed", began + RECHECK)
        assert subscribed.checked(began + RECHECK + 1.0) == []
        assert subscribed.doubted(began + RECHECK + 1.0) == [Wake(wake.after - 1.0, sooner=True)]
        pauses.append(RECHECK + wake.after)
        began += pauses[-1]
        assert subscribed.due() == [Replace(MANAGER)]
        subscribed.unsubscribed(began, accepted=False)
        assert subscribed.state == "waiting"
    assert pauses == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_an_event_shows_that_a_scanner_that_refuses_everything_cannot_renew(subscribed):
    refuse_renew(subscribed, 60.0, accepted=False)
    subscribed.due()
    subscribed.granted(GRANTED, 61.0)
    assert not subscribed.is_uncertain
    subscribed.due()
    subscribed.refused("OperationFailed", 71.0)
    assert subscribed.is_uncertain
    [wake] = subscribed.notified(75.0)
    assert 200.0 < wake.after < 400.0
    assert subscribed.renews is False
    assert not subscribed.is_uncertain
    assert subscribed.doubted(80.0) == [Wake(SETTLED - 19.0, sooner=True)]


def test_a_scanner_that_starts_again_and_again_renews_as_soon_as_it_stays(subscribed):
    refuse_renew(subscribed, 60.0, accepted=False)
    subscribed.due()
    subscribed.granted(GRANTED, 61.0)
    subscribed.due()
    subscribed.refused("OperationFailed", 71.0)
    subscribed.due()
    subscribed.unsubscribed(81.0, accepted=False)
    subscribed.due()
    subscribed.granted(GRANTED, 83.0)
    subscribed.due()
    [wake] = subscribed.granted(Granted(None, 600.0), 93.0)
    assert wake.after > 200.0
    assert subscribed.renews
    assert refuse_renew(subscribed, 400.0, accepted=False)[0] == Lost(forgotten=True)


@pytest.mark.parametrize("name", sorted(TEMPORARY))
def test_a_renew_that_is_refused_for_the_moment_is_asked_for_again(subscribed, name):
    subscribed.due()
    [wake] = subscribed.refused(name, 300.0)
    assert isinstance(wake, Wake)
    assert subscribed.listening
    assert subscribed.due() == [Renew(MANAGER)]


def test_what_cannot_be_ended_is_not_replaced_before_the_scanner_is_there(subscribed):
    subscribed.due()
    subscribed.refused("OperationFailed", 60.0)
    pauses = []
    for _ in range(3):
        [wake] = subscribed.unreachable(60.0)
        assert subscribed.state == "stale"
        assert subscribed.holding
        pauses.append(wake.after)
        assert subscribed.due() == [Replace(MANAGER)]
    assert pauses == [1.0, 2.0, 4.0]
    subscribed.unreachable(60.0)
    assert subscribed.recovered(65.0) == [Wake(5.0, sooner=True)]
    assert subscribed.recovered(70.0) == [Replace(MANAGER)]
    subscribed.unsubscribed(70.0, accepted=True)
    assert subscribed.state == "subscribing"


def test_an_end_that_was_asked_for_is_no_loss(subscribed):
    subscribed.due()
    subscribed.refused("OperationFailed", 60.0)
    assert subscribed.ended(60.0) == []
    assert subscribed.state == "replacing"


@pytest.mark.parametrize("answer", [None, lambda machine: machine.unreachable(60.0)])
def test_stopping_ends_what_was_to_be_replaced(subscribed, answer):
    subscribed.due()
    subscribed.refused("OperationFailed", 60.0)
    if answer is not None:
        answer(subscribed)
    assert subscribed.stop() == [Unsubscribe(MANAGER)]
    assert subscribed.unsubscribed(60.0, accepted=True) == []


def test_a_renew_that_came_too_late_ends_what_the_scanner_may_hold_for_longer(subscribed):
    subscribed.due()
    assert subscribed.unreachable(601.0) == [Replace(MANAGER)]
    assert subscribed.unsubscribed(601.0, accepted=True) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


def test_at_another_address_of_ours_it_is_replaced_and_nothing_is_forgotten(subscribed):
    subscribed.due()
    assert subscribed.moved() == [Replace(MANAGER)]
    assert subscribed.unsubscribed(300.0, accepted=False) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]
    again = Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0)
    assert again.superseded(MANAGER, 500.0) == [Replace(MANAGER)]
    assert again.unsubscribed(0.0, accepted=False) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


# A success that cannot be read.

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
