"""Tests of bridge.jobs.unreadevents: after an unreadable event the jobs it may concern are asked for, once per
poll_interval.
"""

import re

import pytest

from tests.bridge.bridges import Bridge, shown
from tests.messages import (
    SCAN,
    announcement,
    create_scan_job,
    created_job,
    end_event,
    envelope,
    get_job_elements,
    get_scanner_elements,
    job_status,
    listing,
    scanner_elements,
    status_event,
    status_response,
)
from wsdgateway.bridge.decisions import Answer, Forward, Join, Pass
from wsdgateway.bridge.events.intake import Unread, read_notification, unread_of
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.jobs.unreadevents import MAX_NAMED

OF_1 = re.sub(rb"<wscn:JobCompletedState>.*</wscn:JobCompletedState>", b"", end_event("1", message_id=None))
OF_ANY = envelope(f"{SCAN}/JobEndStateEvent", message_id=None)
BROKEN_1, BROKEN = b"<x:JobId>1</x:JobId><", b"<"
WAYS = {"of one": OF_1, "of any": OF_ANY, "broken, of one": BROKEN_1, "broken": BROKEN}


@pytest.fixture
def bridge():
    """A scanner that sends events; job 1 is at its first page."""
    made = Bridge()
    made.tell(status_event("1", "Processing", 1))
    return made


def send_unreadable(bridge, data):
    """Delivers an unreadable notification of the scanner."""
    notification = read_notification(data)
    if isinstance(notification, Rejected):
        bridge.scanner.notifications.unread(unread_of(notification, data), bridge.now)
    else:
        assert bridge.tell(data)


def read_status(bridge, answer, job_id="1"):
    """Returns whether a read is forwarded to the scanner, and the state shown to the client."""
    decision = bridge.ask(get_job_elements(job_id))
    if isinstance(decision, Answer):
        return False, shown(decision.body).state
    assert isinstance(decision, Forward)
    passed = bridge.learn(decision, answer)
    return True, shown(passed.reply.body if isinstance(passed, Pass) else passed.body).state


DONE, BUSY = status_response("1", "Completed", 2), status_response("1", "Processing", 1)


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_the_next_read_is_forwarded(bridge, data):
    assert read_status(bridge, DONE) == (False, "Processing")
    send_unreadable(bridge, data)
    assert read_status(bridge, DONE) == (True, "Completed")
    assert read_status(bridge, DONE) == (False, "Completed")


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_an_answer_resolves_the_doubt(bridge, data):
    send_unreadable(bridge, data)
    assert read_status(bridge, BUSY) == (True, "Processing")
    bridge.now += 29.0
    assert read_status(bridge, DONE) == (False, "Processing")


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_a_storm_of_unreadable_events_causes_one_request_per_poll_interval(bridge, data):
    asked = 0
    for _ in range(1000):
        send_unreadable(bridge, data)
        asked += read_status(bridge, BUSY)[0]
        bridge.now += 0.01
    assert asked == 10


def test_a_readable_event_in_between_does_not_resolve_the_doubt(bridge):
    send_unreadable(bridge, OF_1)
    bridge.tell(status_event("1", "Processing", 2, message_id="urn:uuid:late"))
    assert read_status(bridge, DONE) == (True, "Completed")


def test_only_the_named_job_is_asked_for(bridge):
    bridge.tell(status_event("2", "Processing", 1, message_id="urn:uuid:b"))
    send_unreadable(bridge, OF_1)
    assert read_status(bridge, DONE, "2") == (False, "Processing")
    send_unreadable(bridge, OF_ANY)
    assert read_status(bridge, status_response("2", "Held"), "2") == (True, "Held")


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_a_finished_job_stays_finished_and_is_not_asked_for(bridge, data):
    bridge.tell(end_event("1"))
    send_unreadable(bridge, data)
    assert read_status(bridge, BUSY) == (False, "Completed")


def test_an_event_with_two_jobs_counts_for_the_first_and_the_other_is_asked_for(bridge):
    bridge.tell(status_event("2", "Held", 0, message_id="urn:uuid:b"))
    assert bridge.tell(envelope(f"{SCAN}/JobStatusEvent", (
        f"<wscn:JobStatusEvent>{job_status('2', 'Processing')}{job_status('1', 'Completed')}</wscn:JobStatusEvent>"),
        message_id=None))
    assert read_status(bridge, DONE, "2") == (False, "Processing")
    assert read_status(bridge, DONE) == (True, "Completed")


def test_a_duplicate_message_counts_once(bridge):
    data = OF_1.replace(b"</wsa:Action>", b"</wsa:Action><wsa:MessageID>urn:uuid:m</wsa:MessageID>")
    assert bridge.tell(data)
    assert read_status(bridge, BUSY)[0]
    bridge.now += 2.0
    assert not bridge.tell(data)
    assert not read_status(bridge, BUSY)[0]


def test_a_scanner_with_only_unreadable_events_counts_as_one_without_events():
    bridge = Bridge()
    assert read_status(bridge, BUSY)[0]
    asked = 0
    for _ in range(500):
        send_unreadable(bridge, OF_1)
        asked += read_status(bridge, BUSY)[0]
        bridge.now += 0.01
    assert not bridge.scanner.table.events_seen
    assert asked == 4


