"""Tests of net.presence.statuscheck with a bridge, on a Clock."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.bridge.bridges import SOAP_TYPE, Bridge
from tests.scannerstatuses import status_answer
from wsdgateway.bridge.decisions import Reply
from wsdgateway.net.presence.statuscheck import GIVEN_UP_SECONDS, StatusCheck
from wsdgateway.net.transport.errors import Unavailable


class Asked:
    """A status check whose requests wait in `requests` for `answer`."""

    def __init__(self):
        self.clock, self.bridge, self.requests, self.learnt = Clock(), Bridge().scanner, [], []
        self.check = StatusCheck(self.bridge, self.send, seconds=self.clock.seconds, new_id=lambda: "urn:uuid:own",
                                 learnt=lambda: self.learnt.append(self.bridge.reported.state),
                                 received=lambda: self.received, give_up=self.give_up, is_busy=lambda: self.busy)
        self.received, self.busy, self.given_up = 0.0, False, []

    def give_up(self, silent_since):
        self.given_up.append(silent_since)
        self.requests.pop(0).errback(Unavailable("198.51.100.20", "it does not answer"))

    def send(self, url, operation, body):
        self.requests.append(Deferred())
        return self.requests[-1]

    def answer(self, state):
        self.received = self.clock.seconds()
        self.requests.pop(0).callback(Reply(200, SOAP_TYPE, status_answer(state)))


@pytest.fixture
def asked():
    return Asked()


def test_what_is_confirmed_joins_a_question_that_is_new_enough(asked):
    first, second = asked.check.confirm(5.0), asked.check.confirm(5.0)
    assert (len(asked.requests), first.called, second.called) == (1, False, False)
    asked.answer("Idle")
    assert (first.called, second.called, asked.learnt) == (True, True, ["Idle"])
    asked.clock.advance(4.9)
    assert asked.check.confirm(5.0).called
    assert asked.requests == []
    asked.clock.advance(0.1)
    asked.check.confirm(5.0)
    assert len(asked.requests) == 1


def test_what_is_asked_anew_does_not_join_an_older_question(asked):
    old, new, newer = asked.check.confirm(5.0), asked.check.confirm(0.0), asked.check.confirm(0.0)
    assert len(asked.requests) == 1
    asked.clock.advance(1.0)
    asked.answer("Processing")
    assert (old.called, new.called, newer.called, len(asked.requests)) == (True, False, False, 1)
    asked.clock.advance(1.0)
    asked.answer("Stopped")
    assert (new.called, newer.called, asked.requests, asked.learnt) == (True, True, [], ["Processing", "Stopped"])


def test_nothing_is_asked_while_the_scan_service_is_not_known(asked):
    asked.check.ask()
    waiting = asked.check.confirm(0.0)
    asked.bridge.device = None
    asked.answer("Idle")
    assert (waiting.called, asked.requests) == (True, [])
    assert asked.check.confirm(0.0).called


def confirm_after(asked, seconds):
    """Let a client ask every second for so long."""
    for _ in range(round(seconds)):
        asked.clock.advance(1.0)
        asked.check.confirm(5.0)


def test_an_overdue_question_is_asked_again_and_the_silence_goes_on(asked):
    asked.check.confirm(5.0)
    asked.answer("Idle")
    confirm_after(asked, 5)
    silent_since = asked.clock.seconds()
    confirm_after(asked, GIVEN_UP_SECONDS - 1)
    assert (asked.given_up, len(asked.requests)) == ([], 1)
    confirm_after(asked, 1 + GIVEN_UP_SECONDS)
    assert (asked.given_up, len(asked.requests)) == ([silent_since, silent_since], 1)
    assert asked.check.waiting_since == silent_since
    asked.answer("Idle")
    assert asked.check.waiting_since is None
    confirm_after(asked, 6)
    assert asked.check.waiting_since > silent_since
    asked.answer("Idle")


def test_a_scanner_that_always_took_long_is_given_more_time(asked):
    asked.check.confirm(5.0)
    confirm_after(asked, 20)  # before its first answer it is not known how fast it is
    asked.answer("Idle")
    confirm_after(asked, 1)
    confirm_after(asked, 39)
    assert (asked.given_up, len(asked.requests)) == ([], 1)
    confirm_after(asked, 1)
    assert (asked.given_up, len(asked.requests)) == ([21.0], 1)


@pytest.mark.parametrize("sign", ["busy", "received"])
def test_a_scanner_with_a_job_or_with_other_answers_is_not_asked_again(asked, sign):
    asked.check.confirm(5.0)
    asked.answer("Idle")
    confirm_after(asked, 5)
    asked.busy = sign == "busy"
    asked.received = asked.clock.seconds() + (sign == "received")
    confirm_after(asked, 30)
    assert (asked.given_up, len(asked.requests)) == ([], 1)


def test_a_failure_of_another_kind_begins_no_silence(asked):
    asked.check.confirm(5.0)
    asked.requests.pop(0).errback(Unavailable("198.51.100.20", "connection refused"))
    asked.clock.advance(100.0)
    asked.check.confirm(5.0)
    assert asked.check.waiting_since == 100.0
