"""The bridge of one scanner: each promise of the job table by an example, and who gets which answer."""


import pytest

from tests.bridge.bridges import EARLY, FAILED, LATE, Bridge, shown
from tests.messages import (
    SCAN,
    create_scan_job,
    created_job,
    end_event,
    envelope,
    fault,
    get_job_elements,
    job_elements,
    job_request,
    job_status,
    listing,
    status_event,
    status_response,
)
from wsdgateway.bridge.cache.duplicates import REMEMBERED_SECONDS
from wsdgateway.bridge.decisions import MAX_ASKS, Answer, Failure, Forward, Join, Pass, Refuse, Reply
from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.bridge.frontends.wsscan import Endpoint, Rejected, route
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSE
from wsdgateway.soap.seen import MAX_REMEMBERED, Seen

# Who answers.

def test_an_event_is_answered_from_the_table(bridge):
    assert bridge.tell(status_event("1", "Processing", 2))
    decision = bridge.ask(get_job_elements("1", message_id="urn:uuid:mine"))
    answer = read(decision.body)
    assert answer.relates_to == "urn:uuid:mine"
    assert answer.message_id.startswith("urn:uuid:own-")
    assert answer.action == f"{SCAN}/GetJobElementsResponse"
    assert shown(decision.body).scans_completed == 2
    assert b'Valid="true"' in decision.body


def test_answers_have_ids_of_their_own(eventful):
    eventful.tell(status_event("1"))
    ids = {read(eventful.ask(get_job_elements("1")).body).message_id for _ in range(5)}
    assert len(ids) == 5


def test_attributes_are_written_the_way_the_scanner_writes_them(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.learn(forward, job_elements(("JobStatus", job_status("1", "Held")), prefix="wscn:"))
    assert b'wscn:Name="wscn:JobStatus" wscn:Valid="true"' in eventful.ask(get_job_elements("1")).body


def test_an_unknown_job_is_asked_of_the_device(bridge):
    decision = bridge.ask(get_job_elements("1"))
    assert isinstance(decision, Forward)
    assert read(decision.body).to == "http://device/scan"


@pytest.mark.parametrize("names", [("wscn:Vendor",), ("wscn:JobStatus", "wse:x")])
def test_vendor_elements_are_always_forwarded(eventful, names):
    eventful.tell(status_event("1"))
    assert isinstance(eventful.ask(get_job_elements("1", names)), Forward)


def test_what_must_be_understood_is_for_the_device(eventful):
    eventful.tell(status_event("1"))
    header = "<v:x xmlns:v='u:v' soap:mustUnderstand='1'/>"
    assert isinstance(eventful.ask(get_job_elements("1", headers=header)), Forward)


def test_tickets_are_known_once_seen_and_documents_once_the_job_is_over(eventful):
    every = ("wscn:JobStatus", "wscn:ScanTicket", "wscn:Documents")
    ticket, documents = "<wscn:ScanTicket><q xmlns='u:q'/></wscn:ScanTicket>", "<wscn:Documents/>"
    answer = job_elements(("JobStatus", job_status()), ("ScanTicket", ticket), ("Documents", documents))
    eventful.learn(eventful.ask(get_job_elements("1", every)), answer)
    assert isinstance(eventful.ask(get_job_elements("1", every[:2])), Answer)
    assert isinstance(eventful.ask(get_job_elements("1", every)), Forward)
    eventful.tell(end_event("1", "Completed", 1))
    decision = eventful.ask(get_job_elements("1", every))
    eventful.learn(decision, answer.replace(b"Processing", b"Completed"))
    last = eventful.ask(get_job_elements("1", every))
    assert [name for name, _ in read_response(read(last.body).body).extras] == ["ScanTicket", "Documents"]


def test_without_an_address_a_fault_says_so():
    bridge = Bridge()
    bridge.scanner.device = None
    assert isinstance(bridge.ask(get_job_elements("1")), Refuse)


# Promise 1: nothing older than what was announced or shown.

def test_late_events_do_not_turn_the_clock_back(eventful):
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:b"))
    eventful.tell(status_event("1", "Pending", 0, message_id="urn:uuid:a"))
    assert eventful.read() == ("Processing", 3)


def test_an_answer_that_an_event_overtook_is_not_shown(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.tell(status_event("1", "Processing", 4))
    decision = eventful.learn(forward, status_response("1", "Processing", 3))
    assert shown(decision.body).scans_completed == 4


def test_an_answer_with_more_than_status_is_asked_for_again(eventful):
    forward = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    for asks in range(2, MAX_ASKS + 1):
        eventful.tell(status_event("1", "Processing", 10 + asks, message_id=f"urn:uuid:{asks}"))
        old = job_elements(("JobStatus", job_status("1", "Processing", 3)), ("Documents", "<wscn:Documents/>"))
        forward = eventful.learn(forward, old)
        assert forward.asks == asks
    eventful.tell(status_event("1", "Processing", 99, message_id="urn:uuid:99"))
    assert isinstance(eventful.learn(forward, old), Refuse)


def test_an_answer_ahead_of_an_event_is_shown(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.tell(status_event("1", "Processing", 3))
    assert isinstance(eventful.learn(forward, status_response("1", "Completed", 4)), Pass)
    assert eventful.read() == ("Completed", 4)


def test_an_older_list_is_asked_for_again(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.tell(status_event("1", "Processing", 4))
    old = listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 3))
    again = eventful.learn(forward, old)
    assert isinstance(again, Forward)
    assert isinstance(eventful.learn(again, listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 4))), Pass)


