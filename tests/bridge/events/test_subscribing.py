"""Tests of bridge.events.subscribing: clients' Subscribe and Renew, their lifetimes, and replaced subscriptions."""

from datetime import UTC, datetime

import attrs
import pytest

from tests.bridge.events.tables import DESTINATIONS, holding
from tests.messages import SCAN, subscribe
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscribing import (
    FULL,
    UNKNOWN,
    Succession,
    Unavailable,
    events_unavailable,
    find_named,
    granted_seconds,
    makes_room,
    read_wanted,
    renewed,
    succession,
)
from wsdgateway.bridge.events.subscriptions import Subscription, Token
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.eventing.source import Lifetime
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
URL = "http://192.0.2.7:5357/events"
NAMES = [("ctx", "Scan to me")]


def wanted(message, unavailable=None, has_panel=True):
    return read_wanted(read(message), NOW, unavailable=unavailable, has_panel=has_panel)


def fault_of(call, *arguments, **more):
    with pytest.raises(Refused) as refused:
        call(*arguments, **more)
    return refused.value.fault


# The requested subscription.

@pytest.mark.parametrize(("more", "panel", "names"), [
    ({}, False, None), ({"events": ["JobStatusEvent"]}, False, None),
    ({"events": ["ScanAvailableEvent"]}, True, None),
    ({"events": ["JobStatusEvent", "ScanAvailableEvent"]}, True, None),
    ({"events": [f"{SCAN}"]}, False, None),  # a prefix of the action is no request for the panel
    ({"events": ["ScanAvailableEvent"], "destinations": NAMES}, True, (("ctx", "Scan to me"),)),
    ({"destinations": NAMES}, True, (("ctx", "Scan to me"),))])
def test_scan_available_event_or_names_request_the_panel(more, panel, names):
    found = wanted(subscribe(URL, **more))
    assert found.panel is panel
    assert (found.destinations and found.destinations.listed) == names


@pytest.mark.parametrize(("expires", "lifetime"), [
    ("PT1H", Lifetime(3600.0)), ("P1D", Lifetime(86400.0)), (None, Lifetime()),
    ("2026-11-22T10:01:00Z", Lifetime(60.0, absolute=True)),
    ("2026-11-22T11:01:00+01:00", Lifetime(60.0, absolute=True))])
def test_a_point_in_time_becomes_seconds_from_now(expires, lifetime):
    assert wanted(subscribe(URL, expires=expires)).lifetime == lifetime


@pytest.mark.parametrize(("message", "has_panel", "fault"), [
    (subscribe(URL), True, "wse:EventSourceUnableToProcess"),
    (subscribe(URL, destinations=NAMES), False, "wse:EventSourceUnableToProcess"),
    (subscribe(URL, destinations=NAMES), True, None)])
def test_a_scanner_without_events_still_has_its_panel(message, has_panel, fault):
    if fault is None:
        assert wanted(message, Unavailable("It is off."), has_panel).panel
    else:
        found = fault_of(wanted, message, Unavailable("It is off."), has_panel)
        assert (found.subcode, found.reason) == (fault, "It is off.")


@pytest.mark.parametrize(("message", "subcode"), [
    (subscribe("urn:x"), "wsa:DestinationUnreachable"), (subscribe(URL, end_to="urn:x"), "wsa:DestinationUnreachable"),
    (subscribe(URL, expires="-PT1S"), "wse:InvalidExpirationTime"),
    (subscribe(URL, expires="2026-11-22T09:59:59Z"), "wse:InvalidExpirationTime"),
    (subscribe(URL, destinations=[(str(n), "n") for n in range(65)]), "wse:InvalidMessage"),
    (subscribe(URL, destinations=[("c", "n" * 70000)]), "wse:InvalidMessage")])
def test_requests_that_are_refused_without_a_name_lookup(message, subcode):
    assert fault_of(wanted, message).subcode == subcode


def test_the_fault_names_the_reference_that_cannot_be_used():
    assert fault_of(wanted, subscribe(URL, end_to="urn:x")).reason.startswith("EndTo is not accepted")
    assert fault_of(wanted, subscribe("urn:x", end_to="urn:x")).reason.startswith("NotifyTo is not accepted")


# Lifetimes.

@pytest.mark.parametrize(("seconds", "ceiling", "granted"), [
    (30.0, 60.0, 30.0), (3600.0, 60.0, 60.0), (60.0, 60.0, 60.0), (None, 60.0, 60.0)])
def test_a_grant_is_never_longer_than_asked_for_nor_than_the_ceiling(seconds, ceiling, granted):
    assert granted_seconds(Lifetime(seconds), ceiling) == granted


def subscription(identifier, *events, client="192.0.2.7", path="e", **more):
    return Subscription(identifier, "front-desk", client, f"http://gw/{identifier}",
                        Sink(EndpointReference(f"http://{client}/{path}"), client), None,
                        ActionFilter(events or None), 100.0, **more)


@pytest.mark.parametrize(("lifetime", "expires_at"), [
    (Lifetime(30.0), 1030.0), (Lifetime(), 1060.0), (Lifetime(90.0, absolute=True), 1060.0)])
def test_a_renewal_counts_from_now_by_the_clock_of_subscriptions(lifetime, expires_at):
    one = subscription("a")
    assert renewed(one, lifetime, ceiling=60.0, now=1000.0) == attrs.evolve(one, expires_at=expires_at)


def test_a_renewal_may_shorten_a_subscription():
    assert renewed(subscription("a"), Lifetime(1.0), ceiling=60.0, now=50.0).expires_at == 51.0


