"""Tests of bridge.jobs.answers: which GetJobElements requests are answered from the table, and which need the scanner.
"""

import pytest

from tests.bridge.bridges import shown
from tests.messages import (
    SCAN,
    end_event,
    get_job_elements,
    job_elements,
    job_status,
    status_event,
)
from wsdgateway.bridge.decisions import Answer, Forward
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.envelope import read

# The source of the answer.

def test_an_event_is_answered_from_the_table(bridge):
    assert bridge.tell(status_event("1", "Processing", 2))
    decision = bridge.ask(get_job_elements("1", message_id="urn:uuid:mine"))
    answer = read(decision.body)
    assert answer.relates_to == "urn:uuid:mine"
    assert answer.message_id.startswith("urn:uuid:own-")
    assert answer.action == f"{SCAN}/GetJobElementsResponse"
    assert shown(decision.body).scans_completed == 2
    assert b'Valid="true"' in decision.body


def test_each_answer_has_its_own_message_id(eventful):
    eventful.tell(status_event("1"))
    ids = {read(eventful.ask(get_job_elements("1")).body).message_id for _ in range(5)}
    assert len(ids) == 5


def test_attributes_are_written_the_way_the_scanner_writes_them(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.learn(forward, job_elements(("JobStatus", job_status("1", "Held")), prefix="wscn:"))
    assert b'wscn:Name="wscn:JobStatus" wscn:Valid="true"' in eventful.ask(get_job_elements("1")).body


@pytest.mark.parametrize("names", [("wscn:Vendor",), ("wscn:JobStatus", "wse:x")])
def test_vendor_elements_are_always_forwarded(eventful, names):
    eventful.tell(status_event("1"))
    assert isinstance(eventful.ask(get_job_elements("1", names)), Forward)


def test_tickets_are_kept_at_once_and_documents_when_the_job_has_ended(eventful):
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
