"""Tests of bridge.events.upstream: a scanner that refuses Renew because it has forgotten the subscription or cannot
renew.
"""

import pytest

from tests.bridge.events.grants import GRANTED, MANAGER
from wsdgateway.bridge.events.upstream import ALL_EVENTS, TEMPORARY, Upstream
from wsdgateway.bridge.events.upstream_core import RECHECK, SETTLED
from wsdgateway.bridge.events.upstreamcommands import Lost, Renew, Replace, Subscribe, Unsubscribe, Wake
from wsdgateway.eventing.messages import Granted


def refuse_renew(machine, now, *, accepted):
    """Refuses Renew, and then accepts or refuses Unsubscribe; returns the commands that follow."""
    assert machine.due() == [Renew(machine.manager)]
    assert machine.refused("OperationFailed", now) == [Replace(MANAGER)]
    assert machine.state == "replacing"
    assert machine.holding
    assert not machine.listening
    return machine.unsubscribed(now, accepted=accepted)


def test_a_replaced_subscription_is_ended_first(subscribed):
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
    """Replaces the subscription; returns the commands after Unsubscribe and after the grant."""
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


def test_a_scanner_that_cannot_renew_gets_no_periodic_checks(unrenewable):
    for now in range(100, 340, 60):
        assert unrenewable.checked(float(now)) == []
    assert unrenewable.state == "subscribed"


def test_doubts_cause_replacements_after_pauses_that_grow_to_half_of_the_lifetime(unrenewable):
    began, pauses = 61.0, []
    for _ in range(6):
        [wake] = unrenewable.doubted(began + 1.0)
        assert wake.sooner
        pauses.append(wake.after + 1.0)
        began += pauses[-1]
        assert unrenewable.doubted(began) == [Replace(MANAGER)]
        replace(unrenewable, began)
    assert pauses == [SETTLED, 120.0, 240.0, 300.0, 300.0, 300.0]


def test_after_an_outage_the_pauses_of_replacements_begin_anew(unrenewable):
    for now in (121.0, 241.0, 481.0):
        assert unrenewable.doubted(now) == [Replace(MANAGER)]
        replace(unrenewable, now)
    assert unrenewable.recovered(500.0, was_away=True) == [Wake(SETTLED - 19.0, sooner=True)]
    assert unrenewable.recovered(541.0, was_away=True) == [Replace(MANAGER)]


def test_a_refused_unsubscribe_after_accepted_ones_means_a_restart(unrenewable):
    unrenewable.due()
    lost, wake = unrenewable.unsubscribed(361.0, accepted=False)
    assert lost == Lost(forgotten=True)
    assert isinstance(wake, Wake)
    assert unrenewable.renews is None
    unrenewable.due()
    [wake] = unrenewable.granted(GRANTED, 362.0)
    assert wake.after > 200.0
    assert unrenewable.due() == [Renew(MANAGER)]


def test_a_scanner_that_refuses_everything_is_asked_after_growing_pauses(subscribed):
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


def test_an_event_of_a_scanner_that_refuses_everything_shows_that_it_cannot_renew(subscribed):
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


def test_a_scanner_after_repeated_restarts_is_renewed_again(subscribed):
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
def test_a_renew_with_a_temporary_refusal_is_repeated(subscribed, name):
    subscribed.due()
    [wake] = subscribed.refused(name, 300.0)
    assert isinstance(wake, Wake)
    assert subscribed.listening
    assert subscribed.due() == [Renew(MANAGER)]


def test_a_subscription_is_not_replaced_while_the_scanner_is_unreachable(subscribed):
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


def test_a_requested_end_is_no_loss(subscribed):
    subscribed.due()
    subscribed.refused("OperationFailed", 60.0)
    assert subscribed.ended(60.0) == []
    assert subscribed.state == "replacing"


@pytest.mark.parametrize("answer", [None, lambda machine: machine.unreachable(60.0)])
def test_stopping_ends_the_subscription_to_be_replaced(subscribed, answer):
    subscribed.due()
    subscribed.refused("OperationFailed", 60.0)
    if answer is not None:
        answer(subscribed)
    assert subscribed.stop() == [Unsubscribe(MANAGER)]
    assert subscribed.unsubscribed(60.0, accepted=True) == []


def test_after_a_late_renew_the_subscription_is_ended_at_the_scanner(subscribed):
    subscribed.due()
    assert subscribed.unreachable(601.0) == [Replace(MANAGER)]
    assert subscribed.unsubscribed(601.0, accepted=True) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]


def test_a_changed_address_of_the_gateway_replaces_the_subscription(subscribed):
    subscribed.due()
    assert subscribed.moved() == [Replace(MANAGER)]
    assert subscribed.unsubscribed(300.0, accepted=False) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]
    again = Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0)
    assert again.superseded(MANAGER, 500.0) == [Replace(MANAGER)]
    assert again.unsubscribed(0.0, accepted=False) == [Lost(forgotten=False), Subscribe(ALL_EVENTS)]