# Identification of a subscription.

@pytest.mark.parametrize(("named", "now", "found"), [
    ("urn:uuid:a", 99.9, "a"), ("a", 99.9, "a"), ("a", 100.0, None), ("b", 0.0, None), ("", 0.0, None),
    (None, 0.0, None)])
def test_a_subscription_is_found_by_its_urn_or_identifier_while_it_lasts(named, now, found):
    table = holding(subscription("a"))
    if found is None:
        assert fault_of(find_named, table, named, now) is UNKNOWN
    else:
        assert find_named(table, named, now).identifier == found


# Room for new subscriptions.

A1, A2, A3 = (subscription(name) for name in ("a1", "a2", "a3"))
B1 = subscription("b1", client="192.0.2.8")
OTHER = subscription("o", f"{SCAN}/JobStatusEvent")


@pytest.mark.parametrize(("held", "limit", "ends"), [
    ([A1, A2], 3, None), ([A1, A2, A3], 3, A1), ([B1, A1, A2], 3, A1), ([A1, B1, A2], 3, A1), ([A1, OTHER, A2], 3, A1)])
def test_the_oldest_subscription_repeated_by_its_client_makes_room(held, limit, ends):
    assert makes_room(holding(*held, limit=limit)) is ends


@pytest.mark.parametrize("held", [[A1, B1], [A1, OTHER], [B1, OTHER]])
def test_no_needed_subscription_makes_room(held):
    assert fault_of(makes_room, holding(*held, limit=2)) is FULL


def test_a_reserved_place_counts_as_taken():
    table = holding(A1, limit=2)
    table.expect("new")
    assert fault_of(makes_room, table) is FULL
    table.unexpect("new")
    assert makes_room(table) is None


# Another registration of the same names.

TOKENS = (Token("ctx", "t1", "t9"),)
PURE = subscription("old", f"{SCAN}/ScanAvailableEvent", panel=True, destinations=DESTINATIONS, tokens=TOKENS)
MIXED = attrs.evolve(PURE, filter=ActionFilter((f"{SCAN}/ScanAvailableEvent", f"{SCAN}/JobStatusEvent")))


@pytest.mark.parametrize(("former", "new"), [(PURE, PURE), (MIXED, MIXED)])
def test_a_repeated_subscription_replaces_the_former_and_keeps_its_tokens(former, new):
    new = attrs.evolve(new, identifier="new", tokens=())
    assert succession(former, new) == Succession(attrs.evolve(new, tokens=TOKENS), None)


@pytest.mark.parametrize(("former", "new"), [(MIXED, PURE), (PURE, MIXED)])
def test_the_former_subscription_keeps_everything_but_the_panel(former, new):
    new = attrs.evolve(new, identifier="new", tokens=())
    found = succession(former, new)
    assert found.heir == attrs.evolve(new, tokens=TOKENS)
    assert found.left == attrs.evolve(former, panel=False, destinations=None, tokens=())


@pytest.mark.parametrize(("is_subscribed_to", "silence", "is_refused", "reason"), [
    (True, 0.0, False, None),
    (True, 99.9, False, None),
    (True, 100.0, False, "The scanner has not responded for 100 s; switch it on, and subscribe again."),
    (True, 0.0, True, "The scanner does not provide events; ask for job statuses with GetJobElements, or set [events] "
     "synthesize = true on the gateway."),
    (True, 250.4, True, "The scanner has not responded for 250 s; switch it on, and subscribe again."),
    (False, 250.4, True,
     'The gateway does not use events of this scanner (events = "off"); ask for job statuses with GetJobElements, or '
     "set [events] synthesize = true on the gateway.")])
def test_why_a_scanner_has_no_events_for_clients(is_subscribed_to, silence, is_refused, reason):
    found = events_unavailable(is_subscribed_to=is_subscribed_to, silence=silence, max_silence=100.0,
                               is_refused=is_refused, synthesizes=False)
    assert found == (None if reason is None else Unavailable(reason))


@pytest.mark.parametrize(("is_subscribed_to", "silence", "is_refused", "made"), [
    (True, 99.9, True, True), (False, 0.0, False, True), (True, 100.0, True, False), (False, 100.0, False, False)])
def test_the_gateway_makes_events_for_a_scanner_that_answers(is_subscribed_to, silence, is_refused, made):
    found = events_unavailable(is_subscribed_to=is_subscribed_to, silence=silence, max_silence=100.0,
                               is_refused=is_refused, synthesizes=True)
    assert found.made == (tuple(f"{SCAN}/{event}" for event in MADE) if made else ())


MADE = ("JobStatusEvent", "JobEndStateEvent", "ScannerStatusSummaryEvent")


@pytest.mark.parametrize(("events", "name"), [
    (["JobStatusEvent"], None), (["JobEndStateEvent", "ScannerElementsChangeEvent"], None),
    (["ScannerStatusSummaryEvent"], None), (None, None),
    (["ScannerElementsChangeEvent"], "EventSourceUnableToProcess"),
    (["ScanAvailableEvent", "JobStatusEvent"], "EventSourceUnableToProcess")])
def test_events_that_the_gateway_makes_are_granted(events, name):
    unavailable = Unavailable("None.", tuple(f"{SCAN}/{event}" for event in MADE))
    message = read(subscribe("http://192.0.2.7/", events=events))
    if name is None:
        assert not read_wanted(message, NOW, unavailable=unavailable, has_panel=False).panel
    else:
        fault = fault_of(read_wanted, message, NOW, unavailable=unavailable, has_panel=False)
        assert (fault.name, fault.status) == (name, 500)
