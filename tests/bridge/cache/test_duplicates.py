"""Tests of bridge.cache.duplicates: recognition of a CreateScanJob that a client repeats."""

import pytest

from tests.bridge.bridges import FAILED
from tests.messages import (
    create_scan_job,
    created_job,
    fault,
)
from wsdgateway.bridge.cache.duplicates import REMEMBERED_SECONDS
from wsdgateway.bridge.decisions import Forward, Reply

# One press of a button creates one job.

def test_a_repeated_request_joins_the_running_one(bridge):
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
def test_a_different_request_creates_another_job(bridge, other):
    bridge.learn(bridge.ask(create_scan_job()), created_job("5"))
    assert isinstance(bridge.ask(*other), Forward)


def test_a_request_without_a_message_id_is_never_a_duplicate(bridge):
    bridge.learn(bridge.ask(create_scan_job(None)), created_job("5"))
    assert isinstance(bridge.ask(create_scan_job(None)), Forward)
