"""HTTP/1.1 at the HTTP server: each case of RFC 9110 and 9112 with what must come of it.

A case goes in whole, byte by byte, and with a valid request behind it, which is answered if and only if the connection
goes on. Whatever comes back must be HTTP itself. Where the specification would rather have another answer than the 400
that is given (501 for a method that nobody knows, HTTP/1.2 taken as 1.1), what can't be read by llhttp is not trusted.
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
    """A scanner that answers with what it was sent, and the accounts of those that never came to it."""

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
        """Nothing is counted here."""

    unread = client

    def now(self):
        return 0.0


def converse(pieces):
    """Everything that came back, the connection's transport, and the application."""
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
    """The outcome of a case, and that each answer is one that RFC 9110 and 9112 allow."""
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
def test_a_case_has_its_outcome_however_it_comes(case):
    check(case, [case.data], followed=False)
    check(case, in_bytes(case.data), followed=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_follows_a_case_is_answered_if_the_connection_goes_on_and_else_is_no_request(case):
    if not case.data.startswith(b"HEAD"):  # its answers can't be told from the next without knowing what was asked
        check(case, [case.data, NEXT], followed=True)
        check(case, in_bytes(case.data + NEXT), followed=True)
    raw, _, application = converse([case.data + NEXT])
    assert application.bodies == [*case.reached, *([b"next"] if case.goes_on else [])]
    assert raw.endswith(b"next") is case.goes_on


def test_the_list_is_long_and_names_each_case_once():
    assert len(CASES) >= 120
    assert len({str(case) for case in CASES}) == len(CASES)
    assert all(case.clause.startswith(("RFC 9110 ", "RFC 9112 ", "RFC 6585 ")) for case in CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.goes_on and case.statuses in ((200,), (404,), (405,))],
                         ids=str)
def test_a_capture_has_each_request_as_it_came(case):
    """Who reads requests and who records them must not differ on where one ends. RFC 9112 section 11.2."""
    splitter = Splitter()
    splitter.feed(case.data + NEXT)
    assert (splitter.take(), splitter.take()) == (case.data, NEXT)


@pytest.mark.parametrize(("target", "field", "host"), [
    (b"/front-desk/scan", b"a:1", b"a:1"), (b"http://b:2/front-desk/scan", b"a:1", b"b:2"),
    (b"http://b/front-desk/scan?x", b"", b"b"), (b"HTTPS://[::1]:2/front-desk/scan", b"a", b"[::1]:2")])
def test_an_absolute_target_says_whom_the_client_meant(target, field, host):
    """RFC 9112 section 3.2.2: the Host field is ignored then."""
    request = POST.replace(b"/front-desk/scan", target).replace(b"Host: gateway", b"Host: " + field) + b"\r\n"
    _, _, application = converse([request])
    assert application.hosts == [host]


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_the_answer_to_head_is_that_to_get_without_its_body(method):
    """RFC 9110 section 9.3.2."""
    raw, _, _ = converse([method + b" /none HTTP/1.1\r\nHost: gateway\r\n\r\n"])
    [answer] = answers(raw, to_head=method == b"HEAD")
    assert answer.all(b"content-length") == [b"37"]
    assert len(answer.body) == (0 if method == b"HEAD" else 37)


@pytest.mark.parametrize("data", [POST + b"Content-Length: 5\r\n\r\nhell", POST[:-1], POST[:20],
                                  POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
                                  POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello"])
def test_a_request_that_is_not_whole_never_reaches_the_application(data):
    """RFC 9112 section 8."""
    raw, transport, application = converse([data])
    assert (raw, application.bodies) == (b"", [])
    assert is_open(transport)
