"""Tests of bridge.frontends.escl.requests and .clients: methods, paths and headers of clients."""

import pytest

from wsdgateway.bridge.frontends.escl.clients import ClientKind, adf_state_for, client_kind
from wsdgateway.bridge.frontends.escl.requests import EsclRequest, Resource, read_request
from wsdgateway.http.answers import HTTPAnswer

ID = "4b1d0f6e-8c0c-4c4b-9a57-7a5a3b6c1d2e"


@pytest.mark.parametrize(("method", "rest", "resource", "job_id", "operation"), [
    (b"GET", b"/ScannerCapabilities", "ScannerCapabilities", "", "GetScannerElements"),
    (b"GET", b"/ScannerCapabilities/", "ScannerCapabilities", "", "GetScannerElements"),
    (b"GET", b"/ScannerStatus", "ScannerStatus", "", "GetScannerElements"),
    (b"POST", b"/ScanJobs", "ScanJobs", "", "CreateScanJob"),
    (b"GET", f"/ScanJobs/{ID}/NextDocument".encode(), "NextDocument", ID, "RetrieveImage"),
    (b"GET", f"/ScanJobs/{ID}/ScanImageInfo".encode(), "ScanImageInfo", ID, "GetJobElements"),
    (b"DELETE", f"/ScanJobs/{ID}".encode(), "Job", ID, "CancelJob"),
    (b"DELETE", b"/ScanJobs/urn:uuid:0f1e/", "Job", "urn:uuid:0f1e", "CancelJob"),
    (b"PUT", b"/ScanBufferInfo", "ScanBufferInfo", "", "ValidateScanTicket"),
    (b"POST", b"/ScanBufferInfo", "ScanBufferInfo", "", "ValidateScanTicket"),
    (b"GET", b"/icon.png", "icon", "", None)])
def test_requests(method, rest, resource, job_id, operation):
    found = read_request(method, rest)
    assert found == EsclRequest(Resource(resource), job_id)
    assert (found.operation and found.operation.name) == operation


@pytest.mark.parametrize(("method", "rest", "allowed"), [
    (b"POST", b"/ScannerCapabilities", b"GET"), (b"PUT", b"/ScannerStatus", b"GET"),
    (b"GET", b"/ScanJobs", b"POST"), (b"GET", b"/ScanBufferInfo", b"PUT, POST"),
    (b"GET", b"/ScanJobs/1", b"DELETE"), (b"DELETE", b"/ScanJobs/1/NextDocument", b"GET"),
    (b"POST", b"/ScanJobs/1/ScanImageInfo", b"GET"),
    (b"HEAD", b"/icon.png", b"GET"), (b"get", b"/ScannerStatus", b"GET")])
def test_another_method_is_answered_with_the_right_one(method, rest, allowed):
    assert read_request(method, rest) == HTTPAnswer(405, b"", ((b"Allow", allowed),))


@pytest.mark.parametrize("rest", [
    b"", b"/", b"/scannerstatus", b"/ScannerStatus//", b"/ScanBufferInfo/1", b"/ScanJobs//NextDocument",
    b"/ScanJobs/1/2", b"/ScanJobs/1/NextDocument/2", b"/ScanJobs/%2e%2e", b"/ScanJobs/" + b"1" * 65,
    "/ScanJobs/é".encode(), b"/ScanJobs/1\n", b"/icon.png/x", b"ScannerStatus"])
def test_other_addresses_do_not_exist(rest):
    for method in (b"GET", b"DELETE", b"POST"):
        assert read_request(method, rest) == HTTPAnswer(404, b"")


def test_rare_requests_share_a_label_of_the_metrics():
    assert {one.value: one.label for one in Resource if one.value != one.label} == {
        "ScanBufferInfo": "other", "icon": "other"}


@pytest.mark.parametrize(("headers", "kind", "seconds"), [
    ([(b"Host", b"h"), (b"Accept", b"*/*")], ClientKind.SANE_ESCL, 60),
    ([(b"Host", b"h"), (b"Connection", b"close"), (b"Content-Type", b"text/xml")], ClientKind.OTHER, 8),
    ([(b"Accept", b"*/*"), (b"User-Agent", b"curl/8")], ClientKind.OTHER, 8),
    ([(b"ACCEPT", b"*/*"), (b"USER-AGENT", b"AirScanScanner/10 CFNetwork/1 Darwin/1")], ClientKind.OTHER, 8),
    ([(b"Accept", b"image/jpeg")], ClientKind.OTHER, 8), ([], ClientKind.OTHER, 8)])
def test_how_long_a_request_for_a_page_is_held(headers, kind, seconds):
    assert client_kind(headers) is kind
    assert kind.hold == seconds


CURL, AIRSCAN = [(b"Host", b"h"), (b"Accept", b"*/*")], [(b"Connection", b"close"), (b"Host", b"h")]
NAPS2 = [(b"Host", b"h")]
OWN = [(b"Host", b"h"), (b"Accept-Encoding", b"identity"), (b"Connection", b"close")]  # `wsdgateway scan`
MACOS = [(b"Accept", b"*/*"), (b"Connection", b"close"), (b"User-Agent", b"AirScanScanner/10 CFNetwork/1 Darwin/1")]


@pytest.mark.parametrize(("state", "of_sane"), [
    ("ScannerAdfHatchOpen", "ScannerAdfDoorOpen"), ("ScannerAdfMultipickDetected", "ScannerAdfJam"),
    ("ScannerAdfJam", "ScannerAdfJam"), ("ScannerAdfEmpty", "ScannerAdfEmpty"),
    ("ScannerAdfLoaded", "ScannerAdfLoaded"), (None, None)])
def test_the_backends_of_sane_are_told_the_state_of_a_feeder_in_words_that_they_know(state, of_sane):
    assert adf_state_for(CURL, state) == adf_state_for(AIRSCAN, state) == of_sane
    assert adf_state_for(NAPS2, state) == adf_state_for(OWN, state) == adf_state_for(MACOS, state) == state
