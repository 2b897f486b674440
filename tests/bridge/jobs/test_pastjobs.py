"""Tests of bridge.jobs.pastjobs: finished jobs of earlier starts and boots answer if the scanner has forgotten them."""

import pytest

from tests.bridge.bridges import EARLY, FAILED, LATE, Bridge, shown
from tests.messages import (
    create_scan_job,
    created_job,
    end_event,
    fault,
    get_job_elements,
    job_elements,
    job_request,
    job_status,
    listing,
    status_event,
    status_response,
)
from wsdgateway.bridge.decisions import Answer, Forward, Join, Pass, Refuse, Reply
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

NOT_FOUND = fault("wscn:ClientErrorJobIdNotFound")
STORED = JobStatus("7", "Completed", ("JobCompletedWithWarnings",), 3, EARLY, "2026-11-22T10:05:00Z", ended=True)
ABSENT = {"fault": (NOT_FOUND, 500), "fault with 400": (NOT_FOUND, 400), "fault with 200": (NOT_FOUND, 200),
          "bare 404": (b"not here", 404), "empty 404": (b"", 404)}
EVERY = ("wscn:JobStatus", "wscn:ScanTicket", "wscn:Documents")


@pytest.fixture
def bridge():
    """A gateway that has just started, with job 7 in its store."""
    made = Bridge()
    made.scanner.table.remember([STORED])
    return made


def asked(bridge, names=("wscn:JobStatus",)):
    decision = bridge.ask(get_job_elements("7", names))
    assert isinstance(decision, Forward)
    return decision


def finished(bridge):
    """Returns what would be written to the store: the reused JobIds, and the finished jobs."""
    table = bridge.scanner.table
    return table.reused, [job.job_id for job in table.newly_finished]


@pytest.mark.parametrize(("body", "status"), ABSENT.values(), ids=ABSENT)
def test_a_job_forgotten_by_the_scanner_is_answered_from_the_store(bridge, body, status):
    answer = bridge.learn(asked(bridge), body, status)
    assert isinstance(answer, Answer)
    assert shown(answer.body) == JobStatus("7", "Completed", STORED.reasons, 3, EARLY, STORED.completed)
    assert read(answer.body).relates_to == "urn:uuid:00000000-0000-4000-8000-000000000001"
    assert finished(bridge) == ([], [])


@pytest.mark.parametrize("names", [("wscn:JobStatus",), EVERY])
def test_the_scanner_is_asked_again_once_in_a_poll_interval(bridge, names):
    requests = 0
    for _ in range(1000):
        decision = bridge.ask(get_job_elements("7", names))
        if isinstance(decision, Forward):
            requests += 1
            decision = bridge.learn(decision, NOT_FOUND)
        assert isinstance(decision, Answer)
        bridge.now += 0.01
    assert requests in (9, 10)


def test_a_slow_scanner_is_not_asked_twice_for_one_answer(bridge):
    forward = asked(bridge)
    question = route(get_job_elements("7", message_id="urn:uuid:b"), Endpoint.SCAN, client="192.0.2.2",
                     host=b"gateway.test:5357")
    assert isinstance(bridge.scanner.ask(question, bridge.now), Join)
    bridge.now += 5.0
    reply = Reply(500, b"application/soap+xml", NOT_FOUND)
    assert isinstance(bridge.scanner.learn(forward, reply, bridge.now), Answer)
    assert isinstance(bridge.scanner.joined(question, forward, reply, bridge.now), Answer)


def test_unknown_elements_of_a_past_job_are_marked_invalid(bridge):
    answer = bridge.learn(asked(bridge, EVERY), NOT_FOUND)
    elements = read_response(read(answer.body).body)
    assert (elements.status.state, elements.extras) == ("Completed", ())
    assert [(one.get("Name"), one.get("Valid"), len(one)) for one in read(answer.body).body[0]] == [
        ("wscn:JobStatus", "true", 1), ("wscn:ScanTicket", "false", 0), ("wscn:Documents", "false", 0)]


@pytest.mark.parametrize("names", [("wscn:ScanTicket",), ("wscn:JobStatus", "wscn:Vendor")])
def test_if_no_requested_element_is_known_the_fault_is_passed_on(bridge, names):
    decision = bridge.learn(asked(bridge, names), NOT_FOUND)
    assert isinstance(decision, Pass)
    assert fault_of(read(decision.reply.body)) == "ClientErrorJobIdNotFound"