def test_lists_are_learnt_from(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 3)))
    forward = eventful.ask(envelope(f"{SCAN}/GetJobHistory", "<wscn:GetJobHistoryRequest/>"))
    eventful.learn(forward, listing("GetJobHistory", "JobHistory", ("2", "Canceled", 1)))
    assert (eventful.read("1"), eventful.read("2")) == (("Processing", 3), ("Canceled", 1))


def test_a_finished_job_that_is_listed_as_active_may_be_a_new_one(eventful):
    eventful.tell(end_event("1", "Completed", 4))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    assert isinstance(eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs", ("1", "Pending", 0))), Pass)
    assert eventful.scanner.suspects_reboot
    assert eventful.read() is None


def test_what_ended_before_we_knew_of_it_is_not_stored(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetJobHistory", "<wscn:GetJobHistoryRequest/>"))
    eventful.learn(forward, listing("GetJobHistory", "JobHistory", ("2", "Canceled", 1)))
    assert eventful.scanner.table.newly_finished == []
    assert eventful.read("2") == ("Canceled", 1)


def test_reads_of_status_and_ticket_share_one_request(eventful):
    both = ("wscn:JobStatus", "wscn:ScanTicket")
    forward = eventful.ask(get_job_elements("1", both))
    assert eventful.ask(get_job_elements("1", both)).forward is forward
    assert isinstance(eventful.ask(get_job_elements("1", (*both, "wscn:Documents"))), Forward)


@pytest.mark.parametrize("answer", [job_elements(), job_elements(("JobStatus", "<wscn:JobStatus/>"))])
def test_an_answer_without_a_status_is_shared_as_it_is(eventful, answer):
    forward = eventful.ask(get_job_elements("1"))
    reply = Reply(200, b"application/soap+xml", answer)
    assert isinstance(eventful.scanner.learn(forward, reply, eventful.now), Pass)
    question = route(get_job_elements("1"), Endpoint.SCAN, client="x", host=b"")
    assert isinstance(eventful.scanner.joined(question, forward, reply, eventful.now + 9), Pass)


def test_what_clients_make_us_remember_is_bounded(eventful):
    for raw in (job_request("CancelJob", "x" * 300), get_job_elements("x" * 300)):
        forward = eventful.ask(raw)
        eventful.learn(forward, fault("wscn:ClientErrorJobIdNotFound"))
    assert eventful.scanner.table.get("x" * 300) is None
    question = route(job_request("CancelJob", "5"), Endpoint.SCAN, client="x", host=b"")
    never_sent = eventful.scanner.ask(question, eventful.now)
    eventful.scanner.fail(never_sent, FAILED, eventful.now)
    assert eventful.scanner.table.get("5") is None
    for number in range(50):
        eventful.learn(eventful.ask(get_job_elements(str(number))), b"x" * 100000, 404)
    assert all(isinstance(eventful.ask(get_job_elements(str(number))), Forward) for number in range(50))


def test_a_job_that_is_no_longer_listed_is_asked_for(eventful):
    eventful.tell(status_event("1", "Processing", 3))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs"))
    assert eventful.read() is None


def test_fewer_scans_are_a_correction_or_late_so_the_device_is_asked(eventful):
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:a"))
    eventful.tell(status_event("1", "Processing", 2, message_id="urn:uuid:b"))
    decision = eventful.ask(get_job_elements("1"))
    assert isinstance(eventful.learn(decision, status_response("1", "Processing", 2)), Pass)
    assert eventful.read() == ("Processing", 2)


def test_pending_and_held_go_by_arrival(eventful):
    for number, state in enumerate(("Pending", "Held", "Pending")):
        eventful.tell(status_event("1", state, message_id=f"urn:uuid:{number}"))
        assert eventful.read() == (state, 0)


# Promise 2: the finished stay finished, a re-used JobId is a new job.

@pytest.mark.parametrize("late", [("Processing", 1), ("Pending", 0), ("Terminating", 2), ("Vendor", 9)])
def test_a_finished_job_stays_finished(eventful, late):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.tell(status_event("1", *late, message_id="urn:uuid:late"))
    assert eventful.read() == ("Completed", 2)


def test_an_end_is_final_whatever_it_names_and_terminating_yields(eventful):
    eventful.tell(end_event("1", "Terminating", 2))
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:late"))
    assert eventful.read() == ("Terminating", 2)
    eventful.tell(status_event("1", "Canceled", 2, message_id="urn:uuid:later"))
    assert eventful.read() == ("Canceled", 2)
    eventful.tell(end_event("1", "Terminating", 2, message_id="urn:uuid:last"))
    assert eventful.read() == ("Canceled", 2)


def test_two_different_ends_are_for_the_device_to_tell(eventful):
    eventful.tell(status_event("1", "Completed", 2, message_id="urn:uuid:a"))
    eventful.tell(status_event("1", "Aborted", 2, message_id="urn:uuid:b"))
    decision = eventful.ask(get_job_elements("1"))
    eventful.learn(decision, status_response("1", "Aborted", 2))
    assert eventful.read() == ("Aborted", 2)


def test_an_answer_does_not_bring_a_finished_job_back(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    forward = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    answer = job_elements(("JobStatus", job_status("1", "Processing", 1)))
    for _ in range(MAX_ASKS - 1):
        forward = eventful.learn(forward, answer)
    assert isinstance(eventful.learn(forward, answer), Refuse)
    assert eventful.read() == ("Completed", 2)


def test_a_created_job_is_new(eventful):
    eventful.tell(status_event("1", "Completed", 2, created=EARLY))
    eventful.learn(eventful.ask(create_scan_job()), created_job("1"))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Completed", 2, created=EARLY, message_id="urn:uuid:late"))
    assert eventful.read() is None
    eventful.tell(end_event("1", "Completed", 2, message_id="urn:uuid:whose"))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Processing", 1, created=LATE, message_id="urn:uuid:new"))
    eventful.learn(eventful.ask(get_job_elements("1")), status_response("1", "Processing", 1, created=LATE))
    assert eventful.read() == ("Processing", 1)


def test_events_may_come_before_the_answer_to_create(eventful):
    forward = eventful.ask(create_scan_job())
    eventful.tell(status_event("1", "Pending", 0, created=LATE))
    eventful.learn(forward, created_job("1"))
    assert eventful.read() == ("Pending", 0)


@pytest.mark.parametrize(("created", "state"), [(LATE, ("Processing", 1)), (EARLY, ("Completed", 2))])
def test_created_times_tell_jobs_apart(eventful, created, state):
    eventful.tell(status_event("1", "Completed", 2, created="2026-11-22T10:30:00Z"))
    eventful.tell(status_event("1", "Processing", 1, created=created, message_id="urn:uuid:b"))
    assert eventful.read() == state


def test_after_a_reboot_everything_is_asked(eventful):
    eventful.tell(status_event("1", "Completed", 2))
    old = eventful.ask(get_job_elements("2"))
    eventful.scanner.rebooted()
    assert eventful.read("1") is None
    assert isinstance(eventful.learn(old, status_response("2", "Processing", 1)), Forward)
    assert not eventful.scanner.table.eventful
    table = eventful.scanner.table
    states = [(job.status.state, table.is_lost(job)) for job in table.jobs()]
    assert states == [("Processing", True), ("Completed", False)]
    eventful.tell(status_event("1", "Processing", 1, message_id="urn:uuid:late"))
    assert eventful.read("1") is None
    eventful.learn(eventful.ask(get_job_elements("1")), status_response("1", "Completed", 2))
    assert eventful.read("1") == ("Completed", 2)


def test_after_an_outage_an_active_job_is_asked_for(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.tell(end_event("2", "Completed", 1))
    eventful.scanner.was_away()
    forward = eventful.ask(get_job_elements("1"))
    assert isinstance(forward, Forward)
    assert eventful.read("2") == ("Completed", 1)  # whatever has happened to the scanner, that job is over
    assert isinstance(eventful.learn(forward, status_response("1", "Processing", 3)), Pass)
    assert eventful.read("1") == ("Processing", 3)
    eventful.scanner.was_away()
    eventful.tell(status_event("1", "Processing", 4, message_id="urn:uuid:later"))  # it is back, and says so
    assert eventful.read("1") == ("Processing", 4)


def test_an_outage_does_not_make_a_scanner_without_events_be_asked_more_often(bridge):
    ask_and_answer(bridge)
    bridge.scanner.was_away()
    assert [ask_and_answer(bridge) for _ in range(3)] == [0, 0, 0]
    bridge.now += 1.01
    assert ask_and_answer(bridge) == 1


# Promise 3: confirmed every max_age, one request in flight.

def test_an_active_job_is_confirmed_after_max_age(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.now += 29.9
    assert eventful.read() == ("Processing", 2)
    eventful.now += 0.2
    assert isinstance(eventful.ask(get_job_elements("1")), Forward)


def test_a_finished_job_is_never_asked_for_again(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.now += 86400
    assert eventful.read() == ("Completed", 2)


def test_everybody_waits_for_the_same_answer(eventful):
    forward = eventful.ask(get_job_elements("1"))
    others = [eventful.ask(get_job_elements("1", message_id=f"urn:uuid:{n}")) for n in range(100)]
    assert all(isinstance(other, Join) and other.forward is forward for other in others)
    reply = Reply(200, b"", status_response("1", "Processing", 7))
    eventful.scanner.learn(forward, reply, eventful.now)
    question = route(get_job_elements("1", message_id="urn:uuid:me"), Endpoint.SCAN, client="x", host=b"")
    eventful.now += 50  # however long it took
    decision = eventful.scanner.joined(question, forward, reply, eventful.now)
    assert read(decision.body).relates_to == "urn:uuid:me"
    assert shown(decision.body).scans_completed == 7


@pytest.mark.parametrize("outcome", [
    Reply(500, b"application/soap+xml", fault("wscn:ClientErrorJobIdNotFound", relates_to="urn:uuid:first")),
    Reply(404, b"text/plain", b"no such job"), FAILED])
def test_everybody_shares_a_refusal(eventful, outcome):
    forward = eventful.ask(get_job_elements("1"))
    if isinstance(outcome, Failure):
        assert isinstance(eventful.scanner.fail(forward, outcome, eventful.now), Refuse)
    else:
        assert isinstance(eventful.scanner.learn(forward, outcome, eventful.now), Pass)
    question = route(get_job_elements("1", message_id="urn:uuid:me"), Endpoint.SCAN, client="x", host=b"")
    eventful.now += 50
    decision = eventful.scanner.joined(question, forward, outcome, eventful.now)
    if isinstance(outcome, Failure):
        assert decision.fault is outcome.fault
    elif outcome.status == 404:
        assert decision.reply.body == b"no such job"
    else:
        assert read(decision.reply.body).relates_to == "urn:uuid:me"


@pytest.mark.parametrize("unusual", [
    get_job_elements("1", to="http://192.0.2.99/elsewhere"), get_job_elements("1", to=None),
    get_job_elements("1", headers="<v:x xmlns:v='u:v'/>")])
class TestUnusualRequests:
    """Requests whose reply may be meant for their client alone: another To, headers of other specifications."""

    def test_they_wait_for_the_usual_one(self, bridge, unusual):
        running, waiting = bridge.ask(get_job_elements("1")), bridge.ask(unusual)
        assert isinstance(waiting, Join) and waiting.forward is running
        body = status_response("1", "Processing", 3)
        bridge.learn(running, body)
        assert shown(bridge.join(unusual, running, body).body).scans_completed == 3

    def test_they_wait_for_each_other(self, bridge, unusual):
        running, waiting = bridge.ask(unusual), bridge.ask(unusual)
        assert isinstance(waiting, Join) and waiting.forward is running
        body = status_response("1", "Processing", 3)
        bridge.learn(running, body)
        assert shown(bridge.join(unusual, running, body).body).scans_completed == 3
        assert isinstance(bridge.ask(get_job_elements("1")), Answer)

    def test_a_usual_one_does_not_wait_for_them(self, bridge, unusual):
        running = bridge.ask(unusual)
        usual = bridge.ask(get_job_elements("1"))
        assert isinstance(usual, Forward) and usual is not running

    def test_a_refusal_is_for_its_own_client_and_the_others_ask_one_after_the_other(self, bridge, unusual):
        refusal = fault("wscn:ClientErrorJobIdNotFound")
        running = bridge.ask(unusual)
        for _ in range(MAX_ASKS + 1):
            assert bridge.learn(running, refusal, 400).reply.body == refusal
            first, second = (bridge.join(unusual, running, refusal, 400) for _ in range(2))
            assert isinstance(first, Forward) and isinstance(second, Join) and second.forward is first
            running = first

    def test_they_are_not_given_the_refusal_of_a_usual_one(self, bridge, unusual):
        refusal = fault("wscn:ClientErrorJobIdNotFound")
        running = bridge.ask(get_job_elements("1"))
        bridge.learn(running, refusal, 400)
        assert isinstance(bridge.join(unusual, running, refusal, 400), Forward)


# Promise 4: nothing from before a cancel.

def test_after_a_cancel_the_device_is_asked(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    early = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    cancel = eventful.ask(job_request("CancelJob", "1"))
    assert eventful.read() == ("Processing", 2)
    assert isinstance(eventful.learn(cancel, envelope("x", "<wscn:CancelJobResponse/>")), Pass)
    assert eventful.read() is None
    old = job_elements(("JobStatus", job_status("1", "Processing", 2)), ("Documents", "<wscn:Documents/>"))
    assert isinstance(eventful.learn(early, old), Forward)


def test_an_event_on_its_way_does_not_undo_a_cancel(eventful):
    eventful.learn(eventful.ask(job_request("CancelJob", "1")), envelope("x", "<wscn:CancelJobResponse/>"))
    eventful.tell(status_event("1", "Processing", 3))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Terminating", 3, message_id="urn:uuid:t"))
    assert eventful.read() == ("Terminating", 3)


def test_a_cancel_that_broke_may_have_worked(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.scanner.fail(eventful.ask(job_request("CancelJob", "1")), FAILED, eventful.now)
    assert eventful.read() is None


def test_a_finished_job_can_not_be_cancelled(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.learn(eventful.ask(job_request("CancelJob", "1")), fault("wscn:ClientErrorJobIdNotFound"))
    assert eventful.read() == ("Completed", 2)


# Promise 5: without events.

def ask_and_answer(bridge, state="Processing", scans=0):
    decision = bridge.ask(get_job_elements("1"))
    if isinstance(decision, Forward):
        bridge.learn(decision, status_response("1", state, scans))
        return 1
    return 0


def test_without_events_one_request_in_an_interval(bridge):
    assert [ask_and_answer(bridge) for _ in range(10)] == [1] + [0] * 9
    bridge.now += 0.99
    assert ask_and_answer(bridge) == 0
    bridge.now += 0.02
    assert ask_and_answer(bridge) == 1


def test_and_one_more_after_a_cancel(bridge):
    ask_and_answer(bridge)
    bridge.learn(bridge.ask(job_request("CancelJob", "1")), envelope("x", "<wscn:CancelJobResponse/>"))
    assert [ask_and_answer(bridge) for _ in range(5)] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("body", [fault("wscn:ClientErrorJobIdNotFound"), b"no"])
def test_a_refusal_is_shared_for_an_interval(bridge, body):
    bridge.learn(bridge.ask(get_job_elements("1")), body, 500)
    assert isinstance(bridge.ask(get_job_elements("1")), Pass)
    bridge.now += 1.01
    assert isinstance(bridge.ask(get_job_elements("1")), Forward)


def test_a_refusal_ends_when_the_job_appears(bridge):
    bridge.learn(bridge.ask(get_job_elements("1")), fault("wscn:ClientErrorJobIdNotFound"))
    bridge.learn(bridge.ask(create_scan_job()), created_job("1"))
    assert isinstance(bridge.ask(get_job_elements("1")), Forward)


def test_an_end_state_event_alone_does_not_make_it_a_device_with_events(bridge):
    bridge.tell(end_event("5", "Completed", 1))
    ask_and_answer(bridge)
    bridge.now += 1.01
    assert ask_and_answer(bridge) == 1


def test_events_count_only_while_subscribed(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.scanner.table.listening = False
    eventful.now += 1.01
    assert eventful.read() is None


# Promise 6: nothing is invented.

def test_an_active_job_that_the_device_forgot_is_not_answered_for(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.now += 31
    unknown = fault("wscn:ClientErrorJobIdNotFound")
    assert isinstance(eventful.learn(eventful.ask(get_job_elements("1")), unknown, 500), Pass)
    eventful.now += 2
    assert eventful.read() is None


def test_a_status_of_another_job_is_not_learnt(eventful):
    eventful.learn(eventful.ask(get_job_elements("1")), status_response("2", "Completed", 9))
    assert eventful.scanner.table.get("1") is None
    assert eventful.scanner.table.get("2") is None
    assert isinstance(eventful.ask(get_job_elements("1")), Pass)


def test_the_table_is_bounded(eventful):
    for number in range(20):
        eventful.tell(end_event(str(number), "Completed", 1, message_id=f"urn:uuid:{number}"))
    assert len(eventful.scanner.table.jobs()) == 5 + 1
    assert len(eventful.scanner.table.newly_finished) == 20
    for number in range(2000):
        eventful.tell(status_event(f"a{number}", message_id=f"urn:uuid:a{number}"))
    assert len(eventful.scanner.table.jobs()) <= 1005


# Notifications.

def test_the_same_notification_counts_once(bridge):
    assert bridge.tell(status_event("1", "Processing", 2))
    assert not bridge.tell(status_event("1", "Processing", 2))


def test_remembered_ids_are_bounded():
    seen = Seen()
    assert all(seen.is_new(str(number)) for number in range(MAX_REMEMBERED + 1))
    assert seen.is_new("0")
    assert seen.is_new(None)
    assert seen.is_new(None)


@pytest.mark.parametrize(("data", "code"), [
    (b"<a", "InvalidArgs"), (envelope(None), "MessageInformationHeaderRequired"),
    (envelope(f"{SCAN}/GetJobElements"), "ActionNotSupported"), (envelope("urn:x"), "ActionNotSupported")])
def test_what_is_no_notification(data, code):
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


# One press makes one job.

def test_a_resend_joins_the_running_one(bridge):
    forward = bridge.ask(create_scan_job())
    joined = bridge.ask(create_scan_job())
    assert joined.forward is forward
    reply = Reply(200, b"application/soap+xml", created_job("5"))
    bridge.scanner.learn(forward, reply, bridge.now)
    assert bridge.scanner.joined(forward.question, forward, reply, bridge.now).reply is reply
    assert bridge.scanner.joined(forward.question, forward, FAILED, bridge.now).fault is FAILED.fault


def test_a_success_is_repeated_for_a_minute(bridge):
    bridge.learn(bridge.ask(create_scan_job()), created_job("5"))
    assert bridge.ask(create_scan_job()).reply.body == created_job("5")
    bridge.now += REMEMBERED_SECONDS
    assert isinstance(bridge.ask(create_scan_job()), Forward)


@pytest.mark.parametrize("reply", [(fault("wscn:ServerErrorNotAcceptingJobs"), 500), (fault("wscn:X"), 200),
                                   (b"no", 200), (created_job(), 503)])
def test_a_fault_is_not_remembered(bridge, reply):
    bridge.learn(bridge.ask(create_scan_job()), *reply)
    assert isinstance(bridge.ask(create_scan_job()), Forward)


def test_a_failure_is_not_remembered(bridge):
    bridge.scanner.fail(bridge.ask(create_scan_job()), FAILED, bridge.now)
    assert isinstance(bridge.ask(create_scan_job()), Forward)


@pytest.mark.parametrize("other", [
    (create_scan_job("urn:uuid:other"), "192.0.2.1"), (create_scan_job(), "192.0.2.2"),
    (create_scan_job().replace(b"Letter", b"Photo"), "192.0.2.1")])
def test_another_press_is_another_job(bridge, other):
    bridge.learn(bridge.ask(create_scan_job()), created_job("5"))
    assert isinstance(bridge.ask(*other), Forward)


def test_without_message_id_nothing_is_a_resend(bridge):
    bridge.learn(bridge.ask(create_scan_job(None)), created_job("5"))
    assert isinstance(bridge.ask(create_scan_job(None)), Forward)


# Routing.

@pytest.mark.parametrize("endpoint", list(Endpoint))
@pytest.mark.parametrize("action", ["Subscribe", "Renew", "GetStatus", "Unsubscribe"])
def test_eventing_is_answered_here_at_any_address(endpoint, action):
    identifier = "<wse:Identifier> urn:uuid:5 </wse:Identifier>"
    for raw in (envelope(f"{WSE}/{action}", headers=identifier),
                envelope(f"{WSE}/{action}", f"<wse:{action}>{identifier}</wse:{action}>")):
        request = route(raw, endpoint, client="192.0.2.7", host=b"", subscription="6")
        assert (request.operation.name, request.client, request.named) == (action, "192.0.2.7", "urn:uuid:5")
    assert route(envelope(f"{WSE}/{action}"), endpoint, client="x", host=b"", subscription="6").named == "6"
    assert route(envelope(f"{WSE}/{action}"), endpoint, client="x", host=b"").named is None
    long = envelope(f"{WSE}/{action}", headers=f"<wse:Identifier>{'x' * 300}</wse:Identifier>")
    assert route(long, endpoint, client="x", host=b"").named is None


@pytest.mark.parametrize(("raw", "endpoint", "code", "status"), [
    (b"<", Endpoint.SCAN, "InvalidArgs", 400),
    (envelope(None), Endpoint.SCAN, "MessageInformationHeaderRequired", 400),
    (get_job_elements(), Endpoint.DEVICE, "ActionNotSupported", 400),
])
def test_what_is_refused_before_it_is_a_question(raw, endpoint, code, status):
    rejected = route(raw, endpoint, client="x", host=b"")
    assert (rejected.fault.subcode.partition(":")[2], rejected.fault.status) == (code, status)


@pytest.mark.parametrize("endpoint", [Endpoint.SCAN, Endpoint.SUBSCRIPTION])
@pytest.mark.parametrize("action", [f"{SCAN}/Vendor", "urn:anything", f"{SCAN}/RetrieveImage"])
def test_operations_that_we_do_not_know_pass(bridge, endpoint, action):
    question = route(envelope(action), endpoint, client="x", host=b"")
    assert isinstance(bridge.scanner.ask(question, 0.0), Forward)


def test_fault_names_are_those_of_the_contract():
    assert fault_of(read(fault("wscn:A"))) == "A"


def test_a_job_that_began_under_an_old_id_is_not_shown_as_the_old_one(eventful):
    # JobEndStateEvent names no JobCreatedTime: what comes after it is late, or of a new job with the same JobId.
    eventful.tell(end_event("2", "Canceled", 0))
    eventful.tell(status_event("2", "Pending", 0, created="2026-11-22T10:00:05Z", message_id="urn:uuid:n"))
    eventful.tell(status_event("2", "Canceled", 0, created="2026-11-22T10:00:02Z", message_id="urn:uuid:o"))
    assert isinstance(eventful.ask(get_job_elements("2")), Forward)


def test_a_late_event_of_a_job_that_is_over_is_asked_about_and_no_more(eventful):
    eventful.tell(end_event("2", "Completed", 1))
    eventful.tell(status_event("2", "Processing", 0, created="2026-11-22T10:00:05Z", message_id="urn:uuid:n"))
    eventful.tell(status_event("2", "Completed", 1, created="2026-11-22T10:00:05Z", message_id="urn:uuid:o"))
    assert isinstance(eventful.ask(get_job_elements("2")), Answer)
