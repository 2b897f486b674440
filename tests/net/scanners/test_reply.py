"""Tests of net.scanners.reply: a response after its head, held until it is consumed, ended, failed or stalled."""

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
    """Connection that records the calls it receives."""

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
    """A response with its clock and connection; `taken` are the relayed pieces, `ended` the result."""

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
def test_a_body_is_collected_before_and_after_the_call(before):
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


def test_a_response_that_ended_before_it_is_collected_is_complete():
    answer = Answer()
    answer.response.data(b"a")
    answer.response.end()
    answer.response.fail(Unavailable("x", "too late"))
    answer.collect()
    assert answer.ended == [b"a"]


@pytest.mark.parametrize("is_taken", [False, True])
def test_only_the_first_failure_is_reported(is_taken):
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


def test_a_body_above_the_limit_is_not_collected():
    answer = Answer()
    answer.collect()
    answer.response.data(b"x" * MAX_COLLECTED)
    answer.response.data(b"x")
    assert answer.ended[0].check(BadDevice) and answer.connection.done == ["abort"]


def test_a_stalled_relay_fails():
    answer = Answer()
    answer.relay()
    answer.clock.advance(SILENCE - 1)
    answer.response.data(b"a")
    answer.clock.advance(SILENCE - 1)
    assert answer.ended == [] and answer.taken == [b"a"]
    answer.clock.advance(1)
    assert "no data from the scanner" in str(answer.ended[0].value)
    assert answer.connection.done == ["read large", "abort"] and not answer.request.abandoned


def test_a_relay_waits_for_a_slow_client_but_not_for_a_stalled_one():
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


def test_an_ended_relay_leaves_no_timer():
    answer = Answer()
    answer.relay()
    answer.response.end()
    answer.response.stopProducing()
    answer.response.resumeProducing()
    assert answer.ended == [None] and answer.clock.getDelayedCalls() == []
    assert answer.connection.done == ["read large"]


def test_a_client_that_disconnects_ends_the_response():
    answer = Answer()
    answer.relay()
    answer.response.stopProducing()
    assert "the client disconnected" in str(answer.ended[0].value) and answer.request.abandoned
