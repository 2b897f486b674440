"""Tests of bridge.jobs.outcomes: sharing of status reads that returned no status."""

import pytest

from tests.bridge.bridges import FAILED
from tests.messages import (
    create_scan_job,
    created_job,
    fault,
    get_job_elements,
    job_elements,
    job_request,
)
from wsdgateway.bridge.decisions import Failure, Forward, Pass, Refuse, Reply
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.soap.envelope import read


@pytest.mark.parametrize("answer", [job_elements(), job_elements(("JobStatus", "<wscn:JobStatus/>"))])
def test_an_answer_without_a_status_is_shared_unchanged(eventful, answer):
    forward = eventful.ask(get_job_elements("1"))
    reply = Reply(200, b"application/soap+xml", answer)
    assert isinstance(eventful.scanner.learn(forward, reply, eventful.now), Pass)
    question = route(get_job_elements("1"), Endpoint.SCAN, client="x", host=b"")
    assert isinstance(eventful.scanner.joined(question, forward, reply, eventful.now + 9), Pass)


def test_memory_that_clients_can_cause_is_limited(eventful):
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


@pytest.mark.parametrize("outcome", [
    Reply(500, b"application/soap+xml", fault("wscn:ClientErrorJobIdNotFound", relates_to="urn:uuid:first")),
    Reply(404, b"text/plain", b"no such job"), FAILED])
def test_all_waiting_clients_share_a_refusal(eventful, outcome):
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


@pytest.mark.parametrize("body", [fault("wscn:ClientErrorJobIdNotFound"), b"no"])
def test_a_refusal_is_shared_for_one_poll_interval(bridge, body):
    bridge.learn(bridge.ask(get_job_elements("1")), body, 500)
    assert isinstance(bridge.ask(get_job_elements("1")), Pass)
    bridge.now += 1.01
    assert isinstance(bridge.ask(get_job_elements("1")), Forward)


def test_a_refusal_ends_when_the_job_appears(bridge):
    bridge.learn(bridge.ask(get_job_elements("1")), fault("wscn:ClientErrorJobIdNotFound"))
    bridge.learn(bridge.ask(create_scan_job()), created_job("1"))
    assert isinstance(bridge.ask(get_job_elements("1")), Forward)
