"""Tests of net.scanners.request: the state of a request to a device after each step."""

import pytest
from twisted.internet import error as neterror
from twisted.python.failure import Failure

from tests.net.scanners.manualdevice import ManualDevice
from wsdgateway.net.scanners.request import ABANDONED, ANSWERED, CONNECTING, FAILED, SENT, WAITING
from wsdgateway.net.transport.errors import Busy, Unavailable
from wsdgateway.scan.operations import CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS

TIMEOUT = 5.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Life:
    """Request to a device that may be serving another one; each step is a method without arguments."""

    def __init__(self, *, beside=False, operation=CREATE_SCAN_JOB, max_connections=1):
        self.device = ManualDevice(timeout=TIMEOUT, max_connections=max_connections)
        if beside:
            self.device.ask("other", "b")
            self.device.connect()
        self.request = self.device.ask("this", operation=operation)
        self.responses = []
        self.request.answered.addCallback(self.responses.append)

    def connect(self):
        self.device.connect()

    def refuse(self):
        self.device.refuse()

    def other_is_answered(self):
        self.device.answer()

    def head(self):
        self.device.busy[-1].dataReceived(HEAD)

    def body(self):
        self.device.busy[-1].dataReceived(b"12345")

    def broken(self):
        self.device.busy.pop().connectionLost(Failure(neterror.ConnectionDone()))

    def time_is_over(self):
        self.device.reactor.advance(TIMEOUT)

    def abandon(self):
        self.device.client.abandon(self.request)

    def client_takes_no_more(self):
        self.responses[0].stopProducing()

    def stop(self):
        self.device.client.stop()


ONCE = {"operation": CREATE_SCAN_JOB}
REPEATABLE = {"operation": GET_SCANNER_ELEMENTS}
BESIDE = {"beside": True}
TWO = {"beside": True, "max_connections": 2}


@pytest.mark.parametrize(("setting", "first", "steps"), [
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.head, ANSWERED), (Life.body, ANSWERED)]),
    (BESIDE, WAITING, [(Life.other_is_answered, CONNECTING), (Life.connect, SENT), (Life.head, ANSWERED)]),
    (TWO, CONNECTING, [(Life.refuse, WAITING), (Life.other_is_answered, CONNECTING), (Life.connect, SENT)]),
    (ONCE, CONNECTING, [(Life.refuse, FAILED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.broken, FAILED)]),
    (REPEATABLE, CONNECTING, [(Life.connect, SENT), (Life.broken, CONNECTING), (Life.connect, SENT),
                              (Life.broken, FAILED)]),
    (REPEATABLE | TWO, CONNECTING, [(Life.connect, SENT), (Life.broken, WAITING), (Life.other_is_answered, CONNECTING),
                                    (Life.connect, SENT)]),
    (BESIDE, WAITING, [(Life.time_is_over, FAILED)]),
    (ONCE, CONNECTING, [(Life.time_is_over, FAILED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.time_is_over, FAILED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.head, ANSWERED), (Life.time_is_over, FAILED)]),
    (BESIDE, WAITING, [(Life.stop, FAILED)]),
    (ONCE, CONNECTING, [(Life.stop, FAILED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.stop, FAILED)]),
    (BESIDE, WAITING, [(Life.abandon, ABANDONED), (Life.other_is_answered, ABANDONED)]),
    (ONCE, CONNECTING, [(Life.abandon, ABANDONED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.abandon, ABANDONED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.head, ANSWERED), (Life.abandon, ABANDONED)]),
    (ONCE, CONNECTING, [(Life.connect, SENT), (Life.head, ANSWERED), (Life.client_takes_no_more, ABANDONED)]),
], ids=lambda value: None if isinstance(value, dict) else getattr(value, "value", None) or " ".join(
    step.__name__ for step, _ in value))
def test_the_states_of_a_request(setting, first, steps):
    life = Life(**setting)
    assert life.request.state is first
    was_sent = False
    for step, state in steps:
        step(life)
        was_sent = was_sent or state is SENT
        assert (life.request.state, life.request.sent, life.request.abandoned) == (state, was_sent, state is ABANDONED)


@pytest.mark.parametrize(("setting", "steps", "error", "why"), [
    (BESIDE, [Life.time_is_over], Busy, "waited 5 s"),
    (ONCE, [Life.connect, Life.time_is_over], Unavailable, "no complete answer within 5 s"),
    (BESIDE, [Life.stop], Unavailable, "the gateway is stopping"),
    (ONCE, [Life.connect, Life.stop], Unavailable, "the gateway is stopping"),
    (REPEATABLE, [Life.connect, Life.stop], Unavailable, "the gateway is stopping"),
    (ONCE, [Life.connect, Life.abandon], Unavailable, "the client disconnected"),
    (BESIDE, [Life.abandon], Unavailable, "the client disconnected"),
])
def test_the_error_of_a_request_that_ends_without_an_answer(setting, steps, error, why):
    life = Life(**setting)
    for step in steps:
        step(life)
    [problem] = [problem for name, problem in life.device.failed if name == "this"]
    assert type(problem) is error and why in str(problem)


def test_cancelling_the_answer_does_not_end_the_request():
    life = Life(beside=True)
    life.request.answered.addErrback(lambda failure: None)
    life.request.answered.cancel()
    assert life.request.state is WAITING
    life.other_is_answered()
    assert life.request.state is CONNECTING
