"""Events that can't be read: the jobs that they may be about are asked for, at most once in a poll_interval."""

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
    """A scanner that tells its jobs' statuses; job 1 is at its first page."""
    made = Bridge()
    made.tell(status_event("1", "Processing", 1))
    return made


def miss(bridge, data):
    """The scanner sends what can't be read."""
    notification = read_notification(data)
    if isinstance(notification, Rejected):
        bridge.scanner.unread(unread_of(notification, data), bridge.now)
    else:
        assert bridge.tell(data)


def asks(bridge, answer, job_id="1"):
    """Whether a read is asked of the scanner; what the client is shown."""
    decision = bridge.ask(get_job_elements(job_id))
    if isinstance(decision, Answer):
        return False, shown(decision.body).state
    assert isinstance(decision, Forward)
    passed = bridge.learn(decision, answer)
    return True, shown(passed.reply.body if isinstance(passed, Pass) else passed.body).state


DONE, BUSY = status_response("1", "Completed", 2), status_response("1", "Processing", 1)


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_the_next_read_asks(bridge, data):
    assert asks(bridge, DONE) == (False, "Processing")
    miss(bridge, data)
    assert asks(bridge, DONE) == (True, "Completed")
    assert asks(bridge, DONE) == (False, "Completed")


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_an_answer_settles_it(bridge, data):
    miss(bridge, data)
    assert asks(bridge, BUSY) == (True, "Processing")
    bridge.now += 29.0
    assert asks(bridge, DONE) == (False, "Processing")


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_a_storm_of_them_makes_one_request_in_a_poll_interval(bridge, data):
    asked = 0
    for _ in range(1000):
        miss(bridge, data)
        asked += asks(bridge, BUSY)[0]
        bridge.now += 0.01
    assert asked == 10


def test_a_readable_event_in_between_does_not_settle_it(bridge):
    miss(bridge, OF_1)
    bridge.tell(status_event("1", "Processing", 2, message_id="urn:uuid:late"))
    assert asks(bridge, DONE) == (True, "Completed")


def test_only_the_job_that_is_named_is_asked_for(bridge):
    bridge.tell(status_event("2", "Processing", 1, message_id="urn:uuid:b"))
    miss(bridge, OF_1)
    assert asks(bridge, DONE, "2") == (False, "Processing")
    miss(bridge, OF_ANY)
    assert asks(bridge, status_response("2", "Held"), "2") == (True, "Held")


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_a_finished_job_stays_finished_and_is_not_asked_for(bridge, data):
    bridge.tell(end_event("1"))
    miss(bridge, data)
    assert asks(bridge, BUSY) == (False, "Completed")


def test_an_event_of_two_jobs_is_taken_for_the_first_and_the_other_is_asked_for(bridge):
    bridge.tell(status_event("2", "Held", 0, message_id="urn:uuid:b"))
    assert bridge.tell(envelope(f"{SCAN}/JobStatusEvent", (
        f"<wscn:JobStatusEvent>{job_status('2', 'Processing')}{job_status('1', 'Completed')}</wscn:JobStatusEvent>"),
        message_id=None))
    assert asks(bridge, DONE, "2") == (False, "Processing")
    assert asks(bridge, DONE) == (True, "Completed")


def test_a_message_that_comes_twice_counts_once(bridge):
    data = OF_1.replace(b"</wsa:Action>", b"</wsa:Action><wsa:MessageID>urn:uuid:m</wsa:MessageID>")
    assert bridge.tell(data)
    assert asks(bridge, BUSY)[0]
    bridge.now += 2.0
    assert not bridge.tell(data)
    assert not asks(bridge, BUSY)[0]


def test_while_none_can_be_read_the_scanner_counts_as_one_without_events():
    bridge = Bridge()
    assert asks(bridge, BUSY)[0]
    asked = 0
    for _ in range(500):
        miss(bridge, OF_1)
        asked += asks(bridge, BUSY)[0]
        bridge.now += 0.01
    assert not bridge.scanner.table.events_seen
    assert asked == 4


