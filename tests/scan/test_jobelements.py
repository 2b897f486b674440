"""Tests of scan.jobelements: GetJobElements requests are read, and its answers are read and written."""

import pytest

from tests.messages import envelope, get_job_elements, job_elements, job_status
from tests.scan.elements import FULL, MANY, body, element
from wsdgateway.scan.jobelements import (
    JobElementsRequest,
    read_request,
    read_response,
    write_element_data,
    write_response,
)
from wsdgateway.scan.jobstatus import (
    JobStatus,
    write_job_status,
)
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import parse

OLD = "http://schemas.microsoft.com/windows/2006/01/wdp/scan"


def test_a_ticket_declares_only_the_prefixes_it_uses():
    answer = job_elements(("ScanTicket", "<wscn:ScanTicket><v5:Mode>v6:fast</v5:Mode></wscn:ScanTicket>"))
    [(name, ticket)] = read_response(body(answer.replace(b"<wscn:JobElements>", f"<wscn:JobElements {MANY}>".encode()))
                                     ).extras
    assert name == "ScanTicket"
    assert set(parse(ticket.encode()).nsmap) == {"wscn", "v5", "v6"}


@pytest.mark.parametrize(("names", "wanted"), [
    (["wscn:JobStatus"], ("JobStatus",)), (["JobStatus"], ("JobStatus",)), (["\n wscn:JobStatus "], ("JobStatus",)),
    (["wscn:ScanTicket", "wscn:JobStatus", "wscn:ScanTicket"], ("ScanTicket", "JobStatus")),
    (["wscn:Documents"], ("Documents",)), (["wse:JobStatus"], None), (["wscn:Vendor"], None), (["un:JobStatus"], None),
    (["wscn:JobStatus", "wse:x"], None), ([], None), ([""], None),
])
def test_requested_elements(names, wanted):
    assert read_request(body(get_job_elements("5", names))) == JobElementsRequest("5", wanted)


def test_the_request_element_may_lack_the_suffix_request():
    data = get_job_elements("5").replace(b"GetJobElementsRequest>", b"GetJobElements>")
    assert read_request(body(data)).status_only


def test_prefixes_in_text_are_resolved_in_their_scope():
    data = get_job_elements("5", ["s:JobStatus"]).replace(b"<wscn:Name>", f"<wscn:Name xmlns:s='{WSCN}'>".encode())
    assert read_request(body(data)).status_only


@pytest.mark.parametrize("data", [
    envelope("x"), envelope("x", "<wscn:Other/>"), envelope("x", "<wscn:GetJobElementsRequest/>"),
    get_job_elements("5").replace(WSCN.encode(), OLD.encode())])
def test_other_contents_are_no_request(data):
    assert read_request(body(data)) is None


@pytest.mark.parametrize("prefix", ["", "wscn:"])
def test_answers_are_read_with_and_without_qualified_attributes(prefix):
    ticket = "<wscn:ScanTicket><wscn:JobDescription/></wscn:ScanTicket>"
    elements = read_response(body(job_elements(("JobStatus", job_status("5", "Held", 1)), ("ScanTicket", ticket),
                                               prefix=prefix)))
    assert elements.status == JobStatus("5", "Held", ("None",), 1)
    assert [name for name, _ in elements.extras] == ["ScanTicket"]
    assert elements.qualified is bool(prefix)


@pytest.mark.parametrize("valid", ["0", "false", " false "])
def test_invalid_elements_are_left_out(valid):
    data = job_elements(("JobStatus", job_status())).replace(b'Valid="true"', f'Valid="{valid}"'.encode())
    assert read_response(body(data)).status is None


@pytest.mark.parametrize("qualified", [False, True])
def test_a_written_answer_is_read_back_unchanged(qualified):
    content = write_response(write_element_data("JobStatus", write_job_status(FULL), qualified))
    elements = read_response(element(content))
    assert elements.status == FULL
    assert elements.qualified is qualified


def test_other_contents_are_no_answer():
    assert read_response(None) is None
    assert read_response(body(envelope("x", "<wscn:X/>"))) is None
    assert read_response(body(envelope("x", "<wscn:GetJobElementsResponse/>"))) is None
