"""Tests of net.events.devicesubscription with scanners that break rules: which requests they get, and how often."""

from itertools import pairwise

import attrs
import pytest
from twisted.internet.defer import Deferred

from tests.messages import SCAN, envelope
from tests.net.events.eventsource import EPOCH, EXPIRES, SCAN_URL
from wsdgateway.bridge.events.upstream_core import LONGEST_PAUSE, NO_MANAGER, SETTLED
from wsdgateway.bridge.events.upstreamcommands import Shown
from wsdgateway.bridge.health.causes import SUBSCRIPTION_LOST
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.transport.errors import BadDevice, NotOwned, Unavailable
from wsdgateway.scan.operations import SCAN_AVAILABLE
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.namespaces import WSE

W = f"{{{WSE}}}"


# Scanners that refuse Renew.

@pytest.mark.parametrize("refuses", [{"Renew"}, {"Renew", "Unsubscribe"}])
def test_a_scanner_that_refuses_every_renew_is_rarely_subscribed_to_anew(subscriber, scanner, refuses):
    scanner.refuses = refuses
    subscriber.subscription.start()

    def troubles():
        subscriber.subscription.doubted()
        subscriber.subscription.checked()

    subscriber.pass_time(6 * 3600.0, 5.0, troubles)
    times = scanner.times("Subscribe")
    first, *pauses = [later - earlier for earlier, later in pairwise(times)]
    assert first < 20.0  # the first refusal may mean that the scanner has restarted
    assert scanner.operations().count("Unsubscribe") == len(times) - 1
    assert max(pauses) <= EXPIRES / 2 + 10.0
    if "Unsubscribe" in refuses:
        assert all(1.5 < later / earlier < 2.5 for earlier, later in pairwise(pauses[:7]))
        assert len(times) < 20
    else:
        assert pauses[:5] == [60.0, 120.0, 240.0, 480.0, 960.0]
        assert set(pauses[5:]) == {EXPIRES / 2}
        assert len(scanner.times("Renew")) == 2
        assert subscriber.lost == 0
        assert scanner.most == 1
        assert list(scanner.held.values()) == [held.notify_to for held in subscriber.store.held().result]


def test_unless_in_doubt_the_subscription_is_replaced_only_at_half_time(subscriber, scanner):
    scanner.refuses = {"Renew"}
    subscriber.subscription.start()
    subscriber.pass_time(6 * 3600.0, 10.0, subscriber.subscription.checked)
    times = scanner.times("Subscribe")
    assert all(1700.0 < later - earlier < 1900.0 for earlier, later in pairwise(times[1:]))
    assert scanner.most == 1


def test_a_restarted_scanner_is_subscribed_to_at_once_each_time(subscriber, scanner):
    subscriber.subscription.start()
    for number in range(1, 6):
        subscriber.pass_time(30.0)
        scanner.held.clear()
        subscriber.subscription.doubted()
        subscriber.pass_time(SETTLED / 2)
        assert len(scanner.held) == 1
        assert subscriber.subscription.listening
        assert subscriber.lost == number
    assert scanner.operations().count("Subscribe") == 6
    assert scanner.most == 1


def test_a_restarted_scanner_that_is_subscribed_to_at_once_is_no_trouble(subscriber, scanner):
    subscriber.subscription.start()
    subscriber.pass_time(2 * SETTLED)
    told = []
    scanner.held.clear()
    subscriber.subscription.doubted()
    subscriber.pass_time(10.0, 0.1, lambda: told.append(subscriber.subscription.trouble))
    assert (subscriber.lost, subscriber.subscription.listening) == (1, True)
    assert set(told) == {None}


def test_a_lost_subscription_that_cannot_be_replaced_is_trouble(subscriber, scanner):
    subscriber.subscription.start()
    subscriber.pass_time(2 * SETTLED)
    scanner.held.clear()
    scanner.fails = {"Subscribe": BadDevice("192.0.2.20", "it broke off")}
    subscriber.subscription.doubted()
    subscriber.pass_time(5.0)
    assert subscriber.subscription.trouble == SUBSCRIPTION_LOST
    scanner.fails = {}
    subscriber.pass_time(LONGEST_PAUSE)
    assert subscriber.subscription.listening
    assert subscriber.subscription.trouble is None


