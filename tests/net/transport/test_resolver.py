"""Tests of net.transport.resolver: name lookups, and name servers that do not answer."""

import socket
import threading

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor

from tests.peers import TIMEOUT
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.net.transport.localaddress import addresses_of, local_address
from wsdgateway.net.transport.resolver import LOOKUP_SECONDS, MAX_LOOKUPS, Resolver

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("198.51.100.20", 0)),
         (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
         (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("198.51.100.20", 0))]


class Reactor(Clock, MemoryReactor):
    """Reactor that runs calls from threads when `hand_over` is called."""

    def __init__(self):
        Clock.__init__(self)
        MemoryReactor.__init__(self)
        self.handed, self.arrived = [], threading.Condition()
        self.nameResolver = self.own_resolver = object()

    def installNameResolver(self, resolver):
        former, self.nameResolver = self.nameResolver, resolver
        return former

    def callFromThread(self, act, *arguments):
        with self.arrived:
            self.handed.append((act, arguments))
            self.arrived.notify()

    def hand_over(self, count=1):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.handed) >= count, TIMEOUT)
            handed, self.handed = self.handed, []
        for act, arguments in handed:
            act(*arguments)


@pytest.fixture
def server(monkeypatch):
    """Name server: names that begin with "hanging" wait until `answer` is set; `asked` holds the names looked up."""
    class Server:
        def __init__(self):
            self.asked, self.answer = [], threading.Event()

        def getaddrinfo(self, name, port, **more):
            self.asked.append(name)
            if name.startswith("hanging"):
                self.answer.wait(TIMEOUT)
            if name == "nobody":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return FOUND

    made = Server()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.answer.set()


@pytest.fixture
def reactor(server):
    made = Reactor()
    Resolver(made).start()
    yield made
    made.nameResolver.stop()
    server.answer.set()
    assert not made.getDelayedCalls()


def look_up(reactor, name):
    found = []
    ensureDeferred(addresses_of(reactor, name)).addCallback(found.append)
    return found


def test_a_lookup_returns_each_address_once_in_order(reactor):
    found = look_up(reactor, "scanner")
    reactor.hand_over()
    assert found == [["198.51.100.20", "2001:db8::1"]]


def test_an_unknown_name_has_no_addresses(reactor):
    found = look_up(reactor, "nobody")
    reactor.hand_over()
    assert found == [[]]


def test_lookups_of_the_same_name_share_one_answer(reactor, server):
    found = [look_up(reactor, "hanging") for _ in range(50)]
    server.answer.set()
    reactor.hand_over()
    assert all(addresses == [["198.51.100.20", "2001:db8::1"]] for addresses in found)
    assert server.asked == ["hanging"]


def test_a_lookup_times_out_and_a_hanging_name_has_one_thread(reactor, server):
    first = look_up(reactor, "hanging")
    reactor.advance(LOOKUP_SECONDS)
    assert first == [[]]
    later, other = look_up(reactor, "hanging"), look_up(reactor, "scanner")
    reactor.hand_over()
    assert other and not later and sorted(server.asked) == ["hanging", "scanner"]
    server.answer.set()
    reactor.hand_over()
    assert later == [["198.51.100.20", "2001:db8::1"]]


def test_the_number_of_threads_is_bounded(reactor, server):
    for number in range(MAX_LOOKUPS):
        look_up(reactor, f"hanging-{number}")
    assert look_up(reactor, "one-more") == [[]]
    server.answer.set()
    reactor.hand_over(MAX_LOOKUPS)
    found = look_up(reactor, "one-more")
    reactor.hand_over()
    assert found == [["198.51.100.20", "2001:db8::1"]]


def test_a_lookup_without_a_thread_finds_nothing(reactor, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert look_up(reactor, "scanner") == [[]]


def test_a_stop_does_not_wait_for_lookups(server):
    reactor = Reactor()
    names = Resolver(reactor)
    names.start()
    found = look_up(reactor, "hanging")
    names.stop()
    assert found == [[]] and reactor.nameResolver is reactor.own_resolver and not reactor.getDelayedCalls()


def test_the_local_address_for_an_unknown_name_is_an_error(reactor):
    failures = []
    ensureDeferred(local_address(reactor, "nobody", 80)).addErrback(failures.append)
    reactor.hand_over()
    assert failures[0].check(Unavailable) and "its name cannot be resolved (nobody)" in str(failures[0].value)


@pytest_twisted.ensureDeferred
async def test_the_reactors_own_threads_are_not_used(server, monkeypatch):
    """Ten hanging names, as many as the reactor has threads, delay no other work in threads."""
    from twisted.internet import reactor
    from twisted.internet.threads import deferToThread

    names = Resolver(reactor)
    names.start()
    try:
        hanging = [ensureDeferred(addresses_of(reactor, f"hanging-{number}")) for number in range(10)]
        assert await deferToThread(lambda: 5) == 5
        assert await addresses_of(reactor, "scanner") == ["198.51.100.20", "2001:db8::1"]
        assert all(isinstance(one, Deferred) and not one.called for one in hanging)
    finally:
        names.stop()
    for one in hanging:
        assert await one == []
