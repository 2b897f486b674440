"""Tests of bridge.events.intake: permitted senders of notifications, refusals, and the effects of events."""

from ipaddress import ip_network

import pytest

from tests.messages import SCAN, envelope, status_event
from wsdgateway.bridge.events.intake import (
    MAX_UNKNOWN_SENDERS,
    Effect,
    Notification,
    RefusedNotification,
    UnknownSenders,
    Unread,
    effect_of,
    examine,
    may_notify,
    read_notification,
    unknown_sender,
    unread_of,
)
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.soap.namespaces import WSE

SOAP_TYPE = b"application/soap+xml; charset=utf-8"
END = envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>", message_id="urn:uuid:end")
ODD_END = envelope(f"{SCAN}/Odd", "<wse:SubscriptionEnd/>", message_id="urn:uuid:odd")


@pytest.mark.parametrize(("client", "allowed"), [
    ("192.0.2.20", True), ("192.0.2.21", False), ("::ffff:192.0.2.20", True), ("::ffff:192.0.2.21", False),
    ("198.51.100.20", True), ("198.51.100.21", False),
    ("203.0.113.7", True), ("::ffff:203.0.113.7", True), ("203.0.114.7", False),
    ("2001:db8::7", True), ("2001:db8:1::7", False), ("fe80::1%eth0", True), ("fe81::1%eth0", False),
    ("", False), ("scanner.example", False)])
def test_the_scanner_and_its_event_sources_may_notify(client, allowed):
    networks = [ip_network(text) for text in ("203.0.113.0/24", "2001:db8::/48", "fe80::/16")]
    assert may_notify(client, peers={"192.0.2.20"}, device="http://198.51.100.20:5357/scan",
                      sources=networks) is allowed


@pytest.mark.parametrize("client", ["192.0.2.20", "", "::1"])
def test_no_sender_is_permitted_before_the_scanner_is_known(client):
    assert not may_notify(client, peers=set(), device=None, sources=())


def test_the_fault_for_an_unknown_sender_names_the_setting_that_admits_it():
    fault = unknown_sender("192.0.2.9")
    assert "192.0.2.9" in fault.reason
    assert "event_sources" in fault.reason


def test_messages_of_unknown_senders_are_read_at_a_limited_total_rate():
    senders = UnknownSenders()
    at_once = [senders.may_be_read(10.0) for _ in range(3 * int(MAX_UNKNOWN_SENDERS))]
    assert at_once == [True] * int(MAX_UNKNOWN_SENDERS) + [False] * 2 * int(MAX_UNKNOWN_SENDERS)
    assert [senders.may_be_read(10.0 + 1.0 / MAX_UNKNOWN_SENDERS) for _ in range(2)] == [True, False]
    assert sum(senders.may_be_read(1000.0) for _ in range(100)) == MAX_UNKNOWN_SENDERS


@pytest.mark.parametrize("content_type", [
    SOAP_TYPE, b"text/xml", b"application/xml", b"", None, b"text/xml; charset=utf-8"])
def test_a_notification_is_accepted_with_any_xml_content_type(content_type):
    found = examine(status_event("7", "Processing", 4), content_type)
    assert isinstance(found, Notification)
    assert (found.event, found.status.job_id, found.unread) == ("JobStatusEvent", "7", None)


@pytest.mark.parametrize(("data", "content_type", "subcode", "reason"), [
    (status_event("7"), b"text/plain", None, "its Content-Type is text/plain"),
    (b"<html/>", b"text/xml", None, "its Content-Type is text/xml"),
    (b"no XML", None, None, "its Content-Type is missing"),
    (b"no XML", b"x" * 200, None, f"its Content-Type is {'x' * 100}"),
    (b"no XML", SOAP_TYPE, "InvalidArgs", ""),
    (envelope(f"{SCAN}/Odd", "<wscn:Odd/>"), SOAP_TYPE, "ActionNotSupported", "")])
def test_refused_messages_and_their_reasons(data, content_type, subcode, reason):
    refusal = examine(data, content_type)
    assert isinstance(refusal, RefusedNotification)
    assert refusal.reason.startswith(reason)
    if subcode is None:
        assert refusal.fault is None
    else:
        assert refusal.fault.subcode.rpartition(":")[2] == subcode
        assert refusal.reason == refusal.fault.reason


@pytest.mark.parametrize(("data", "is_end"), [
    (ODD_END, True), (envelope(f"{SCAN}/Odd", "<wscn:Odd/>"), False), (b"", False)])
def test_a_refused_message_may_still_end_the_subscription(data, is_end):
    assert examine(data, SOAP_TYPE).is_end is is_end


@pytest.mark.parametrize(("data", "jobs"), [
    (status_event("7").replace(b"JobStatusEvent", b"JobOddEvent"), ("7",)), (b"no XML", ()),
    (envelope(f"{SCAN}/Odd", "<wscn:JobId>8</wscn:JobId>"), ("8",))])
def test_a_refused_message_names_the_jobs_it_may_concern(data, jobs):
    assert unread_of(examine(data, SOAP_TYPE), data) == Unread(jobs)


def test_the_end_of_a_subscription_is_a_notification_without_event():
    found = examine(END, SOAP_TYPE)
    assert (found.event, found.status, found.message_id) == (None, None, "urn:uuid:end")


@pytest.mark.parametrize(("event", "is_panel", "effect"), [
    (None, False, Effect.ENDED), (None, True, Effect.ENDED),
    ("JobStatusEvent", False, Effect.PUBLISHED), ("JobStatusEvent", True, Effect.NONE),
    ("ScannerStatusSummaryEvent", False, Effect.PUBLISHED), ("ScannerStatusSummaryEvent", True, Effect.NONE),
    ("ScanAvailableEvent", False, Effect.NONE), ("ScanAvailableEvent", True, Effect.PASSED_ON)])
def test_the_effect_of_each_event_at_each_kind_of_subscription(event, is_panel, effect):
    assert effect_of(event, is_panel=is_panel) is effect


@pytest.mark.parametrize(("data", "code"), [
    (b"<a", "InvalidArgs"), (envelope(None), "MessageInformationHeaderRequired"),
    (envelope(f"{SCAN}/GetJobElements"), "ActionNotSupported"), (envelope("urn:x"), "ActionNotSupported")])
def test_other_messages_than_notifications_are_rejected(data, code):
    refused = read_notification(data)
    assert isinstance(refused, Rejected)
    assert (refused.fault.subcode.partition(":")[2], refused.fault.status) == (code, 400)
    assert (refused.relates_to is not None) is (b"MessageID" in data)


def test_other_notifications():
    end = envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>", message_id="m")
    for message, event, message_id in (
            (end, None, "m"), (envelope(f"{SCAN}/ScannerStatusSummaryEvent", message_id=None),
                               "ScannerStatusSummaryEvent", None)):
        notification = read_notification(message)
        assert (notification.event, notification.message_id, notification.status) == (event, message_id, None)