def test_a_scanner_that_restarts_before_a_renew_is_subscribed_to_soon(subscriber, scanner):
    subscriber.subscription.start()
    subscriber.pass_time(60.0)
    for seconds in (5.0, 30.0, 15.0, 30.0):  # alternately before and after the Renew that would be granted
        scanner.held.clear()
        subscriber.pass_time(seconds, 1.0, subscriber.subscription.doubted)
        assert len(scanner.held) == 1
    subscriber.pass_time(2 * EXPIRES, 60.0)
    assert subscriber.subscription.state == "subscribed"
    assert len(scanner.times("Subscribe")) == 5
    assert scanner.most == 1


def test_the_restart_of_a_scanner_that_refuses_renew_is_detected(subscriber, scanner):
    scanner.refuses = {"Renew"}
    subscriber.subscription.start()
    subscriber.pass_time(200.0, 5.0, subscriber.subscription.doubted)
    for _ in range(3):
        subscriber.pass_time(2000.0)
        scanner.held.clear()
        subscriber.subscription.recovered(was_away=True)
        subscriber.pass_time(SETTLED)
        assert len(scanner.held) == 1
    assert subscriber.lost == 3
    assert scanner.most == 1


def test_a_restart_of_the_gateway_leaves_no_second_subscription(subscriber, scanner):
    scanner.refuses = {"Renew"}
    subscriber.subscription.start()
    for _ in range(5):
        subscriber.pass_time(100.0, 5.0, subscriber.subscription.doubted)
        subscriber.restart()
    subscriber.pass_time(5.0)
    assert len(scanner.held) == scanner.most == 1
    assert list(scanner.held.values()) == [held.notify_to for held in subscriber.store.held().result]


def test_an_earlier_subscription_with_another_notify_to_is_replaced(subscriber, scanner):
    subscriber.subscription.start()
    subscriber.pass_time(100.0)
    subscriber.base = "http://192.0.2.6:5357/front-desk/events"
    subscriber.restart()
    subscriber.pass_time(5.0)
    assert scanner.operations() == ["Subscribe", "Unsubscribe", "Subscribe"]
    [notify_to] = scanner.held.values()
    assert notify_to.startswith(subscriber.base)
    assert subscriber.lost == 0


def test_replacing_a_subscription_waits_until_the_scanner_is_back(subscriber, scanner):
    subscriber.subscription.start()
    subscriber.pass_time(10.0)
    scanner.refuses = {"Renew"}
    scanner.answers["Unsubscribe"] = (503, b"text/plain", b"busy")
    subscriber.subscription.doubted()
    subscriber.pass_time(30.0)
    assert scanner.operations().count("Subscribe") == 1
    assert set(subscriber.addresses.values()) == {subscriber.subscription}  # notifications may still arrive at it
    assert subscriber.store.held().result
    del scanner.answers["Unsubscribe"]
    subscriber.pass_time(60.0)
    assert scanner.operations().count("Subscribe") == 2
    assert scanner.most == 1


def test_an_interrupted_unsubscribe_is_followed_by_subscribe(subscriber, scanner):
    subscriber.subscription.start()
    subscriber.pass_time(10.0)
    scanner.refuses = {"Renew"}
    broken = BadDevice("192.0.2.20", "it closed the connection")
    broken.sent = True
    scanner.fails["Unsubscribe"] = broken
    subscriber.subscription.doubted()
    subscriber.pass_time(5.0)
    assert scanner.operations()[-3:] == ["Renew", "Unsubscribe", "Subscribe"]


