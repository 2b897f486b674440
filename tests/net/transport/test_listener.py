"""Tests of net.transport.listener: ports that only root may open, and the message if they cannot be opened."""

import errno

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from wsdgateway.net.transport import listener as listeners
from wsdgateway.net.transport.listener import RETRY_SECONDS, Listener, ListenerState, is_privileged


@pytest.mark.parametrize(("endpoint", "privileged"), [
    ("tcp:80", True), ("tcp:port=443:interface=192.0.2.5", True), ("tcp6:1023", True), ("haproxy:tcp:80", True),
    ("ssl:443:privateKey=key.pem", True), ("tcp:1024", False), ("tcp:5357:interface=192.0.2.5", False),
    ("tcp:0", False), ("unix:/run/tcp/80", False), ("systemd:domain=INET:index=0", False)])
def test_which_ports_are_privileged(endpoint, privileged):
    assert is_privileged(endpoint) is privileged


class Port:
    """Port of a reactor that receives no connections."""

    reading = True
    stopped = False

    def __init__(self, number):
        self.number = number

    def getHost(self):
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopReading(self):
        self.reading = False

    def startReading(self):
        self.reading = True

    def stopListening(self):
        self.stopped = True


class Reactor(MemoryReactorClock):
    """Reactor that opens ports below 1024 only for root."""

    is_root = True

    def __init__(self):
        super().__init__()
        self.opened = []

    def listenTCP(self, port, factory, backlog=50, interface=""):
        if port < 1024 and not self.is_root:
            raise CannotListenError(interface, port, OSError(errno.EACCES, "Permission denied"))
        self.opened.append(Port(port))
        return self.opened[-1]


def test_a_privileged_port_is_opened_early_and_read_later():
    reactor = Reactor()
    listener = Listener(reactor, "tcp:80", Factory())
    listener.privilegedStartService()
    reactor.is_root = False
    [port] = reactor.opened
    assert not port.reading
    assert listener.port is None and not listener.tried
    listener.privilegedStartService()  # called again by the parent service
    listener.startService()
    assert reactor.opened == [listener.port] and port.reading and listener.opened.called
    assert listener.stopService().called and port.stopped


def test_another_port_is_opened_when_the_service_starts():
    reactor = Reactor()
    listener = Listener(reactor, "tcp:5357", Factory())
    listener.privilegedStartService()
    assert not reactor.opened
    listener.startService()
    assert listener.port.reading


def test_a_privileged_port_whose_service_never_starts_is_closed():
    reactor = Reactor()
    listener = Listener(reactor, "tcp:80", Factory())
    listener.privilegedStartService()
    assert listener.stopService().called and reactor.opened[0].stopped


def test_the_log_explains_how_to_open_a_privileged_port():
    reactor = Reactor()
    reactor.is_root = False
    listener = Listener(reactor, "tcp:80", Factory())
    listener.privilegedStartService()
    listener.startService()
    assert "Permission denied" in listener.problem and "AmbientCapabilities=CAP_NET_BIND_SERVICE" in listener.problem
    reactor.is_root = True
    reactor.advance(RETRY_SECONDS)
    assert listener.port is reactor.opened[0]


def test_an_unreadable_key_is_tried_again(tmp_path):
    reactor = Reactor()
    listener = Listener(reactor, f"ssl:5357:privateKey={tmp_path}/key.pem", Factory())
    listener.startService()
    assert "key.pem" in listener.problem and listener.tried
    listener.stopService()
    assert not reactor.getDelayedCalls()


def test_a_port_that_cannot_be_opened_is_logged_once_for_each_reason(said):
    reactor, problems = Reactor(), ["taken", "taken", "no such address", None]

    def listen(port, factory, backlog=50, interface=""):
        problem = problems.pop(0)
        if problem is not None:
            raise CannotListenError(interface, port, OSError(problem))
        return Port(port)

    reactor.listenTCP = listen
    listener = Listener(reactor, "tcp:5357", Factory())
    listener.startService()
    reactor.pump([RETRY_SECONDS] * 3)
    assert listener.port is not None
    lines = [line for line in said if "listen" in line]
    assert [line.partition(":5357")[0] for line in lines] == [
        "cannot listen at tcp", "cannot listen at tcp", "listening at tcp"]
    assert "taken" in lines[0] and "no such address" in lines[1]


CLOSED, RESERVED, OPENING, WAITING, LISTENING = ListenerState


class Endpoint:
    """Endpoint whose port opens, or fails to open, when the test says so."""

    def __init__(self):
        self.attempts, self.ports, self.reactor = [], [], MemoryReactorClock()

    def __call__(self, reactor, description):
        return self

    def listen(self, factory):
        self.attempts.append(Deferred())
        return self.attempts[-1]

    def opens(self):
        self.ports.append(Port(0))
        self.attempts[-1].callback(self.ports[-1])

    def fails(self):
        self.attempts[-1].errback(OSError("no such address"))

    def time_passes(self):
        self.reactor.advance(RETRY_SECONDS)