@pytest.mark.parametrize("data", [
    envelope(f"{SCAN}/JobStatusEvent", f"<wscn:JobStatusEvent>{job_status('7')[16:-17]}</wscn:JobStatusEvent>"),
    envelope(f"{SCAN}/ScannerStatusSummaryEvent", f"<wscn:JobStatusEvent>{job_status('7')}</wscn:JobStatusEvent>"),
    status_event("7").replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan")])
def test_one_that_is_read_in_another_shape_counts_as_an_event(data):
    bridge = Bridge()
    assert bridge.tell(data)
    assert bridge.scanner.table.events_seen
    assert asks(bridge, DONE, "7") == (False, "Processing")


# Requests under way.

@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
def test_who_comes_after_it_is_not_content_with_a_request_from_before_it(bridge, data):
    bridge.now += 31.0
    early = bridge.ask(get_job_elements("1"))
    miss(bridge, data)
    late = route(get_job_elements("1", message_id="urn:uuid:late"), Endpoint.SCAN, client="192.0.2.1",
                 host=b"gateway.test:5357")
    assert isinstance(bridge.scanner.ask(late, bridge.now), Join)
    bridge.now += 2.0
    passed = bridge.learn(early, BUSY)
    assert isinstance(passed, Pass)
    again = bridge.scanner.joined(late, early, passed.reply, bridge.now)
    assert isinstance(again, Forward)
    bridge.scanner.sent(again, bridge.now)
    miss(bridge, data)
    bridge.now += 2.0
    assert shown(bridge.learn(again, BUSY).reply.body).state == "Processing"
    later = bridge.scanner.joined(late, again, passed.reply, bridge.now)
    assert isinstance(later, Answer)  # it was asked for after this client came, and so often is enough


def test_an_event_before_the_answer_to_create_makes_the_new_job_be_asked_for(bridge):
    creating = bridge.ask(create_scan_job())
    miss(bridge, OF_ANY)
    bridge.learn(creating, created_job("5"))
    bridge.tell(status_event("5", "Pending", 0, message_id="urn:uuid:c"))
    assert asks(bridge, status_response("5", "Aborted"), "5") == (True, "Aborted")


def test_an_event_of_a_job_that_is_not_known_yet_may_be_newer_than_the_first_that_can_be_read(bridge):
    miss(bridge, OF_1.replace(b">1<", b">8<"))
    bridge.tell(status_event("8", "Pending", 0, message_id="urn:uuid:c"))
    assert asks(bridge, status_response("8", "Aborted"), "8") == (True, "Aborted")
    bridge.tell(status_event("9", "Pending", 0, message_id="urn:uuid:d"))
    assert asks(bridge, DONE, "9") == (False, "Pending")


def test_what_is_remembered_of_them_is_bounded(bridge):
    for number in range(MAX_NAMED + 5):
        bridge.scanner.unread(Unread((f"n{number}",)), bridge.now)
    assert asks(bridge, DONE) == (True, "Completed")  # then it may have been any


# Answers that many clients share.

def kept(bridge, raw, answer):
    """Whether the answer is kept: asked for and learnt once, then asked for again."""
    decision = bridge.ask(raw)
    if isinstance(decision, Forward):
        bridge.learn(decision, answer)
    return not isinstance(decision, Forward)


LIST = (envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"),
        listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 1)))
ELEMENTS = get_scanner_elements("ScannerConfiguration"), scanner_elements("ScannerConfiguration")
STATUS = get_scanner_elements("ScannerStatus"), scanner_elements("ScannerStatus")


@pytest.mark.parametrize(("data", "of_jobs_alone"), [(OF_1, True), (OF_ANY, True), (BROKEN, False)])
def test_lists_and_elements_are_asked_for_again_once_in_a_poll_interval(bridge, data, of_jobs_alone):
    bridge.tell(announcement("ScannerStatusSummaryEvent"))
    for question in (LIST, ELEMENTS, STATUS):
        assert not kept(bridge, *question)
        assert kept(bridge, *question)
    bridge.now += 2.0
    miss(bridge, data)
    assert [kept(bridge, *question) for question in (LIST, ELEMENTS, STATUS)] == [False, of_jobs_alone, of_jobs_alone]
    asked = 0
    for _ in range(500):
        bridge.now += 0.01
        miss(bridge, data)
        asked += not kept(bridge, *LIST)
    assert asked == 5
    bridge.now += 1.1
    assert not kept(bridge, *LIST)
    bridge.now += 29.0
    assert kept(bridge, *LIST)


def test_the_event_in_the_body_counts_whatever_the_action_says(bridge):
    bridge.tell(announcement("ScannerStatusSummaryEvent"))
    assert not kept(bridge, *STATUS)
    assert kept(bridge, *STATUS)
    bridge.tell(announcement("ScannerStatusSummaryEvent").replace(b"scan/ScannerStatusSummaryEvent<",
                                                                  b"scan/JobStatusEvent<"))
    assert not kept(bridge, *STATUS)