def test_if_the_scanner_is_unreachable_the_answer_is_a_fault(bridge):
    assert isinstance(bridge.scanner.fail(asked(bridge), FAILED, bridge.now), Refuse)
    bridge.now += 1.1
    assert isinstance(bridge.learn(asked(bridge), NOT_FOUND), Answer)
    bridge.now += 1.1
    assert isinstance(bridge.scanner.fail(asked(bridge), FAILED, bridge.now), Refuse)
    assert isinstance(bridge.ask(get_job_elements("7")), Refuse)


def test_any_other_fault_is_passed_on(bridge):
    decision = bridge.learn(asked(bridge), fault("wscn:ServerErrorTemporaryError", code="Receiver"), 500)
    assert isinstance(decision, Pass)


def test_a_job_still_known_to_the_scanner_is_not_stored_again(bridge):
    decision = bridge.learn(asked(bridge), status_response("7", "Completed", None, created=EARLY))
    assert isinstance(decision, Pass)
    answer = bridge.ask(get_job_elements("7"))
    assert isinstance(answer, Answer)
    assert shown(answer.body).scans_completed == 3
    assert finished(bridge) == ([], [])


@pytest.mark.parametrize("status", [
    {"state": "Processing", "created": LATE}, {"state": "Processing"}, {"state": "Processing", "created": EARLY},
    {"state": "Completed", "created": LATE}, {"state": "Aborted"}])
def test_a_reused_job_id_is_a_new_job(bridge, status):
    bridge.learn(asked(bridge), status_response("7", scans=1, **status))
    given, _ = finished(bridge)
    assert given == ["7"]
    bridge.now += 31.0
    if status["state"] == "Processing":
        decision = bridge.learn(asked(bridge), NOT_FOUND)
        assert isinstance(decision, Pass)
        assert fault_of(read(decision.reply.body)) == "ClientErrorJobIdNotFound"
    else:
        assert shown(bridge.ask(get_job_elements("7")).body).state == status["state"]


def test_an_answer_to_create_with_a_past_job_id_makes_a_new_job(bridge):
    bridge.learn(bridge.ask(create_scan_job()), created_job("7"))
    assert finished(bridge) == (["7"], [])
    late = end_event("7").replace(b"2026-11-22T10:00:09Z", STORED.completed.encode())
    bridge.tell(late)  # an event of the finished job
    assert fault_of(read(bridge.learn(asked(bridge), NOT_FOUND).reply.body)) == "ClientErrorJobIdNotFound"


def test_a_read_sent_before_the_answer_to_create_is_repeated(bridge):
    reading, creating = asked(bridge), bridge.ask(create_scan_job())
    bridge.learn(creating, created_job("7"))
    again = bridge.learn(reading, NOT_FOUND)  # sent before the answer to CreateScanJob
    assert isinstance(again, Forward)
    assert isinstance(bridge.learn(again, NOT_FOUND), Pass)


@pytest.mark.parametrize(("event", "is_new"), [
    (status_event("7", "Processing", 1, created=LATE), True), (status_event("7", "Processing", 1), True),
    (status_event("7", "Processing", 1, created=EARLY), False),
    (status_event("7", "Held", created="2020-01-01T00:00:00Z"), False),
    (status_event("7", "Completed", 3, created=EARLY), False), (end_event("7", "Aborted"), True)])
def test_an_event_with_a_past_job_id(bridge, event, is_new):
    bridge.tell(event)
    assert finished(bridge)[0] == (["7"] if is_new else [])
    if b"Aborted" not in event and LATE.encode() not in event:
        decision = bridge.learn(asked(bridge), NOT_FOUND)
        assert isinstance(decision, Pass if is_new else Answer)


def test_a_refused_cancel_changes_nothing_and_an_accepted_one_may_concern_a_new_job(bridge):
    bridge.learn(bridge.ask(job_request("CancelJob", "7")), NOT_FOUND, 500)
    assert isinstance(bridge.learn(asked(bridge), NOT_FOUND), Answer)
    bridge.learn(bridge.ask(job_request("CancelJob", "7", message_id="urn:uuid:c")),
                 job_request("CancelJobResponse", "7"))
    assert isinstance(bridge.learn(asked(bridge), NOT_FOUND), Pass)


