"""Tests of bridge.events.lifetimes: subscriptions end by expiry, silence of the scanner or a changed configuration."""

import attrs
import pytest

from tests.bridge.events.test_subscriptions import holding, subscription
from wsdgateway.bridge.events.lifetimes import (
    CHECK_SECONDS,
    MAY_NOT_LISTEN,
    MAY_NOT_NOTIFY,
    Ending,
    endings,
    recheck,
    seconds_to_next_check,
)
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.soap.addressing import EndpointReference

SHORT, LONG = subscription("short", expires_at=50.0), subscription("long", expires_at=100.0)
SILENT = "The scanner has not responded for 600 s."


@pytest.mark.parametrize(("now", "silence", "ended"), [
    (49.9, 0.0, []), (50.0, 0.0, [Ending(SHORT)]), (100.0, 0.0, [Ending(SHORT), Ending(LONG)]),
    (0.0, 599.9, []), (0.0, 600.0, [Ending(SHORT, SILENT), Ending(LONG, SILENT)]),
    (50.0, 600.0, [Ending(SHORT), Ending(LONG, SILENT)])])  # each ends once; an expired one gets no SubscriptionEnd
def test_which_subscriptions_end(now, silence, ended):
    assert endings(holding(SHORT, LONG), now=now, silence=silence, max_silence=600.0) == ended


@pytest.mark.parametrize(("now", "silence", "seconds"), [
    (0.0, 0.0, 50.0), (20.0, 0.0, 30.0), (20.0, 590.0, 10.0), (60.0, 0.0, 0.0), (0.0, 700.0, 0.0),
    (-100.0, 0.0, CHECK_SECONDS)])
def test_the_time_of_the_next_check(now, silence, seconds):
    assert seconds_to_next_check(holding(SHORT, LONG), now=now, silence=silence, max_silence=600.0) == seconds


def test_without_subscriptions_there_is_no_check():
    assert seconds_to_next_check(holding(), now=0.0, silence=0.0, max_silence=600.0) is None


END_TO = Sink(EndpointReference("http://192.0.2.7/end"), "192.0.2.7")
WITH_END_TO = attrs.evolve(LONG, end_to=END_TO)


@pytest.mark.parametrize(("one", "forbidden", "may_listen", "kept", "reason"), [
    (LONG, (), True, LONG, None), (WITH_END_TO, (), True, WITH_END_TO, None),
    (WITH_END_TO, (END_TO,), True, LONG, None),  # it continues, without SubscriptionEnd at its end
    (WITH_END_TO, (LONG.notify_to,), True, WITH_END_TO, MAY_NOT_NOTIFY),
    (WITH_END_TO, (END_TO, LONG.notify_to), True, LONG, MAY_NOT_NOTIFY),
    (LONG, (), False, LONG, MAY_NOT_LISTEN), (LONG, (LONG.notify_to,), False, LONG, MAY_NOT_NOTIFY)])
def test_a_changed_configuration_may_end_or_limit_a_subscription(one, forbidden, may_listen, kept, reason):
    asked = []

    def may_send(sink, client):
        asked.append(client)
        return sink not in forbidden

    assert recheck(one, may_send=may_send, may_listen=may_listen) == Ending(kept, reason)
    assert set(asked) == {LONG.client}
