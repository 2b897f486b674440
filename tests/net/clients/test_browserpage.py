"""Tests of net.clients.browserpage: what a browser gets at clients' addresses, through the router."""

import pytest

from tests.httpserver import MemoryServer, answers
from wsdgateway.bridge.access.permission import Permission, Rule
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.frontends.directed import DirectedFrontEnd
from wsdgateway.bridge.frontends.soaphttp import POST_ONLY
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.http.messages import first
from wsdgateway.net.clients.browserpage import BrowserPage
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router

HTML = b"text/html,application/xhtml+xml,*/*;q=0.8"
ADMIN = "http://127.0.0.1:8357/"
PATHS = (b"/", b"/front-desk", b"/front-desk/scan")


class Scanner:
    def __init__(self, name):
        self.name = name

    @property
    def resources(self):
        return {b"": self._resource(Endpoint.DEVICE), b"scan": self._resource(Endpoint.SCAN)}

    def _resource(self, endpoint):
        front_end = WSScan(endpoint, lambda: "urn:1")
        return Resource(lambda exchange, rest: front_end.read(exchange.request, rest, exchange.client))


class Accounts:
    def now(self):
        return 0.0

    def unread(self, exchange):
        """Counts nothing."""


class Site:
    """A gateway's addresses with two scanners, without connections to them."""

    def __init__(self, *rules, admin=ADMIN):
        scanners = [Scanner("front-desk"), Scanner("vault")]
        page = BrowserPage(lambda: scanners, Permission(rules), lambda: admin, None)
        self.router = Router(Accounts(), Quotas(requests=1e6, connections=10, jobs=1, unlimited=()), guide=page.answer)
        front_end = DirectedFrontEnd(lambda: "urn:1")
        self.router.mount(b"/", Resource(lambda exchange, rest: front_end.read(exchange.request, rest, "")))
        for scanner in scanners:
            self.router.add(scanner)

    def ask(self, path, accept=HTML, method=b"GET", client="127.0.0.1"):
        protocol, transport = MemoryServer(self.router.respond).connect()
        protocol.client = client
        protocol.dataReceived(b"%s %s HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nContent-Length: 0\r\n\r\n" % (
            method, path, accept))
        [answer] = answers(transport.value(), to_head=method == b"HEAD")
        return answer


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_gets_a_page_with_the_same_status(path):
    answer = Site().ask(path)
    assert (answer.status, answer.all(b"allow")) == (405, [b"POST"])
    assert answer.all(b"content-type") == [b"text/html; charset=utf-8"]
    assert b"/front-desk/scan, WSD" in answer.body and (b"/vault/scan, WSD" in answer.body) == (path == b"/")
    head = Site().ask(path, method=b"HEAD")
    assert (head.status, head.body) == (405, b"") and head.all(b"content-length") == [b"%d" % len(answer.body)]


@pytest.mark.parametrize(("accept", "method"), [
    (b"*/*", b"GET"), (b"", b"GET"), (b"text/html;q=0", b"GET"), (b"application/json", b"GET"), (HTML, b"PUT"),
    (HTML, b"DELETE"), (HTML, b"OPTIONS")])
@pytest.mark.parametrize("path", PATHS)
def test_others_get_a_line_of_text(path, accept, method):
    answer = Site().ask(path, accept, method)
    assert (answer.status, answer.body) == (405, POST_ONLY.body)
    assert answer.all(b"content-type") == [first(POST_ONLY.headers, b"content-type")]


def test_an_unknown_address_remains_unknown():
    for path in (b"/nothing", b"/front-desk/nothing", b"/front-desk/"):
        assert Site().ask(path).status == 404


@pytest.mark.parametrize(("client", "named"), [
    ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.77", False),
    ("::ffff:192.0.2.77", False), ("fe80::1%eth0", False), ("", False)])
def test_only_clients_on_this_host_are_told_of_the_admin_site(client, named):
    for path in PATHS:
        assert (ADMIN.encode() in Site().ask(path, client=client).body) is named
        assert b"admin" not in Site(admin=None).ask(path, client=client).body


def test_a_client_sees_only_the_scanners_that_it_may_find():
    site = Site(Rule(scanners=("vault",), deny=True))
    assert b"vault" not in site.ask(b"/").body and b"front-desk" in site.ask(b"/").body
    answer = site.ask(b"/vault")
    assert answer.status == 405 and b"No scanner is available at this address" in answer.body
    assert b"No scanner is available" in Site().ask(b"/", client="8.8.8.8").body  # outside of private networks