@pytest.mark.parametrize("waits", [False, True])
def test_a_grant_after_the_stop_is_ended_at_the_next_start(subscriber, scanner, waits):
    scanner.gate = gate = Deferred()
    beginning = Deferred.fromCoroutine(subscriber.subscription.begin()) if waits else subscriber.subscription.start()
    subscriber.subscription.stop()
    scanner.gate = None
    scanner.fails[scanner.manager] = Unavailable("192.0.2.20", "it is away")
    gate.callback(None)
    assert beginning is None or beginning.result[0] is not None
    assert len(scanner.held) == 1
    assert subscriber.addresses == {}
    [held] = subscriber.store.held().result
    assert [held.notify_to] == list(scanner.held.values())
    scanner.fails.clear()
    subscriber.restart()
    subscriber.pass_time(SETTLED)
    assert len(scanner.held) == scanner.most == 1


# Successes that cannot be read.

TWICE = envelope(f"{WSE}/SubscribeResponse", "<wse:SubscribeResponse/>").replace(
    b"</soap:Header>", f"<wsa:Action>{WSE}/SubscribeResponse</wsa:Action></soap:Header>".encode())
UNREADABLE = {
    "empty": (200, b"application/soap+xml", b""), "accepted": (202, b"", b""), "no content": (204, b"", b""),
    "a page": (200, b"text/html", b"<html><body>OK</body></html>"), "no XML": (200, b"text/plain", b"OK"),
    "a header twice": (200, b"application/soap+xml", TWICE),
    "an empty Body": (200, b"application/soap+xml", envelope(f"{WSE}/SubscribeResponse")),
    "another answer": (200, b"application/soap+xml", envelope(f"{SCAN}/X", "<wscn:X/>")),
    "a manager that cannot be used": (200, b"application/soap+xml", envelope(f"{WSE}/SubscribeResponse", (
        "<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>http://192.0.2.20/m</wsa:Address>"
        "<wsa:ReferenceParameters><wsa:Action>x</wsa:Action></wsa:ReferenceParameters></wse:SubscriptionManager>"
        "</wse:SubscribeResponse>"))),
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
def test_a_success_that_cannot_be_read_is_followed_by_a_long_pause(subscriber, scanner, answer):
    scanner.answers["Subscribe"] = answer
    subscriber.subscription.start()
    subscription = subscriber.subscription
    subscriber.pass_time(LONGEST_PAUSE, 10.0, lambda: (subscription.doubted(), subscription.checked()))
    assert scanner.operations() == ["Subscribe"]
    assert not subscriber.subscription.listening
    assert not subscriber.subscription.refused
    assert set(subscriber.addresses.values()) == {subscriber.subscription}
    del scanner.answers["Subscribe"]
    subscriber.pass_time(EXPIRES)
    assert subscriber.subscription.state == "subscribed"
    assert len(subscriber.addresses) == 1


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_subscription_with_an_unreadable_grant_is_held_once_it_notifies(subscriber, scanner, restarts):
    scanner.answers["Subscribe"] = UNREADABLE["empty"]
    subscriber.subscription.start()
    subscriber.pass_time(600.0)
    subscriber.subscription.notified()
    assert subscriber.subscription.listening
    [held] = subscriber.store.held().result
    assert held.manager == NO_MANAGER
    for _ in range(restarts):
        subscriber.restart()
        subscriber.pass_time(1.0)
    assert subscriber.subscription.listening
    assert set(subscriber.addresses) == {held.notify_to.rpartition("/")[2]}
    subscriber.pass_time(2900.0, 10.0, subscriber.subscription.doubted)
    assert scanner.operations() == ["Subscribe"]
    subscriber.pass_time(200.0)
    assert scanner.operations() == ["Subscribe"] * 2


@pytest.mark.parametrize("answer", [*list(UNREADABLE.values())[:5]], ids=[*UNREADABLE][:5])
def test_an_unreadable_renew_response_extends_nothing(subscriber, scanner, answer):
    scanner.answers["Renew"] = answer
    subscriber.subscription.start()
    expires_at = subscriber.subscription.held.expires_at
    subscriber.pass_time(60.0)
    subscriber.subscription.checked()
    assert subscriber.subscription.held.expires_at == expires_at
    subscriber.pass_time(2 * EXPIRES, 60.0, subscriber.subscription.checked)
    times = scanner.times("Subscribe")
    assert all(later - earlier < EXPIRES for earlier, later in pairwise(times))
    assert len(times) <= 5
    assert len(scanner.times("Renew")) <= 2
    assert scanner.most == 1
    assert subscriber.lost == 0


def test_an_unreadable_unsubscribe_response_counts_as_success(subscriber, scanner):
    subscriber.subscription.start()
    scanner.answers["Unsubscribe"] = UNREADABLE["accepted"]
    subscriber.subscription.stop()
    subscriber.pass_time(600.0)
    assert scanner.operations() == ["Subscribe", "Unsubscribe"]
    assert subscriber.store.held().result == []


def test_an_empty_renew_response_grants_the_requested_duration(subscriber, scanner):
    subscriber.subscription.start()
    scanner.answers["Renew"] = (200, b"application/soap+xml", envelope(f"{WSE}/RenewResponse"))
    subscriber.pass_time(1900.0, 10.0)
    assert scanner.operations() == ["Subscribe", "Renew"]
    assert subscriber.subscription.held.expires_at > EPOCH + 5000.0


# Subscription managers at odd addresses.

ODD = [ANONYMOUS, "http://www.w3.org/2005/08/addressing/anonymous", "http://www.w3.org/2005/08/addressing/none", "",
       None, "/manager", "manager", "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", "urn:manager",
       "soap.udp://192.0.2.20:3702", "mailto:x@192.0.2.20", "http:///manager", "http://[bad/m", "http://192.0.2.20:99999/m"]


@pytest.mark.parametrize("manager", ODD)
def test_requests_for_an_odd_manager_go_to_the_scan_service(subscriber, scanner, manager):
    scanner.manager = manager
    subscriber.subscription.start()
    subscriber.pass_time(10.0)
    subscriber.subscription.doubted()
    subscriber.subscription.stop()
    assert [(url, operation) for _, url, operation, _ in scanner.requests[1:]] == [
        (SCAN_URL, "Renew"), (SCAN_URL, "Unsubscribe")]
    for _, _, _, message in scanner.requests[1:]:
        assert message.header.findtext(f"{W}Identifier") == "urn:uuid:1"
        assert message.to == (manager if manager and ":" in manager and "/addressing/" not in manager else SCAN_URL)
    assert scanner.held == {}


@pytest.mark.parametrize(("manager", "reached"), [
    ("http://192.0.2.20/manager", "http://192.0.2.20/manager"),
    ("http://10.0.0.1:8018/manager?5", "http://192.0.2.20:8018/manager?5")])
def test_requests_for_a_manager_go_to_the_scanners_host(subscriber, scanner, manager, reached):
    scanner.manager = manager
    subscriber.subscription.start()
    subscriber.subscription.stop()
    assert scanner.requests[-1][1] == reached
    assert scanner.requests[-1][3].to == manager


@pytest.mark.parametrize("answer", [
    (404, b"text/plain", b""), (405, b"text/html", b"<html>"), (200, b"text/html", b"<p>")])
def test_if_the_manager_does_not_speak_soap_the_scan_service_is_used(subscriber, scanner, answer):
    scanner.answers[scanner.manager] = answer
    subscriber.subscription.start()
    subscriber.pass_time(10.0)
    subscriber.subscription.doubted()
    assert [url for _, url, _, _ in scanner.requests] == [SCAN_URL, scanner.manager, SCAN_URL]
    assert scanner.requests[-1][3].to == SCAN_URL
    assert subscriber.subscription.state == "subscribed"
    subscriber.subscription.stop()
    assert scanner.held == {}


@pytest.mark.parametrize(("manager", "urls"), [
    ("http://10.0.0.1:8018/m", ["http://192.0.2.20:8018/m", SCAN_URL]), ("http://192.0.2.20/m", ["http://192.0.2.20/m"])])
def test_if_the_managers_port_is_closed_the_scan_service_is_used(subscriber, scanner, manager, urls):
    scanner.manager = manager
    scanner.fails[urls[0]] = Unavailable("192.0.2.20", "connection failed")
    subscriber.subscription.start()
    subscriber.pass_time(10.0)
    subscriber.subscription.doubted()
    assert [url for _, url, _, _ in scanner.requests[1:]] == urls


def test_a_fault_of_the_manager_is_not_retried_at_the_scan_service(subscriber, scanner):
    scanner.refuses = {"Renew"}
    subscriber.subscription.start()
    subscriber.pass_time(10.0)
    subscriber.subscription.doubted()
    assert [url for _, url, operation, _ in scanner.requests if operation == "Renew"] == [scanner.manager]


def test_the_same_pauses_apply_to_scan_destinations(subscriber, scanner):
    scanner.refuses = {"Renew"}
    panel = DeviceSubscription(subscriber.client, identifier="client", filters=((f"{SCAN}/{SCAN_AVAILABLE}",),))
    panel.start()
    subscriber.pass_time(3600.0, 5.0, panel.doubted)
    assert scanner.most == 1
    assert scanner.operations().count("Subscribe") < 9
    panel.give_up()


# A subscription of an earlier start, and the end before its address is known.

@pytest.fixture
def waiting(subscriber, held):
    """A start whose own address is not known yet; fires when it is."""
    known = Deferred()

    async def base():
        await known
        return subscriber.base

    subscriber.subscription = DeviceSubscription(attrs.evolve(subscriber.client, notify_base=base))
    subscriber.subscription.resume(held)
    return known


def test_it_is_handed_on_before_it_is_renewed(subscriber, scanner, held, waiting):
    assert subscriber.subscription.hand_off() == held
    waiting.callback(None)
    assert scanner.operations() == ["Subscribe"]  # the next object renews it
    assert subscriber.store.held().result == [held]


def test_a_stop_ends_it_before_it_is_renewed(subscriber, scanner, waiting):
    stopped = subscriber.subscription.stop()
    waiting.callback(None)
    assert scanner.operations() == ["Subscribe", "Unsubscribe"]
    assert scanner.held == {} and subscriber.store.held().result == [] and stopped.called


# The destinations that the store keeps with it.

def test_what_it_shows_is_kept_until_it_is_being_replaced(subscriber, scanner):
    shown = (Shown("ctx", "Mail", "t1"),)
    subscription = subscriber.subscription = DeviceSubscription(subscriber.client, read_shown=lambda answer: shown)
    subscription.start()
    assert subscription.held.shown == subscriber.store.held().result[0].shown == shown
    scanner.gate = Deferred()
    scanner.refuses = {"Renew"}
    subscriber.pass_time(EXPIRES / 2)
    gate, scanner.gate = scanner.gate, Deferred()
    gate.callback(None)
    assert scanner.operations() == ["Subscribe", "Renew", "Unsubscribe"] and subscription.state == "replacing"
    assert subscription.hand_off().shown == subscriber.store.held().result[0].shown == ()


# Grants that arrive when another gateway owns the scanner.

@pytest.fixture
def disowned(subscriber, scanner):
    """A subscription whose Subscribe is on its way when the gateway loses the scanner, and what is left behind."""
    owns, left = [True], []
    made = DeviceSubscription(attrs.evolve(subscriber.client, owns=lambda: owns[-1], leave_behind=left.append))
    scanner.gate = Deferred()

    def lose():
        owns.append(False)
        made.hand_off()
        scanner.gate.callback(None)

    yield made, lose, left
    made.give_up()


def test_a_grant_after_the_loss_of_the_scanner_is_left_behind(subscriber, scanner, disowned):
    subscription, lose, left = disowned
    subscription.start()
    lose()
    assert scanner.operations() == ["Subscribe"]  # nothing may be sent any more
    assert [one.notify_to for one in left] == list(scanner.held.values())
    assert subscriber.store.held().result == []


def test_a_grant_for_a_client_after_the_loss_of_the_scanner_is_left_behind(subscriber, scanner, disowned):
    subscription, lose, left = disowned
    begun = Deferred.fromCoroutine(subscription.begin())
    lose()
    reasons = []
    begun.addErrback(reasons.append)
    assert [reason.type for reason in reasons] == [NotOwned]  # so that the request is passed on
    assert [one.notify_to for one in left] == list(scanner.held.values())
    assert not subscription.listening and subscriber.store.held().result == []
