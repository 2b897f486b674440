"""Tests of bridge.frontends.wsscan: HTTP requests to questions, and decisions to HTTP answers."""

import itertools

import pytest

from tests.messages import GET, PROBE, SCAN, envelope, fault, get_job_elements, subscribe
from wsdgateway.bridge.decisions import Answer, Forward, Pass, Question, Refuse, Reply
from wsdgateway.bridge.frontends.frontend import DeviceRequest, EventingRequest, Rejected, asked_for
from wsdgateway.bridge.frontends.soaphttp import NOT_SOAP, POST_ONLY
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan, route
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer
from wsdgateway.http.requests import Request
from wsdgateway.scan.operations import GET_JOB_ELEMENTS
from wsdgateway.soap.envelope import CONTENT_TYPE, read
from wsdgateway.soap.faults import action_missing, fault_of
from wsdgateway.soap.namespaces import WSE


def request(body=b"", method=b"POST", content_type=b"application/soap+xml"):
    fields = [(b"Host", b"gateway.test"), (b"X", b"y")]
    return Request(method, b"/front-desk/scan", fields, body, False, True, b"gateway.test", content_type)


def front_end(endpoint=Endpoint.SCAN):
    ids = itertools.count()
    return WSScan(endpoint, lambda: f"urn:uuid:own-{next(ids)}")


@pytest.mark.parametrize(("endpoint", "rest", "is_there"), [
    (Endpoint.SCAN, b"", True), (Endpoint.SCAN, b"/", False), (Endpoint.SCAN, b"/x", False),
    (Endpoint.DEVICE, b"", True), (Endpoint.DEVICE, b"/x", False),
    (Endpoint.SUBSCRIPTION, b"", False), (Endpoint.SUBSCRIPTION, b"/", False), (Endpoint.SUBSCRIPTION, b"/5", True),
    (Endpoint.SUBSCRIPTION, b"/5/", True), (Endpoint.SUBSCRIPTION, b"/5/6", True),
    (Endpoint.SUBSCRIPTION, b"/../scan", False), (Endpoint.SUBSCRIPTION, b"/5/..", False)])
def test_the_paths_of_each_endpoint(endpoint, rest, is_there):
    answers = [front_end(endpoint).read(request(method=method), rest, "x") for method in (b"POST", b"GET")]
    if is_there:
        assert isinstance(answers[0], Rejected) and answers[1] is POST_ONLY
    else:
        assert answers == [NOT_FOUND] * 2


@pytest.mark.parametrize(("method", "content_type", "answer"), [
    (b"GET", None, POST_ONLY), (b"PUT", b"application/soap+xml", POST_ONLY), (b"DELETE", b"text/xml", POST_ONLY),
    (b"POST", b"text/xml", NOT_SOAP), (b"POST", None, NOT_SOAP)])
def test_other_requests_than_soap_get_an_http_error(method, content_type, answer):
    assert front_end().read(request(GET, method, content_type), b"", "x") is answer
    assert (answer.status, dict(answer.headers)[b"Content-Type"]) == (
        405 if method != b"POST" else 415, b"text/plain; charset=utf-8")
    assert (dict(answer.headers).get(b"Allow") == b"POST") is (method != b"POST")


def test_the_contents_of_a_question():
    asked = request(get_job_elements("7"), content_type=b"application/soap+xml; charset=utf-8")
    question = front_end().read(asked, b"", "192.0.2.7")
    assert isinstance(question, Question)
    assert (question.operation, question.wanted.job_id, question.client, question.host) == (
        GET_JOB_ELEMENTS, "7", "192.0.2.7", b"gateway.test")
    assert question.raw is asked.body and question.fields is asked.headers


@pytest.mark.parametrize(("endpoint", "rest", "body", "kind", "operations"), [
    (Endpoint.SCAN, b"", get_job_elements(), Question, ("GetJobElements",)),
    (Endpoint.SCAN, b"", get_job_elements().replace(b"/GetJobElements<", b"/Vendor<"), Question,
     ("other", "GetJobElements")),
    (Endpoint.SCAN, b"", subscribe("http://192.0.2.1/"), EventingRequest, ("Subscribe",)),
    (Endpoint.SUBSCRIPTION, b"/5", envelope(f"{WSE}/Renew"), EventingRequest, ("Renew",)),
    (Endpoint.DEVICE, b"", GET, DeviceRequest, ("Get",)), (Endpoint.DEVICE, b"", PROBE, DeviceRequest, ("Probe",))])
def test_the_operations_that_need_permission(endpoint, rest, body, kind, operations):
    asked = front_end(endpoint).read(request(body), rest, "x")
    assert isinstance(asked, kind)
    assert asked_for(asked) == operations


def test_the_path_names_a_subscription():
    asked = front_end(Endpoint.SUBSCRIPTION).read(request(envelope(f"{WSE}/Renew")), b"/urn:uuid:5", "x")
    assert asked.named == "urn:uuid:5"


def test_an_answer_is_an_envelope():
    front, question = front_end(), route(get_job_elements(), Endpoint.SCAN, client="x", host=b"")
    soap = ((b"Content-Type", CONTENT_TYPE),)
    assert front.write(Answer(b"<a/>"), question) == HTTPAnswer(200, b"<a/>", soap)
    assert front.write(Answer(b"<a/>", b"text/xml"), question).headers == ((b"Content-Type", b"text/xml"),)


def test_a_fault_relates_to_its_request():
    front, question = front_end(), route(get_job_elements(), Endpoint.SCAN, client="x", host=b"")
    for asked, relates_to in (
            (question, question.envelope.message_id), (Rejected(action_missing(), "urn:uuid:7"), "urn:uuid:7"),
            (Rejected(action_missing()), None)):
        answer = front.write(Refuse(action_missing()), asked)
        message = read(answer.body)
        assert (answer.status, answer.fault, message.relates_to) == (400, fault_of(message), relates_to)
    assert message.message_id == "urn:uuid:own-2"


def test_a_scanners_answer_is_passed_on_unchanged():
    question = route(get_job_elements(), Endpoint.SCAN, client="x", host=b"")
    reply = Reply(503, b"text/plain", fault("wscn:X"), b"Not Now", ((b"X-Device", b"7"),))
    assert front_end().write(Pass(reply), question) == HTTPAnswer(503, reply.body, reply.headers, "X", b"Not Now")


@pytest.mark.parametrize("endpoint", list(Endpoint))
@pytest.mark.parametrize("action", ["Subscribe", "Renew", "GetStatus", "Unsubscribe"])
def test_eventing_is_answered_by_the_gateway_at_any_address(endpoint, action):
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
def test_messages_that_are_refused(raw, endpoint, code, status):
    rejected = route(raw, endpoint, client="x", host=b"")
    assert (rejected.fault.subcode.partition(":")[2], rejected.fault.status) == (code, status)


@pytest.mark.parametrize("endpoint", [Endpoint.SCAN, Endpoint.SUBSCRIPTION])
@pytest.mark.parametrize("action", [f"{SCAN}/Vendor", "urn:anything", f"{SCAN}/RetrieveImage"])
def test_unknown_operations_are_forwarded(bridge, endpoint, action):
    question = route(envelope(action), endpoint, client="x", host=b"")
    assert isinstance(bridge.scanner.ask(question, 0.0), Forward)
