"""Tests of storage.redis.batches: order of writes, and what waits when one fails."""

import pytest
from twisted.internet.defer import Deferred

from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.redis import batches
from wsdgateway.storage.redis.batches import Batches


class Server:
    """Records batches; `answers` are the Deferreds that end them."""

    def __init__(self):
        self.received, self.answers = [], []

    def __call__(self, commands):
        self.received.append([name for name, _ in commands])
        self.answers.append(Deferred())
        return self.answers[-1]


def outcome(written, outcomes):
    """Adds the name of a write to a list when it has ended, with the error if it has failed."""
    def add(name):
        return lambda result: outcomes.append((name, result and result.type))

    for name, one in written.items():
        one.addBoth(add(name))


def three(sender):
    outcomes = []
    outcome({name: sender.write([(name, "k")]) for name in ("a", "b", "c")}, outcomes)
    return outcomes


def test_what_comes_while_a_batch_is_under_way_is_sent_together_afterwards():
    server = Server()
    outcomes = three(Batches(server))
    assert server.received == [["a"]] and outcomes == []
    server.answers[0].callback(["answer"])
    assert server.received == [["a"], ["b", "c"]] and outcomes == [("a", None)]
    server.answers[1].callback(["answer", "answer"])
    assert outcomes == [("a", None), ("b", None), ("c", None)]


def test_a_failure_also_fails_what_waits():
    server = Server()
    sender = Batches(server)
    outcomes = three(sender)
    server.answers[0].errback(NotNow("away"))
    assert outcomes == [("a", NotNow), ("b", NotNow), ("c", NotNow)] and len(server.received) == 1
    sender.write([("d", "k")])
    assert server.received[1:] == [["d"]]


def test_nothing_that_waits_is_sent_after_the_end():
    server = Server()
    sender = Batches(server)
    outcomes = three(sender)
    sender.end(Fenced("gone"))
    assert outcomes == [("b", Fenced), ("c", Fenced)]
    server.answers[0].callback([])
    assert outcomes[2:] == [("a", None)] and len(server.received) == 1


@pytest.mark.parametrize("count", [2, 3])
def test_the_number_of_waiting_commands_is_bounded(monkeypatch, count):
    monkeypatch.setattr(batches, "MAX_WAITING", 2)
    sender, outcomes = Batches(Server()), []
    outcome({number: sender.write([("SET", "k")]) for number in range(count + 1)}, outcomes)
    assert outcomes == [(3, NotNow)][:count - 2]
