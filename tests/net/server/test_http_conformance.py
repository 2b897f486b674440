"""HTTP/1.1 conformance of the HTTP server: each case of RFC 9110 and 9112 with its required outcome.

A case is sent whole, byte by byte, and followed by a valid request, which is answered if and only if the connection
stays open. Every answer must itself be valid HTTP. In some cases the specification prefers another answer than the 400
that is given (501 for an unknown method, HTTP/1.2 read as 1.1): a request that llhttp cannot read is not trusted.
"""

import pytest

from tests.httpserver import MemoryServer, answers, is_open
from tests.net.server import http_cases_connection, http_cases_framing, http_cases_syntax
from tests.net.server.http_cases import POST
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.frontends.soaphttp import check_soap
from wsdgateway.http.answers import NOT_FOUND
from wsdgateway.http.layout import Splitter
from wsdgateway.net.clients.discoveryendpoint import DiscoveryEndpoint
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router

NEXT = POST + b"Content-Length: 4\r\n\r\nnext"
CASES = http_cases_framing.CASES + http_cases_syntax.CASES + http_cases_connection.CASES


class Application:
    """Scanner that answers with the body of the request, and the accounting of requests that do not reach it."""

    name = "front-desk"

    def __init__(self):
        self.bodies = []
        self.hosts = []
        self.resources = {b"scan": Resource(self.serve)}

    def serve(self, exchange, rest):
        refusal = NOT_FOUND if rest else check_soap(exchange.request)
        if refusal is not None:
            return refusal
        self.bodies.append(exchange.request.body)
        self.hosts.append(exchange.request.host)
        exchange.answer(200, exchange.request.body)

    def client(self, *exchange):
        """Ignores the exchange."""

    unread = client

    def now(self):
        return 0.0


def converse(pieces):
    """Sends the pieces and returns all bytes received, the transport and the application."""
    application = Application()
    router = Router(application, Quotas(requests=1e6, connections=1000, jobs=1, unlimited=()))
    router.add(application)
    router.mount(b"/", DiscoveryEndpoint(list, None, Permission(), application, lambda: "urn:uuid:1").resource)
    protocol, transport = MemoryServer(router.respond, request_body=1000).connect()
    for piece in pieces:
        protocol.dataReceived(piece)
    return transport.value(), transport, application


def in_bytes(data):
    return [data[at:at + 1] for at in range(len(data))]


def check(case, pieces, *, followed):
    """Checks the outcome of a case, and that each answer conforms to RFC 9110 and 9112."""
    raw, transport, application = converse(pieces)
    received = answers(raw, to_head=case.data.startswith(b"HEAD"))
    expected = case.statuses if case.in_bytes is None or pieces[0] == case.data else case.in_bytes
    goes_on = followed and case.goes_on
    assert tuple(answer.status for answer in received) == expected + ((200,) if goes_on else ())
    assert tuple(application.bodies) == case.reached + ((b"next",) if goes_on else ())
    assert is_open(transport) is case.goes_on
    final = [answer for answer in received if answer.status >= 200]
    assert bool(final[-1].all(b"connection") == [b"close"]) is not case.goes_on
    for answer in final:
        assert len(answer.all(b"content-length")) == len(answer.all(b"date")) == 1
        assert not answer.all(b"transfer-encoding")
        assert answer.all(b"allow") == ([b"POST"] if answer.status == 405 else [])
    for answer in received:
        assert answer.status >= 200 or (answer.fields, answer.body) == ([], b"")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_has_its_outcome_whole_and_byte_by_byte(case):
    check(case, [case.data], followed=False)
    check(case, in_bytes(case.data), followed=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_following_request_is_answered_only_if_the_connection_stays_open(case):
    if not case.data.startswith(b"HEAD"):  # its answers can only be delimited if the method of the request is known
        check(case, [case.data, NEXT], followed=True)
        check(case, in_bytes(case.data + NEXT), followed=True)
    raw, _, application = converse([case.data + NEXT])
    assert application.bodies == [*case.reached, *([b"next"] if case.goes_on else [])]
    assert raw.endswith(b"next") is case.goes_on


def test_the_names_of_cases_are_unique():
    assert len(CASES) >= 120
    assert len({str(case) for case in CASES}) == len(CASES)
    assert all(case.clause.startswith(("RFC 9110 ", "RFC 9112 ", "RFC 6585 ")) for case in CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.goes_on and case.statuses in ((200,), (404,), (405,))],
                         ids=str)
def test_a_capture_contains_each_request_as_received(case):
    """The parser and the recorder of requests must agree on where a request ends (RFC 9112 section 11.2)."""
    splitter = Splitter()
    splitter.feed(case.data + NEXT)
    assert (splitter.take(), splitter.take()) == (case.data, NEXT)


@pytest.mark.parametrize(("target", "field", "host"), [
    (b"/front-desk/scan", b"a:1", b"a:1"), (b"http://b:2/front-desk/scan", b"a:1", b"b:2"),
    (b"http://b/front-desk/scan?x", b"", b"b"), (b"HTTPS://[::1]:2/front-desk/scan", b"a", b"[::1]:2")])
def test_an_absolute_target_determines_the_host(target, field, host):
    """The Host field is then ignored (RFC 9112 section 3.2.2)."""
    request = POST.replace(b"/front-desk/scan", target).replace(b"Host: gateway", b"Host: " + field) + b"\r\n"
    _, _, application = converse([request])
    assert application.hosts == [host]


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_the_answer_to_head_is_the_answer_to_get_without_a_body(method):
    """RFC 9110 section 9.3.2."""
    raw, _, _ = converse([method + b" /none HTTP/1.1\r\nHost: gateway\r\n\r\n"])
    [answer] = answers(raw, to_head=method == b"HEAD")
    assert answer.all(b"content-length") == [b"37"]
    assert len(answer.body) == (0 if method == b"HEAD" else 37)


@pytest.mark.parametrize("data", [POST + b"Content-Length: 5\r\n\r\nhell", POST[:-1], POST[:20],
                                  POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
                                  POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello"])
def test_an_incomplete_request_does_not_reach_the_application(data):
    """RFC 9112 section 8."""
    raw, transport, application = converse([data])
    assert (raw, application.bodies) == (b"", [])
    assert is_open(transport)
