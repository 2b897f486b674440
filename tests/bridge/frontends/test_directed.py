"""Tests of bridge.frontends.directed: directed discovery at addresses that belong to no scanner."""

import pytest

from tests.messages import PROBE, envelope, get_job_elements
from tests.wire import RESOLVE_1_1
from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.frontends.directed import DirectedFrontEnd
from wsdgateway.bridge.frontends.frontend import DeviceRequest, Rejected
from wsdgateway.bridge.frontends.soaphttp import NOT_SOAP, POST_ONLY
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer
from wsdgateway.http.requests import Request
from wsdgateway.soap.envelope import CONTENT_TYPE, read
from wsdgateway.soap.namespaces import SOAP, WSD

OBLIGED = f'<v:Security xmlns:v="urn:x" xmlns:soap="{SOAP}" soap:mustUnderstand="1"/>'


def ask(body, method=b"POST", content_type=b"application/soap+xml", rest=b""):
    request = Request(method, b"/", [], body, False, True, b"gateway.test", content_type)
    return DirectedFrontEnd(lambda: "urn:uuid:own").read(request, rest, "192.0.2.7")


@pytest.mark.parametrize(("more", "answer"), [
    ({"rest": b"/x"}, NOT_FOUND), ({"method": b"GET"}, POST_ONLY), ({"content_type": b"text/xml"}, NOT_SOAP)])
def test_other_requests_get_an_http_error(more, answer):
    assert ask(PROBE, **more) is answer


@pytest.mark.parametrize(("body", "name"), [(PROBE, "Probe"), (RESOLVE_1_1, "Resolve")])
def test_both_versions_are_read(body, name):
    asked = ask(body)
    assert isinstance(asked, DeviceRequest)
    assert asked.name == name


@pytest.mark.parametrize(("body", "code"), [
    (b"<", "InvalidArgs"), (envelope(None), "MessageInformationHeaderRequired"),
    (get_job_elements(), "ActionNotSupported"),
    (envelope(f"{WSD}/Probe", f'<wsd:Probe xmlns:wsd="{WSD}"/>', headers=OBLIGED), "MustUnderstand")])
def test_messages_that_are_refused(body, code):
    asked = ask(body)
    assert isinstance(asked, Rejected)
    assert asked.fault.name == code
    answer = DirectedFrontEnd(lambda: "urn:uuid:own").write(Refuse(asked.fault), asked)
    assert (answer.status, answer.fault) == (asked.fault.status, code)
    assert read(answer.body).relates_to == asked.relates_to


def test_matches_are_an_envelope():
    asked = ask(PROBE)
    assert DirectedFrontEnd(lambda: "urn:uuid:own").write(Answer(b"<a/>"), asked) == HTTPAnswer(
        200, b"<a/>", ((b"Content-Type", CONTENT_TYPE),))