@pytest.mark.parametrize("data", [
    envelope(f"{SCAN}/JobStatusEvent", f"<wscn:JobStatusEvent>{job_status('7')[16:-17]}</wscn:JobStatusEvent>"),
    envelope(f"{SCAN}/ScannerStatusSummaryEvent", f"<wscn:JobStatusEvent>{job_status('7')}</wscn:JobStatusEvent>"),
    status_event("7").replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan")])
def test_a_readable_event_of_unusual_form_counts_as_an_event(data):
    bridge = Bridge()
    assert bridge.tell(data)
    assert bridge.scanner.table.events_seen
    assert read_status(bridge, DONE, "7") == (False, "Processing")


# Requests in progress.

@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_a_client_after_the_event_needs_a_request_sent_after_it(bridge, data):
    bridge.now += 31.0
    early = bridge.ask(get_job_elements("1"))
    send_unreadable(bridge, data)
    late = route(get_job_elements("1", message_id="urn:uuid:late"), Endpoint.SCAN, client="192.0.2.1",
                 host=b"gateway.test:5357")
    assert isinstance(bridge.scanner.ask(late, bridge.now), Join)
    bridge.now += 2.0
    passed = bridge.learn(early, BUSY)
    assert isinstance(passed, Pass)
    again = bridge.scanner.joined(late, early, passed.reply, bridge.now)
    assert isinstance(again, Forward)
    bridge.scanner.sent(again, bridge.now)
    send_unreadable(bridge, data)
    bridge.now += 2.0
    assert shown(bridge.learn(again, BUSY).reply.body).state == "Processing"
    later = bridge.scanner.joined(late, again, passed.reply, bridge.now)
    assert isinstance(later, Answer)  # requested after this client arrived; one such request is enough


def test_an_unreadable_event_before_the_answer_to_create_puts_the_new_job_in_doubt(bridge):
    creating = bridge.ask(create_scan_job())
    send_unreadable(bridge, OF_ANY)
    bridge.learn(creating, created_job("5"))
    bridge.tell(status_event("5", "Pending", 0, message_id="urn:uuid:c"))
    assert read_status(bridge, status_response("5", "Aborted"), "5") == (True, "Aborted")


def test_an_unreadable_event_of_an_unknown_job_may_be_newer_than_its_first_readable_one(bridge):
    send_unreadable(bridge, OF_1.replace(b">1<", b">8<"))
    bridge.tell(status_event("8", "Pending", 0, message_id="urn:uuid:c"))
    assert read_status(bridge, status_response("8", "Aborted"), "8") == (True, "Aborted")
    bridge.tell(status_event("9", "Pending", 0, message_id="urn:uuid:d"))
    assert read_status(bridge, DONE, "9") == (False, "Pending")


def test_the_number_of_remembered_unreadable_events_is_limited(bridge):
    for number in range(MAX_NAMED + 5):
        bridge.scanner.notifications.unread(Unread((f"n{number}",)), bridge.now)
    assert read_status(bridge, DONE) == (True, "Completed")  # too many to remember: it may have been any job


# Answers shared by several clients.

def is_cached(bridge, raw, answer):
    """Returns whether the answer is cached. If the request is forwarded, it is answered with `answer`."""
    decision = bridge.ask(raw)
    if isinstance(decision, Forward):
        bridge.learn(decision, answer)
    return not isinstance(decision, Forward)


LIST = (envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"),
        listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 1)))
ELEMENTS = get_scanner_elements("ScannerConfiguration"), scanner_elements("ScannerConfiguration")
STATUS = get_scanner_elements("ScannerStatus"), scanner_elements("ScannerStatus")


@pytest.mark.parametrize(("data", "only_jobs"), [(OF_1, True), (OF_ANY, True), (BROKEN, False)])
def test_lists_and_elements_are_asked_for_again_once_in_a_poll_interval(bridge, data, only_jobs):
    bridge.tell(announcement("ScannerStatusSummaryEvent"))
    for question in (LIST, ELEMENTS, STATUS):
        assert not is_cached(bridge, *question)
        assert is_cached(bridge, *question)
    bridge.now += 2.0
    send_unreadable(bridge, data)
    assert [is_cached(bridge, *question) for question in (LIST, ELEMENTS, STATUS)] == [False, only_jobs, only_jobs]
    asked = 0
    for _ in range(500):
        bridge.now += 0.01
        send_unreadable(bridge, data)
        asked += not is_cached(bridge, *LIST)
    assert asked == 5
    bridge.now += 1.1
    assert not is_cached(bridge, *LIST)
    bridge.now += 29.0
    assert is_cached(bridge, *LIST)


def test_the_event_in_the_body_takes_precedence_over_the_action(bridge):
    bridge.tell(announcement("ScannerStatusSummaryEvent"))
    assert not is_cached(bridge, *STATUS)
    assert is_cached(bridge, *STATUS)
    bridge.tell(announcement("ScannerStatusSummaryEvent").replace(b"scan/ScannerStatusSummaryEvent<",
                                                                  b"scan/JobStatusEvent<"))
    assert not is_cached(bridge, *STATUS)
