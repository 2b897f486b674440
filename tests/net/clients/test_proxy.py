"""Tests of net.clients.proxy with a second client protocol beside WS-Scan: job statuses by GET, as plain text.

Router, HTTP server, proxy and bridge are the real ones. They contain nothing specific to this protocol.
"""

import itertools

import pytest
from twisted.internet.defer import fail, succeed

from tests.httpserver import MemoryServer, answers
from tests.messages import fault, get_job_elements, status_response
from tests.options import scanner_options
from wsdgateway.bridge.access.permission import Permission, Rule
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.decisions import Answer, Pass, Question
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.answers import NOT_FOUND, plain
from wsdgateway.http.responses import Head
from wsdgateway.metrics import Metrics
from wsdgateway.net.clients.authorization import Authorization
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.clients.proxy import Proxy
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.scan.jobelements import read_request, read_response
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import GET_JOB_ELEMENTS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Fault


class PlainStatus:
    """Front end that serves GET /NAME/plain/jobs/ID: the state of that job."""

    def read(self, request, rest, client):
        if request.method != b"GET":
            return plain(405, "Ask by GET.", (b"Allow", b"GET"))
        if not rest.startswith(b"/jobs/"):
            return NOT_FOUND
        job_id = rest.rpartition(b"/")[2].decode()
        if not job_id.isdigit():
            return Rejected(Fault("Sender", "plain:NoSuchJob", "A job is named by its number.", 404))
        raw = get_job_elements(job_id)
        envelope = read(raw)
        return Question(envelope, raw, GET_JOB_ELEMENTS, client, request.host, read_request(envelope.body))

    def skeleton(self, raw, question):
        return None

    def write(self, decision, request):
        if isinstance(decision, Answer):
            return plain(200, read_response(read(decision.body).body).status.state)
        if isinstance(decision, Pass):
            found = read_response(read(decision.reply.body).body)
            if found is None:
                return plain(502, "The scanner refuses.", fault=decision.reply.fault)
            location = f"/front-desk/plain/jobs/{request.wanted.job_id}"
            return plain(200, found.status.state, (b"Location", location.encode()))
        return plain(decision.fault.status, decision.fault.reason, fault=decision.fault.name)


class Device:
    """Stands in for a scanner: answers at once with `answer`, or fails if that is an exception."""

    answer = b""

    def __init__(self):
        self.asked = []

    def request(self, request):
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            return fail(self.answer)
        head = Head(200, b"OK", [(b"Content-Type", b"application/soap+xml")], len(self.answer), True, True)
        response = Response(request, head, None, None, 1.0)
        response.data(self.answer)
        response.end()
        return succeed(response)


class Gateway:
    """Gateway with one scanner and two front ends, in memory."""

    name = "front-desk"

    def __init__(self, permission=None):
        self.log = ExchangeLog()
        self.device = Device()
        ids = itertools.count()
        bridge = self.bridge = ScannerBridge(
            scanner_options(self.name, max_age=30.0, poll_interval=1.0, history=5),
            new_id=lambda: f"urn:uuid:own-{next(ids)}")
        bridge.device = "http://192.0.2.1/scan"
        bridge.table.listening = bridge.table.events_seen = True
        bridge.table.announced(JobStatus("1", "Processing"), 0.0)

        def seconds():
            return 1.0

        def accounting(scanner):
            return Accounting(scanner, Metrics(), self.log, seconds=seconds, wall=lambda: 0.0)

        own = accounting(self.name)
        forwarder = Forwarder(bridge, self.device, Metrics(), seconds=seconds, after_learning=lambda: None,
                              on_trouble=lambda: None)
        authorization = Authorization(self.name, permission or Permission(), own)
        quotas = Quotas(requests=1e6, connections=1000, jobs=1, unlimited=())
        repeats = RepeatedRequests(permission or Permission(), quotas, Metrics(), self.log, seconds=seconds)
        self.resources = {
            prefix: Resource(Proxy(front_end, bridge, forwarder, None, None, None, Metrics(), own, authorization,
                                   repeats, seconds=seconds, written=None).serve)
            for prefix, front_end in (
                (b"plain", PlainStatus()), (b"scan", WSScan(Endpoint.SCAN, lambda: "urn:uuid:1")))}
        router = Router(accounting(None), quotas)
        router.add(self)
        self.server = MemoryServer(router.respond)

    def send(self, raw):
        """Sends a request and returns the client's answer."""
        protocol, transport = self.server.connect()
        protocol.dataReceived(raw)
        [answer] = answers(transport.value())
        return answer

    def get(self, path, method=b"GET"):
        return self.send(method + b" /front-desk/plain" + path + b" HTTP/1.1\r\nHost: gateway\r\nX-Mine: 1\r\n\r\n")

    def entries(self):
        """Returns scanner, operation, source, status and fault of each logged exchange."""
        return [(entry.scanner, entry.operation, entry.source, entry.status, entry.fault)
                for entry in (kept.entry for kept in self.log.since(0))]


