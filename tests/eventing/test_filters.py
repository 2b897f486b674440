"""Tests of eventing.filters: the events that a subscription's filter matches."""

import pytest

from tests.eventing.requests import SINK, asked
from tests.messages import SCAN, subscribe
from wsdgateway.eventing.filters import is_prefix
from wsdgateway.scan.operations import EVENTS
from wsdgateway.soap.namespaces import WSDP


def matched(message):
    wanted = asked(message).filter
    return {event for event in EVENTS if wanted.matches(f"{SCAN}/{event}")}


@pytest.mark.parametrize(("message", "events"), [
    (subscribe(SINK), set(EVENTS)),
    (subscribe(SINK, events=["JobStatusEvent", "JobEndStateEvent"]), {"JobStatusEvent", "JobEndStateEvent"}),
    (subscribe(SINK, events=["JobStatusEvent", "urn:unknown"]), {"JobStatusEvent"}),
    (subscribe(SINK, events=[SCAN]), set(EVENTS)),
    (subscribe(SINK, events=[f"{SCAN}/"]), set(EVENTS)),
    (subscribe(SINK, events=["http://Schemas.Microsoft.com/windows"]), set(EVENTS)),
    (subscribe(SINK, events=["ScanAvailableEvent"], dialect=None), {"ScanAvailableEvent"}),
    (subscribe(SINK, events=["wscn:JobStatusEvent"], dialect=None), {"JobStatusEvent"}),
    (subscribe(SINK, events=["JobStatusEvent"], dialect=f" {WSDP}/Action "), {"JobStatusEvent"}),
    (subscribe(SINK, events=["http://schemas.microsoft.com/windows/2006/01/wdp/scan/JobStatusEvent"]),
     {"JobStatusEvent"}),
])
def test_the_events_that_a_filter_matches(message, events):
    assert matched(message) == events


@pytest.mark.parametrize(("prefix", "uri", "is_one"), [
    ("http://a/b", "http://a/b", True), ("http://a/b", "http://a/b/c", True), ("http://a/b/", "http://a/b/c", True),
    ("http://A/b", "http://a/b/c", True), ("http://a", "http://a/b", True), ("http://a/b", "http://a/bc", False),
    ("http://a/b/c", "http://a/b", False), ("http://a/B", "http://a/b/c", False),
    ("https://a/b", "http://a/b/c", False),
    ("http://x/b", "http://a/b/c", False), ("http", "http://a/b", False), ("", "http://a/b", False),
    ("http://[bad", "http://a/b", False), ("http://a/b?x", "http://a/b/c", False), ("urn:a", "urn:a:b", False)])
def test_prefixes_are_compared_by_segments(prefix, uri, is_one):
    assert is_prefix(prefix, uri) is is_one
