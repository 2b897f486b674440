"""Tests of net.clients.proxy: a CreateScanJob that is repeated at another gateway creates no second job."""

import itertools

from twisted.internet.defer import Deferred, succeed

from tests.httpserver import MemoryServer, answers
from tests.messages import create_scan_job, created_job
from tests.net.events.sharedevents import SharedEvents
from tests.options import scanner_options
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas, no_quotas
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.responses import Head
from wsdgateway.metrics import Metrics
from wsdgateway.net.clients.authorization import Authorization
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.clients.proxy import Proxy
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.scanners.jobintents import JobIntents
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import Unavailable


class Scanner:
    """A scanner that counts the jobs that it creates, and answers when the test says so."""

    def __init__(self):
        self.created, self.waiting = 0, []

    def request(self, request):
        self.created += 1
        request.times_sent += 1
        request.on_sent()
        self.waiting.append((Deferred(), request, created_job(str(self.created))))
        return self.waiting[-1][0]

    def also_for(self, request, client):
        pass

    def answer(self):
        done, request, body = self.waiting.pop(0)
        head = Head(200, b"OK", [(b"Content-Type", b"application/soap+xml")], len(body), True, True)
        response = Response(request, head, None, None, 1.0)
        response.data(body)
        response.end()
        done.callback(response)

    def break_off(self):
        error = Unavailable("192.0.2.1", "it closed the connection")
        error.sent = True
        self.waiting.pop(0)[0].errback(error)


class Owner:
    """A gateway that owns the scanner by that token."""

    name = "front-desk"

    def __init__(self, scanner, shared, token):
        shared.token = token
        ids = itertools.count()
        self.bridge = ScannerBridge(scanner_options(self.name), new_id=lambda: f"urn:uuid:own-{next(ids)}")
        self.bridge.device = "http://192.0.2.1/scan"
        self.log = ExchangeLog()

        def seconds():
            return 1.0

        accounting = Accounting(self.name, Metrics(), self.log, seconds=seconds, wall=seconds)
        forwarder = Forwarder(self.bridge, scanner, Metrics(), seconds=seconds, after_learning=lambda: None,
                              on_trouble=lambda: None)
        quotas = Quotas(requests=1e6, connections=1000, jobs=1, unlimited=())
        self.resources = {b"scan": Resource(Proxy(
            WSScan(Endpoint.SCAN, lambda: "urn:uuid:1"), self.bridge, forwarder, None, None, None, Metrics(),
            accounting, Authorization(self.name, Permission(), accounting),
            RepeatedRequests(Permission(), quotas, Metrics(), self.log, seconds=seconds), seconds=seconds,
            written=lambda: succeed(None),
            intents=JobIntents(self.name, shared, token=lambda: token, seconds=seconds,
                               most_jobs=lambda: quotas.most_jobs)).serve)}
        router = Router(Accounting(None, Metrics(), self.log, seconds=seconds, wall=seconds), no_quotas())
        router.add(self)
        self.server = MemoryServer(router.respond)

    def create(self, message_id="urn:uuid:1"):
        """Sends a CreateScanJob, and returns the function that returns the client's answers."""
        protocol, transport = self.server.connect()
        body = create_scan_job(message_id)
        protocol.dataReceived(b"POST /front-desk/scan HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n"
                              b"Content-Type: application/soap+xml\r\n\r\n%b" % (len(body), body))
        return lambda: answers(transport.value()) if transport.value() else []


def body(got):
    [answer] = got()
    return answer.body


def test_the_intent_is_written_before_the_request_is_sent():
    scanner, shared = Scanner(), SharedEvents()
    shared.mode = "waits"
    got = Owner(scanner, shared, 1).create()
    assert (scanner.created, shared.intents) == (0, {})
    shared.answer()
    assert (scanner.created, len(shared.intents)) == (1, 1)
    scanner.answer()
    assert got() == []  # the client waits until the reply is written
    shared.answer()
    assert created_job("1") in body(got)


def test_a_request_that_was_in_flight_when_its_gateway_failed_is_refused_for_a_time():
    scanner, shared = Scanner(), SharedEvents()
    Owner(scanner, shared, 1).create()
    second = Owner(scanner, shared, 2)
    got = second.create()
    assert scanner.created == 1
    assert b"ServerErrorTemporaryError" in body(got)
    assert b"may be running; start it again in a minute" in body(got)
    assert b"ServerErrorTemporaryError" in body(second.create())
    second.create("urn:uuid:2")
    assert scanner.created == 2  # another request of the same client
    shared.intents.clear()  # a minute later
    second.create()
    assert scanner.created == 3


def test_a_reply_that_was_written_is_given_again():
    scanner, shared = Scanner(), SharedEvents()
    Owner(scanner, shared, 1).create()
    scanner.answer()
    second = Owner(scanner, shared, 2)
    assert created_job("1") in body(second.create())
    assert created_job("1") in body(second.create())
    assert scanner.created == 1
    assert not second.bridge.suspects_reboot


def test_repetitions_that_wait_for_each_other_get_the_reply_of_an_earlier_owner():
    scanner, shared = Scanner(), SharedEvents()
    Owner(scanner, shared, 1).create()
    scanner.answer()
    second = Owner(scanner, shared, 2)
    shared.mode = "waits"
    first, other = second.create(), second.create()
    shared.answer()
    assert created_job("1") in body(first)
    assert created_job("1") in body(other)
    assert scanner.created == 1


def test_a_request_that_broke_off_may_be_sent_again_by_the_same_gateway_only():
    scanner, shared = Scanner(), SharedEvents()
    owner = Owner(scanner, shared, 1)
    owner.create()
    scanner.break_off()
    owner.create()
    assert scanner.created == 2
    scanner.break_off()
    assert b"ServerErrorTemporaryError" in body(Owner(scanner, shared, 2).create())
    assert scanner.created == 2


def test_without_the_shared_server_the_job_is_created():
    scanner, shared = Scanner(), SharedEvents()
    shared.mode = "fails"
    got = Owner(scanner, shared, 1).create()
    scanner.answer()
    assert created_job("1") in body(got)
