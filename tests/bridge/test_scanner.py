"""Tests of bridge.scanner: an example of each guarantee about a job's status, and the sharing of answers."""

import pytest

from tests.bridge.bridges import FAILED, Bridge, shown
from tests.messages import (
    create_scan_job,
    created_job,
    fault,
    get_job_elements,
    job_elements,
    job_status,
    status_event,
    status_response,
)
from wsdgateway.bridge.access.quotas import JOBS_AT_ONCE, too_many_jobs
from wsdgateway.bridge.decisions import MAX_ASKS, Answer, Failure, Forward, Join, Refuse, Reply
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.soap.envelope import read


def test_a_read_of_an_unknown_job_is_forwarded(bridge):
    decision = bridge.ask(get_job_elements("1"))
    assert isinstance(decision, Forward)
    assert read(decision.body).to == "http://device/scan"


def test_requests_with_must_understand_are_forwarded(eventful):
    eventful.tell(status_event("1"))
    header = "<v:x xmlns:v='u:v' soap:mustUnderstand='1'/>"
    assert isinstance(eventful.ask(get_job_elements("1", headers=header)), Forward)


def test_without_an_address_the_answer_is_a_fault():
    bridge = Bridge()
    bridge.scanner.device = None
    assert isinstance(bridge.ask(get_job_elements("1")), Refuse)


def test_an_answer_overtaken_by_an_event_is_not_shown(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.tell(status_event("1", "Processing", 4))
    decision = eventful.learn(forward, status_response("1", "Processing", 3))
    assert shown(decision.body).scans_completed == 4


def test_an_outdated_answer_with_more_than_the_status_is_requested_again(eventful):
    forward = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    for asks in range(2, MAX_ASKS + 1):
        eventful.tell(status_event("1", "Processing", 10 + asks, message_id=f"urn:uuid:{asks}"))
        old = job_elements(("JobStatus", job_status("1", "Processing", 3)), ("Documents", "<wscn:Documents/>"))
        forward = eventful.learn(forward, old)
        assert forward.asks == asks
    eventful.tell(status_event("1", "Processing", 99, message_id="urn:uuid:99"))
    assert isinstance(eventful.learn(forward, old), Refuse)


def test_reads_of_status_and_ticket_share_one_request(eventful):
    both = ("wscn:JobStatus", "wscn:ScanTicket")
    forward = eventful.ask(get_job_elements("1", both))
    assert eventful.ask(get_job_elements("1", both)).forward is forward
    assert isinstance(eventful.ask(get_job_elements("1", (*both, "wscn:Documents"))), Forward)


def test_all_clients_wait_for_the_same_answer(eventful):
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


@pytest.mark.parametrize("unusual", [
    get_job_elements("1", to="http://192.0.2.99/elsewhere"), get_job_elements("1", to=None),
    get_job_elements("1", headers="<v:x xmlns:v='u:v'/>")])
class TestUnusualRequests:
    """Requests whose answer may be meant for their client only: another To, or headers of other specifications."""

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

    def test_a_refusal_is_not_shared_and_the_others_ask_in_turn(self, bridge, unusual):
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


def test_the_same_notification_counts_once(bridge):
    assert bridge.tell(status_event("1", "Processing", 2))
    assert not bridge.tell(status_event("1", "Processing", 2))


@pytest.mark.parametrize(("outcome", "shown_before"), [
    (Failure(too_many_jobs(2), JOBS_AT_ONCE), ("Processing", 3)), (FAILED, None)])
def test_only_a_request_that_was_sent_may_have_created_a_job(eventful, outcome, shown_before):
    first = eventful.ask(create_scan_job("urn:uuid:first"), send=outcome is FAILED)
    refused = eventful.scanner.fail(first, outcome, eventful.now)
    assert (refused.fault, refused.limit) == (outcome.fault, outcome.limit)
    second = eventful.ask(create_scan_job("urn:uuid:second"))
    eventful.tell(status_event("7", "Processing", 3))
    eventful.learn(second, created_job("7"))
    assert eventful.read("7") == shown_before  # the event may have been of a job that the first one has created