PRIVILEGED, START, STOP = Listener.privilegedStartService, Listener.startService, Listener.stopService
OPENS, FAILS, TIME = Endpoint.opens, Endpoint.fails, Endpoint.time_passes


@pytest.mark.parametrize(("port", "steps"), [
    (5357, [(PRIVILEGED, CLOSED), (START, OPENING), (OPENS, LISTENING), (STOP, CLOSED)]),
    (5357, [(START, OPENING), (FAILS, WAITING), (TIME, OPENING), (OPENS, LISTENING), (STOP, CLOSED)]),
    (5357, [(START, OPENING), (STOP, CLOSED)]),
    (5357, [(START, OPENING), (FAILS, WAITING), (STOP, CLOSED)]),
    (5357, [(START, OPENING), (FAILS, WAITING), (STOP, CLOSED), (STOP, CLOSED), (START, OPENING), (OPENS, LISTENING),
            (STOP, CLOSED)]),
    (80, [(PRIVILEGED, RESERVED), (PRIVILEGED, RESERVED), (OPENS, RESERVED), (START, LISTENING), (STOP, CLOSED)]),
    (80, [(PRIVILEGED, RESERVED), (START, OPENING), (OPENS, LISTENING), (STOP, CLOSED)]),
    (80, [(PRIVILEGED, RESERVED), (FAILS, RESERVED), (START, OPENING), (FAILS, WAITING), (STOP, CLOSED)]),
    (80, [(PRIVILEGED, RESERVED), (OPENS, RESERVED), (STOP, CLOSED)]),
    (80, [(PRIVILEGED, RESERVED), (FAILS, RESERVED), (STOP, CLOSED)]),
])
def test_the_states_of_a_listener(port, steps, monkeypatch, said):
    endpoint = Endpoint()
    monkeypatch.setattr(listeners, "serverFromString", endpoint)
    listener = Listener(endpoint.reactor, f"tcp:{port}", Factory())
    tried = False
    for step, state in steps:
        step(listener if step in (PRIVILEGED, START, STOP) else endpoint)
        tried = tried or state in (WAITING, LISTENING)
        assert (listener.state, listener.tried) == (state, tried)
        assert (listener.port is not None) is (state is LISTENING)
    assert all(port.stopped for port in endpoint.ports)
    assert not endpoint.reactor.getDelayedCalls()


class Refusing(MemoryReactorClock):
    """Reactor whose ports fail to open with the error `number`, unless it is 0."""

    def __init__(self, number):
        super().__init__()
        self.number, self.ports = number, []

    def listenTCP(self, port, factory, backlog=50, interface=""):
        if self.number:
            raise CannotListenError(interface, port, OSError(self.number, "refused"))
        self.ports.append(Port(port))
        return self.ports[-1]


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES])
def test_a_port_that_is_taken_or_forbidden_is_not_tried_again_by_a_listener_that_gives_up(number, said):
    reactor, tries = Refusing(number), []
    listener = Listener(reactor, "tcp:5357", Factory(), lambda: tries.append(1), gives_up=True)
    listener.startService()
    assert listener.is_refused and listener.state is CLOSED and tries == [1]
    assert not reactor.getDelayedCalls()
    [line] = said
    assert line.startswith("cannot listen at tcp:5357: ") and "tried again" not in line
    assert listener.stopService().called


def test_a_port_that_is_taken_is_tried_again_by_other_listeners():
    reactor = Refusing(errno.EADDRINUSE)
    listener = Listener(reactor, "tcp:5357", Factory())
    listener.startService()
    assert listener.is_refused and listener.state is WAITING
    reactor.number = 0
    reactor.advance(RETRY_SECONDS)
    assert not listener.is_refused and listener.state is LISTENING


def test_an_address_that_is_absent_is_tried_again_and_logged_once(said):
    reactor = Refusing(errno.EADDRNOTAVAIL)
    listener = Listener(reactor, "tcp:5357:interface=192.0.2.5", Factory(), gives_up=True)
    listener.startService()
    for _ in range(3):
        reactor.advance(RETRY_SECONDS)
    assert listener.state is WAITING and not listener.is_refused and "refused" in listener.problem
    [line] = said
    assert line.endswith("; tried again every 5 s")
    reactor.number = 0
    reactor.advance(RETRY_SECONDS)
    assert listener.state is LISTENING and listener.problem == ""
    assert said[1:] == ["listening at tcp:5357:interface=192.0.2.5"]


def test_a_privileged_port_that_another_program_uses_is_reported_as_taken_after_root_is_dropped():
    reactor = Refusing(errno.EADDRINUSE)
    listener = Listener(reactor, "tcp:80", Factory(), gives_up=True)
    listener.privilegedStartService()
    reactor.number = errno.EACCES
    listener.startService()
    assert listener.is_refused and "needs CAP_NET_BIND_SERVICE" not in listener.problem
