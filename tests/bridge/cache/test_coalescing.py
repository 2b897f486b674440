"""Tests of bridge.cache.coalescing: recognition of equal reads and of complete answers."""


import pytest

from tests.bridge.bridges import SOAP_TYPE
from tests.bridge.cache.caching import BOTH, DESCRIPTION, plain
from tests.messages import (
    SCAN,
    envelope,
    fault,
    get_scanner_elements,
    scanner_elements,
)
from wsdgateway.bridge.cache.answercache import MAX_ANSWER
from wsdgateway.bridge.decisions import Answer, Forward, Pass, Reply
from wsdgateway.soap.namespaces import WSCN

# Equal requests.

@pytest.mark.parametrize("raw", [
    get_scanner_elements("ScannerDescription"), get_scanner_elements("wscn:ScannerDescription"),
    get_scanner_elements("ScannerDescription").replace(b"wscn:ScannerDescription", b"\n ScannerDescription "),
    get_scanner_elements("ScannerDescription").replace(b"wscn", b"s"),
    get_scanner_elements("ScannerDescription").replace(b"<wscn:Name>", b"<!-- why --><wscn:Name>")])
def test_different_spellings_of_a_request_are_equal(bridge, raw):
    bridge.cache_elements()
    assert isinstance(bridge.ask(raw), Answer)


@pytest.mark.parametrize("raw", [
    get_scanner_elements("ScannerDescription", headers="<v:x xmlns:v='u:v'/>"),
    get_scanner_elements("v:Thing", headers="<v:x xmlns:v='u:v'/>"), get_scanner_elements("wse:ScannerDescription"),
    get_scanner_elements("ScannerDescription", "Unknown"), get_scanner_elements(),
    get_scanner_elements("ScannerDescription", "ScannerDescription"),
    envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>"),
    envelope(f"{SCAN}/GetScannerElements", ""),
    get_scanner_elements("ScannerDescription").replace(b"<wscn:Requested", b"<v:x xmlns:v='u:v'/><wscn:Requested"),
    get_scanner_elements("ScannerDescription").replace(b"</wscn:Requested", b"<v:x xmlns:v='u:v'/></wscn:Requested"),
    get_scanner_elements("ScannerDescription").replace(b"<wscn:Name>", b"<wscn:Name x='1'>"),
    get_scanner_elements("ScannerDescription", headers="<v:x xmlns:v='u:v' soap:mustUnderstand='1'/>"),
    get_scanner_elements("ScannerDescription").replace(WSCN.encode(), WSCN.replace("2006/08", "2006/01").encode()),
    get_scanner_elements("ScannerDescription").replace(b"2006/08/wdp/scan/Get", b"2006/01/wdp/scan/Get"),
    envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest><v:x xmlns:v='u:v'/></wscn:GetActiveJobsRequest>"),
    plain("GetJobHistory", headers="<v:x xmlns:v='u:v' soap:mustUnderstand='1'/>")])
def test_requests_with_anything_else_go_to_the_scanner_unchanged(bridge, raw):
    bridge.cache_elements()
    bridge.cache_list()
    forward = bridge.ask(raw)
    assert isinstance(forward, Forward) and not forward.shared
    assert isinstance(bridge.ask(raw), Forward)


def test_the_names_matter_and_their_order_does_not(bridge):
    bridge.cache_elements(BOTH)
    assert bridge.is_cached(get_scanner_elements(*BOTH))
    assert bridge.is_cached(get_scanner_elements(*reversed(BOTH)))
    assert not bridge.is_cached(get_scanner_elements(BOTH[0]))


@pytest.mark.parametrize(("body", "status", "content_type"), [
    (scanner_elements(*DESCRIPTION), 500, SOAP_TYPE), (scanner_elements(*DESCRIPTION), 200, b"text/xml"),
    (scanner_elements(*DESCRIPTION, valid="false"), 200, SOAP_TYPE),
    (scanner_elements(*DESCRIPTION, valid="0"), 200, SOAP_TYPE),
    (scanner_elements(), 200, SOAP_TYPE), (scanner_elements("ScannerStatus"), 200, SOAP_TYPE),
    (fault("wscn:ServerErrorTemporaryError", code="Receiver"), 500, SOAP_TYPE),
    (fault("wscn:ServerErrorTemporaryError"), 200, SOAP_TYPE), (b"", 503, b"text/plain"), (b"<html>", 200, SOAP_TYPE),
    (scanner_elements(*DESCRIPTION, note="x" * MAX_ANSWER), 200, SOAP_TYPE),
    (scanner_elements(*DESCRIPTION).replace(b"/GetScannerElementsResponse<", b"/Other<"), 200, SOAP_TYPE)])
def test_an_incomplete_answer_is_passed_on_and_shared_but_not_cached(bridge, body, status, content_type):
    raw = get_scanner_elements(*DESCRIPTION)
    forward, waiting = bridge.ask(raw), bridge.ask(raw)
    reply = Reply(status, content_type, body)
    assert bridge.scanner.learn(forward, reply, bridge.now).reply is reply
    shared = bridge.scanner.joined(bridge.question(raw), waiting.forward, reply, bridge.now)
    assert isinstance(shared, Pass | Answer)
    assert not bridge.is_cached(raw)


def test_the_action_of_an_answer_may_be_that_of_the_request(bridge):
    forward = bridge.ask(get_scanner_elements(*DESCRIPTION))
    bridge.learn(forward, scanner_elements(*DESCRIPTION).replace(b"ElementsResponse</wsa:", b"Elements</wsa:"))
    assert bridge.is_cached(get_scanner_elements(*DESCRIPTION))
