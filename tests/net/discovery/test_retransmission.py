"""Tests of net.discovery.retransmission: answers waiting for their random delay and their repetition."""

from twisted.internet.task import Clock

from wsdgateway.net.discovery.retransmission import Retransmission


def test_the_number_of_pending_answers_is_bounded(monkeypatch):
    monkeypatch.setattr("wsdgateway.net.discovery.retransmission.MAX_PENDING", 100)
    clock = Clock()
    waiting = Retransmission(clock)
    sent = []
    assert all(waiting.send(lambda: b"x", sent.append, [0.5, 0.6]) for _ in range(100))
    assert not waiting.send(lambda: b"x", sent.append, [0.5, 0.6])
    clock.pump([1, 1])
    assert len(sent) == 200
    assert waiting.send(lambda: b"x", sent.append, [0.5, 0.6])
    waiting.stop()
    assert clock.getDelayedCalls() == []
