"""Tests of net.clients.relay: what the client has received after each step, and the answer if an image is refused."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsdgateway.http.responses import Head
from wsdgateway.http.urls import address_of
from wsdgateway.net.clients.relay import HOLD_SECONDS, MAX_HELD, relay
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.replywatch import DOCUMENT_TYPE
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import BadDevice, Unavailable
from wsdgateway.scan.operations import RETRIEVE_IMAGE

MULTIPART = b"multipart/related; boundary=b"
PART = b"--b\r\nContent-Type: application/xop+xml\r\n\r\n"
IMAGE = b"\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n"
LAST = b"\r\n--b--\r\n"
EVIL = b"<!DOCTYPE a []>" + b" " * 80
ROOT = b"<a>" + b" " * 80  # more than the start of a delimiter can be


class Connection:
    def abort(self):
        pass

    read_large = pause = resume = abort


class Exchange:
    """Client side of a relayed answer: `got` is None before the head, then the body so far."""

    def __init__(self):
        self.gone, self.got, self.aborted, self.finished = False, None, False, False

    def stream(self, status, reason, headers, length):
        assert self.got is None
        self.got = b""

    def write(self, data):
        self.got += data

    def pending(self):
        return 0

    def abort(self):
        self.aborted = True

    def finish(self, length):
        self.finished = True


class Relaying:
    def __init__(self):
        self.clock, self.exchange, self.ended = Clock(), Exchange(), []
        request = ScannerRequest(address_of("http://198.51.100.20/scan"), RETRIEVE_IMAGE, b"<x/>", [])
        head = Head(200, b"OK", [(b"Content-Type", MULTIPART)], None, True, True)
        self.response = Response(request, head, Connection(), self.clock, 60.0)
        Deferred.fromCoroutine(relay(self.response, self.exchange, lambda size: None)).addBoth(self.ended.append)

    def later(self):
        self.clock.advance(HOLD_SECONDS)

    def end(self):
        self.response.end()

    def fail(self):
        self.response.fail(Unavailable("x", "no data from the scanner"))


LATER, END, FAIL = Relaying.later, Relaying.end, Relaying.fail
NOTHING = None
PREAMBLE = b"x" * MAX_HELD


@pytest.mark.parametrize(("steps", "problem", "begun"), [
    # held, flowing
    ([(PART, NOTHING), (ROOT, PART + ROOT), (b"</a>", PART + ROOT + b"</a>"), (IMAGE, PART + ROOT + b"</a>" + IMAGE),
      (LAST, PART + ROOT + b"</a>" + IMAGE + LAST), (END, PART + ROOT + b"</a>" + IMAGE + LAST)], None, True),
    ([(PREAMBLE, NOTHING), (b"y", PREAMBLE + b"y"), (LATER, PREAMBLE + b"y")], None, True),
    ([(END, b"")], "without a closing delimiter", True),
    ([(FAIL, b"")], "no data from the scanner", True),
    # held, begun, flowing
    ([(LATER, b""), (PART, b""), (ROOT, PART + ROOT), (b"</a>" + LAST, PART + ROOT + b"</a>" + LAST),
      (END, PART + ROOT + b"</a>" + LAST)], None, True),
    ([(PART, NOTHING), (LATER, b""), (END, PART)], "without a closing delimiter", True),
    ([(PART, NOTHING), (LATER, b""), (FAIL, PART)], "no data from the scanner", True),
    # replaced
    ([(PART, NOTHING), (EVIL, NOTHING), (b"<a/>", NOTHING), (LATER, NOTHING)], DOCUMENT_TYPE, False),
    # broken, from begun and from flowing
    ([(LATER, b""), (PART, b""), (EVIL, b""), (b"<a/>", b"")], DOCUMENT_TYPE, True),
    ([(PART + ROOT, PART + ROOT), (IMAGE + EVIL, PART + ROOT), (b"x", PART + ROOT)], DOCUMENT_TYPE, True),
])
def test_the_bytes_at_the_client_after_each_step(steps, problem, begun):
    relaying = Relaying()
    for step, got in steps:
        if isinstance(step, bytes):
            relaying.response.data(step)
        else:
            step(relaying)
        assert relaying.exchange.got == got
    exchange = relaying.exchange
    if steps[-1][0] is LATER and problem is None:
        assert not relaying.ended
        relaying.end()
    [relayed] = relaying.ended
    assert relayed.begun is begun
    assert (problem or "") in str(relayed.broken)
    assert exchange.finished is (steps[-1][0] in (END, LATER) and begun)
    assert exchange.aborted is (begun and not exchange.finished)
    assert not relaying.clock.getDelayedCalls()


def test_a_disconnected_client_receives_nothing():
    request = ScannerRequest(address_of("http://198.51.100.20/scan"), RETRIEVE_IMAGE, b"<x/>", [])
    response = Response(request, Head(200, b"OK", [], None, True, True), Connection(), Clock(), 60.0)
    exchange = Exchange()
    exchange.gone = True
    ended = []
    Deferred.fromCoroutine(relay(response, exchange, lambda size: None)).addBoth(ended.append)
    assert isinstance(ended[0].broken, Unavailable) and not isinstance(ended[0].broken, BadDevice)
    assert exchange.got is None and request.abandoned