def test_a_past_job_listed_as_active_is_a_new_job(bridge):
    from tests.messages import SCAN, envelope

    listed = bridge.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    bridge.learn(listed, listing("GetActiveJobs", "ActiveJobs", ("7", "Processing", 1)))
    assert finished(bridge)[0] == ["7"]


# Boots.

def test_a_boot_keeps_the_records_of_job_ids_that_are_not_reused(bridge):
    bridge.tell(status_event("8", "Completed", 2))
    bridge.scanner.rebooted()
    for job_id in ("7", "8"):
        decision = bridge.ask(get_job_elements(job_id))
        assert isinstance(decision, Forward)
        assert shown(bridge.learn(decision, NOT_FOUND).body).state == "Completed"


@pytest.mark.parametrize("again", ["created", "created before it", "event", "event of the same time", "answer",
                                   "answer from before it"])
def test_after_a_boot_a_reused_job_id_is_never_answered_from_the_past(bridge, again):
    creating = bridge.ask(create_scan_job())
    early = asked(bridge)
    bridge.scanner.rebooted()
    if again == "created before it":
        bridge.learn(creating, created_job("7"))
    if again == "answer from before it":
        early = bridge.learn(early, status_response("7", "Processing", created=LATE))
        assert isinstance(early, Forward)
    bridge.scanner.fail(early, FAILED, bridge.now)
    bridge.now += 1.1
    if again == "created":
        bridge.learn(bridge.ask(create_scan_job("urn:uuid:after")), created_job("7"))
    elif again.startswith("event"):
        bridge.tell(status_event("7", "Processing", created=EARLY if again.endswith("time") else None))
    elif again == "answer":
        bridge.learn(asked(bridge), status_response("7", "Processing", created=EARLY))
    bridge.now += 31.0
    decision = bridge.ask(get_job_elements("7"))
    if isinstance(decision, Forward):
        decision = bridge.learn(decision, NOT_FOUND)
    assert isinstance(decision, Pass)
    assert finished(bridge)[0] == ["7"]


def test_the_ticket_of_a_job_from_before_a_boot_is_still_known(bridge):
    ticket = "<wscn:ScanTicket><wscn:JobDescription/></wscn:ScanTicket>"
    bridge.learn(bridge.ask(get_job_elements("8", EVERY)), job_elements(
        ("JobStatus", job_status("8", "Completed", 2)), ("ScanTicket", ticket)))
    bridge.scanner.rebooted()
    answer = bridge.learn(bridge.ask(get_job_elements("8", EVERY)), NOT_FOUND)
    assert [name for name, _ in read_response(read(answer.body).body).extras] == ["ScanTicket"]


def test_a_job_that_was_active_at_a_boot_is_not_answered_from_the_past(bridge):
    bridge.tell(status_event("8", "Processing", 2))
    bridge.scanner.rebooted()
    assert isinstance(bridge.learn(bridge.ask(get_job_elements("8")), NOT_FOUND), Pass)


def test_past_jobs_are_limited_and_known_jobs_take_precedence(bridge):
    table = bridge.scanner.table
    table.remember(JobStatus(str(number), "Completed") for number in range(100, 110))  # history is 5
    bridge.tell(end_event("9", "Canceled"))
    table.remember([JobStatus("9", "Completed")])
    assert shown(bridge.ask(get_job_elements("9")).body).state == "Canceled"
    answers = [bridge.learn(bridge.ask(get_job_elements(str(number))), NOT_FOUND) for number in range(100, 110)]
    assert [isinstance(answer, Answer) for answer in answers] == [False] * 5 + [True] * 5
    table.adjust(max_age=30.0, poll_interval=1.0, history=2)
    bridge.now += 2.0
    assert isinstance(bridge.learn(bridge.ask(get_job_elements("107")), NOT_FOUND), Pass)


def test_past_jobs_pass_to_the_bridge_that_takes_over(bridge):
    heir = Bridge()
    heir.scanner.take_over(bridge.scanner, bridge.scanner.device)
    assert isinstance(heir.learn(asked(heir), NOT_FOUND), Answer)
