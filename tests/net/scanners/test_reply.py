"""An answer whose head is here: held until somebody takes it, ended, failed, or at a standstill."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsdgateway.http.responses import Head
from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.reply import MAX_COLLECTED, Response
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import BadDevice, Unavailable
from wsdgateway.scan.operations import RETRIEVE_IMAGE

SILENCE = 5.0


class Connection:
    """A connection that notes what is done to it."""

    def __init__(self):
        self.done = []

    def abort(self):
        self.done.append("abort")

    def read_large(self):
        self.done.append("read large")

    def pause(self):
        self.done.append("pause")

    def resume(self):
        self.done.append("resume")


class Answer:
    """A response, with its clock and connection; `taken` are the pieces, `ended` what came of it."""

    def __init__(self):
        self.clock, self.connection, self.taken, self.ended, self.pending = Clock(), Connection(), [], [], 0
        self.request = ScannerRequest(address_of("http://198.51.100.20/scan"), RETRIEVE_IMAGE, b"<x/>", [])
        head = Head(200, b"OK", [], None, True, True)
        self.response = Response(self.request, head, self.connection, self.clock, SILENCE)

    def collect(self):
        Deferred.fromCoroutine(self.response.collect()).addBoth(self.ended.append)

    def relay(self):
        Deferred.fromCoroutine(self.response.relay(self.taken.append, lambda: self.pending)).addBoth(self.ended.append)


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_body_is_collected_whenever_it_comes(before):
    answer = Answer()
    pieces = [b"a", b"b", b"c"]
    for piece in pieces[:before]:
        answer.response.data(piece)
    answer.collect()
    for piece in pieces[before:]:
        answer.response.data(piece)
    assert answer.ended == []
    answer.response.end()
    assert answer.ended == [b"abc"]


def test_one_that_has_ended_before_it_is_taken_is_whole():
    answer = Answer()
    answer.response.data(b"a")
    answer.response.end()
    answer.response.fail(Unavailable("x", "too late"))
    answer.collect()
    assert answer.ended == [b"a"]


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_failure_is_told_once(is_taken):
    answer = Answer()
    if is_taken:
        answer.collect()
    answer.response.fail(BadDevice("x", "first"))
    answer.response.fail(BadDevice("x", "second"))
    answer.response.data(b"more")
    if not is_taken:
        answer.collect()
    [failure] = answer.ended
    assert "first" in str(failure.value)


def test_too_much_is_not_collected():
    answer = Answer()
    answer.collect()
    answer.response.data(b"x" * MAX_COLLECTED)
    answer.response.data(b"x")
    assert answer.ended[0].check(BadDevice) and answer.connection.done == ["abort"]


def test_a_relay_in_which_nothing_comes_ends():
    answer = Answer()
    answer.relay()
    answer.clock.advance(SILENCE - 1)
    answer.response.data(b"a")
    answer.clock.advance(SILENCE - 1)
    assert answer.ended == [] and answer.taken == [b"a"]
    answer.clock.advance(1)
    assert "no data from the scanner" in str(answer.ended[0].value)
    assert answer.connection.done == ["read large", "abort"] and not answer.request.abandoned


def test_a_client_that_takes_slowly_is_waited_for_and_one_that_takes_nothing_is_not():
    answer = Answer()
    answer.relay()
    answer.pending = 100
    answer.response.pauseProducing()
    answer.clock.advance(SILENCE)
    answer.pending = 50
    answer.clock.advance(SILENCE)
    assert answer.ended == []
    answer.clock.advance(SILENCE)
    assert "the client accepted no data" in str(answer.ended[0].value) and answer.request.abandoned
    assert answer.connection.done == ["read large", "pause", "abort"]
    assert answer.clock.getDelayedCalls() == []


def test_a_relay_that_ends_waits_for_nothing():
    answer = Answer()
    answer.relay()
    answer.response.end()
    answer.response.stopProducing()
    answer.response.resumeProducing()
    assert answer.ended == [None] and answer.clock.getDelayedCalls() == []
    assert answer.connection.done == ["read large"]


def test_a_client_that_leaves_ends_the_answer():
    answer = Answer()
    answer.relay()
    answer.response.stopProducing()
    assert "the client disconnected" in str(answer.ended[0].value) and answer.request.abandoned
