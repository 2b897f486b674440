"""Tests of net.clients.router: paths, rate limits of clients, incomplete requests. Resources are functions here."""

import pytest

from tests.httpserver import MemoryServer, answers
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.http.answers import plain
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router


class Scanner:
    """Scanner with two resources, without and with a prefix, which answer with their name and `rest`."""

    def __init__(self, name="front-desk"):
        self.name = name
        self.unread = []
        self.resources = {b"": Resource(self._resource(b"device")), b"eggs": Resource(
            self._resource(b"eggs"), is_exempt=lambda rest, client: rest == b"/free",
            unread=lambda rest, client: self.unread.append((rest, client)))}

    def _resource(self, name):
        def serve(exchange, rest):
            if exchange.request.method == b"PUT":
                return plain(418, "No tea.")
            return exchange.answer(200, b"%s %s" % (name, rest))
        return serve


class Accounts:
    """Records what is accounted for outside a scanner's own accounting."""

    def __init__(self):
        self.refused_for, self.unserved = [], []

    def now(self):
        return 0.0

    def refused(self, reason, client, operation):
        self.refused_for.append(reason)

    def unread(self, exchange):
        self.unserved.append(exchange.status)


@pytest.fixture
def accounts():
    return Accounts()


@pytest.fixture
def scanner():
    return Scanner()


@pytest.fixture
def router(accounts, scanner):
    router = Router(accounts, Quotas(requests=3.0, connections=1000, jobs=1, unlimited=()))
    router.add(scanner)
    return router


def ask(router, path, method=b"GET", client=None, body=b""):
    protocol, transport = MemoryServer(router.respond).connect()
    protocol.client = client or ""
    protocol.dataReceived(b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (method, path, len(body)) + body)
    [answer] = answers(transport.value())
    return answer


@pytest.mark.parametrize(("path", "answer"), [
    (b"/front-desk", b"device "), (b"/front-desk?a=b", b"device "), (b"/front-desk/eggs", b"eggs "),
    (b"/front-desk/eggs/", b"eggs /"), (b"/front-desk/eggs/a/b/", b"eggs /a/b/"), (b"/front-desk/", None),
    (b"/front-desk/ham", None), (b"/front-desk/eggsy", None), (b"//front-desk/eggs/x", None), (b"/", None),
    (b"/vault", None), (b"/front-desk//eggs", None), (b"/Front-desk", None)])
def test_the_path_selects_the_resource(router, accounts, path, answer):
    given = ask(router, path)
    assert (given.status, given.body) == ((200, answer) if answer else (404, b"There is no service at this address.\n"))
    assert accounts.unserved == ([] if answer else [404])


def test_the_router_accounts_for_requests_that_a_resource_refuses(router, accounts, scanner):
    assert ask(router, b"/front-desk/eggs/1", b"PUT").status == 418
    assert ask(router, b"/front-desk/eggs/2", b"PUT", "10.0.0.1", b"x").status == 418
    assert accounts.unserved == [418, 418]
    assert scanner.unread == [(b"/2", "10.0.0.1")]  # the first request has no client address


def test_a_mounted_resource_answers_only_at_its_exact_path(router):
    router.mount(b"/a/b", Resource(lambda exchange, rest: exchange.answer(200, b"mounted")))
    assert [ask(router, path).status for path in (b"/a/b", b"/a/b/c", b"/a")] == [200, 404, 404]


def test_a_client_over_its_rate_limit_gets_429(router, accounts):
    given = [ask(router, b"/front-desk", client="10.0.0.1") for _ in range(4)]
    assert [answer.status for answer in given] == [200, 200, 200, 429]
    assert (given[3].all(b"retry-after"), accounts.refused_for, accounts.unserved) == ([b"1"], ["rate"], [429])
    assert ask(router, b"/front-desk/eggs/free", client="10.0.0.1").status == 200
    assert ask(router, b"/front-desk/eggs/paid", client="10.0.0.1").status == 429
    assert ask(router, b"/front-desk", client="10.0.0.2").status == 200


def test_an_incomplete_request_is_reported_to_its_resource(router, scanner):
    for path in (b"/front-desk/eggs/1", b"/front-desk", b"/vault/eggs/1", b"", b"x/front-desk/eggs/1"):
        router.unread("10.0.0.1", path)
    assert scanner.unread == [(b"/1", "10.0.0.1")]


def test_removing_a_scanner_removes_its_resources(router, scanner):
    other = Scanner("vault")
    router.add(other)
    router.remove(scanner)
    assert [ask(router, path).status for path in (b"/front-desk", b"/front-desk/eggs/1", b"/vault/eggs/1")] == [
        404, 404, 200]
    router.add(Scanner())
    assert ask(router, b"/front-desk/eggs/1").status == 200
