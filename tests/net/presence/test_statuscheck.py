"""Tests of net.presence.statuscheck with a bridge, on a Clock."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.bridge.bridges import SOAP_TYPE, Bridge
from tests.scannerstatuses import status_answer
from wsdgateway.bridge.decisions import Reply
from wsdgateway.net.presence.statuscheck import StatusCheck


class Asked:
    """A status check whose requests wait in `requests` for `answer`."""

    def __init__(self):
        self.clock, self.bridge, self.requests, self.learnt = Clock(), Bridge().scanner, [], []
        self.check = StatusCheck(self.bridge, self.send, seconds=self.clock.seconds, new_id=lambda: "urn:uuid:own",
                                 learnt=lambda: self.learnt.append(self.bridge.reported.state))

    def send(self, url, operation, body):
        self.requests.append(Deferred())
        return self.requests[-1]

    def answer(self, state):
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