def test_a_local_answer_is_written_in_the_front_ends_protocol():
    gateway = Gateway()
    answer = gateway.get(b"/jobs/1")
    assert (answer.status, answer.body) == (200, b"Processing\n")
    assert answer.all(b"content-type") == [b"text/plain; charset=utf-8"]
    assert gateway.entries() == [("front-desk", "GetJobElements", "local", 200, None)]
    assert gateway.device.asked == []


def test_a_refusal_is_written_in_the_front_ends_protocol():
    gateway = Gateway()
    answer = gateway.get(b"/jobs/x")
    assert (answer.status, answer.body) == (404, b"A job is named by its number.\n")
    assert answer.all(b"content-type") == [b"text/plain; charset=utf-8"]
    assert gateway.entries() == [("front-desk", "other", "refused", 404, "NoSuchJob")]


@pytest.mark.parametrize(("path", "method", "status"), [
    (b"/jobs/1", b"PUT", 405), (b"/status", b"GET", 404), (b"", b"GET", 404), (b"/", b"GET", 404)])
def test_requests_outside_the_protocol_are_logged_without_a_scanner(path, method, status):
    gateway = Gateway()
    answer = gateway.get(path, method)
    assert (answer.status, answer.all(b"allow")) == (status, [b"GET"] if status == 405 else [])
    assert gateway.entries() == [(None, "other", "refused", status, None)]


def test_the_front_end_writes_the_scanners_answer():
    gateway = Gateway()
    gateway.device.answer = status_response("7", "Pending")
    answer = gateway.get(b"/jobs/7")
    assert (answer.status, answer.body, answer.all(b"location")) == (200, b"Pending\n", [b"/front-desk/plain/jobs/7"])
    [asked] = gateway.device.asked
    assert (asked.operation, read(asked.body).action) == (GET_JOB_ELEMENTS, read(get_job_elements("7")).action)
    assert asked.headers == []  # the client's headers belong to another protocol
    assert gateway.entries()[-1] == ("front-desk", "GetJobElements", "device", 200, None)
    gateway.device.answer = fault("wscn:ClientErrorJobIdNotFound")
    assert gateway.get(b"/jobs/8").status == 502
    assert gateway.entries()[-1][-1] == "ClientErrorJobIdNotFound"


def test_a_scanner_failure_is_written_in_the_front_ends_protocol():
    gateway = Gateway()
    gateway.device.answer = Unavailable("192.0.2.1", "it is off")
    answer = gateway.get(b"/jobs/7")
    assert answer.status == 500 and b"it is off" in answer.body and b"<" not in answer.body


def test_allow_rules_apply_to_every_protocol():
    gateway = Gateway(Permission([Rule(operations=("GetJobElements",), deny=True)]))
    answer = gateway.get(b"/jobs/1")
    assert answer.status == 403 and b"[[allow]]" in answer.body and b"<" not in answer.body


def test_ws_scan_works_beside_the_second_protocol():
    gateway = Gateway()
    body = get_job_elements("1")
    answer = gateway.send(b"POST /front-desk/scan HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\n"
                          b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert read_response(read(answer.body).body).status.state == "Processing"
    assert answer.all(b"content-type") == [b"application/soap+xml; charset=utf-8"]
