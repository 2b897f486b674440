"""Hosts on a network in memory, with one simulated clock: they can be killed, stopped, and cut off from each other.

A `Host` is the reactor of what runs there: timers, TCP ports and TCP connections. What is sent over a cut is delivered
when it is healed, as TCP does it; a killed host resets its connections. Nothing happens outside `Network.advance`.
"""

import heapq
import itertools
import zlib
from collections import deque

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import succeed
from twisted.internet.error import (
    AlreadyCalled,
    AlreadyCancelled,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTCP, IReactorThreads, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

LATENCY = (0.0002, 0.01)  # seconds that each segment takes, least and most
RESEND_SECONDS = 0.5  # between attempts to connect to a host that does not answer
FIRST_PORT = 40000


class Network:
    """The network and the time. `random` draws the latencies. `holders` has the host of each address that moves.

    `digest` is a checksum of everything that was delivered, with its time: two runs with the same one were the same.
    """

    def __init__(self, random):
        self.random, self.now, self.digest = random, 0.0, 0
        self.hosts, self.holders, self.cuts = {}, {}, set()
        self._events, self._order = [], itertools.count()
        self._ports = itertools.count(FIRST_PORT)
        self.on_event = lambda: None

    def at(self, time, act):
        """Calls `act` at a time."""
        heapq.heappush(self._events, (max(time, self.now), next(self._order), act))

    def advance(self, seconds):
        """Lets time pass; calls `on_event` after each event."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            act()
            self.on_event()
        self.now = until

    def note(self, *what):
        """Adds something that has happened to the digest."""
        self.digest = zlib.crc32(repr((self.now, *what)).encode(), self.digest)

    def latency(self):
        return self.random.uniform(*LATENCY)

    def new_port(self):
        return next(self._ports)

    def host_at(self, ip):
        """The host with an address, None if there is none that runs."""
        host = self.holders.get(ip) or self.hosts.get(ip)
        return host if host is not None and host.is_alive else None

    def is_used(self, ip):
        return ip in self.hosts or ip in self.holders

    def cut(self, one, other):
        """Cuts two hosts off from each other, given by their addresses."""
        self.cuts.add(frozenset((one, other)))

    def heal(self):
        """Mends every cut."""
        self.cuts.clear()
        self._look()

    def mend(self, cuts):
        """Mends these cuts."""
        self.cuts -= cuts
        self._look()

    def _look(self):
        for host in list(self.hosts.values()):
            host.look()

    def is_cut(self, one, other):
        return bool(self.cuts) and frozenset((one.ip, other.ip)) in self.cuts


@implementer(IReactorTime, IReactorTCP, IReactorThreads)
class Host:
    """One start of a host with this address; another object with the address replaces it."""

    def __init__(self, network, ip):
        self.network, self.ip = network, ip
        self.is_alive, self.stopped_until = True, 0.0
        self.connections, self._listening = {}, {}
        self._backlog = []  # connections that the system has accepted, and the process has not
        network.hosts[ip] = self

    @property
    def is_stopped(self):
        return self.network.now < self.stopped_until

    # What happens to it.

    def kill(self):
        """Ends the process that runs here; the system closes its connections."""
        self.is_alive = False
        self._listening.clear()
        for connection in list(self.connections):
            connection.reset()
        self.connections.clear()

    def pause(self, seconds):
        """Stops the process (SIGSTOP) for some seconds. Then it reads before its timers, or runs its timers first."""
        self.stopped_until = max(self.stopped_until, self.network.now + seconds)
        if self.network.random.random() < 0.5:
            self.network.at(self.stopped_until, self.look)
        else:
            self.network.at(self.stopped_until, lambda: self.network.at(self.network.now, self.look))

    def look(self):
        """Accepts connections, and has each one deliver what it may deliver now."""
        if self.is_stopped or not self.is_alive:
            return
        backlog, self._backlog = self._backlog, []
        for listening, transport in backlog:
            self.accept(listening, transport)
        for connection in list(self.connections):
            connection.deliver()

    def accept(self, listening, transport):
        """Begins a connection to a port; a stopped process does so later, though the other side may send already."""
        if self.is_stopped:
            self._backlog.append((listening, transport))
        elif transport.connected:
            transport.begin(listening.factory.buildProtocol(transport.getPeer()))

    # The reactor.

    def stop(self):
        """Ends the process, which stops by itself."""
        self.kill()

    def seconds(self):
        return self.network.now

    def callLater(self, delay, act, *arguments, **named):
        return Timer(self, self.network.now + delay, lambda: act(*arguments, **named))

    def callFromThread(self, act, *arguments, **named):
        self.callLater(0, act, *arguments, **named)

    callWhenRunning = callFromThread

    def installNameResolver(self, resolver):
        """All hosts have addresses only."""

    def addSystemEventTrigger(self, *arguments, **named):
        """There are no such events."""

    def removeSystemEventTrigger(self, trigger):
        """See `addSystemEventTrigger`."""

    def listenTCP(self, port, factory, backlog=50, interface=""):
        listening = self._listening[port] = Listening(self, port, factory)
        factory.doStart()
        return listening

    def connectTCP(self, host, port, factory, timeout=30, bindAddress=None):
        return Connecting(self, host, port, factory, timeout)

    def listening_at(self, port):
        return self._listening.get(port)

    def close(self, port):
        self._listening.pop(port, None)


class Timer:
    """A delayed call in the process of a host. It is late if the process is stopped at its time."""

    __slots__ = ("_act", "_at", "_host", "_state")

    def __init__(self, host, at, act):
        self._host, self._at, self._act, self._state = host, at, act, "waiting"
        host.network.at(at, self._fire)

    def active(self):
        return self._state == "waiting"

    def getTime(self):
        return self._at

    def cancel(self):
        self._check()
        self._state, self._act = "cancelled", None

    def reset(self, delay):
        self._check()
        self._at = self._host.network.now + delay
        self._host.network.at(self._at, self._fire)

    def delay(self, seconds):
        self._check()
        self._at += seconds
        self._host.network.at(self._at, self._fire)

    def _check(self):
        if self._state != "waiting":
            raise AlreadyCancelled if self._state == "cancelled" else AlreadyCalled

    def _fire(self):
        network = self._host.network
        if self._state != "waiting" or not self._host.is_alive or network.now < self._at:
            return
        if self._host.is_stopped:
            network.at(self._host.stopped_until, self._fire)
            return
        act, self._act, self._state = self._act, None, "called"
        act()


@attrs.frozen(eq=False)
class Listening:
    """A port that is open."""

    host: Host
    port: int
    factory: object

    def getHost(self):
        return IPv4Address("TCP", self.host.ip, self.port)

    def stopListening(self):
        self.host.close(self.port)
        return succeed(None)

    def startReading(self):
        """It always reads."""

    stopReading = startReading


class Connecting:
    """An attempt to connect, and the connection that comes of it (IConnector)."""

    def __init__(self, host, ip, port, factory, timeout):
        self._host, self._ip, self._port, self._factory = host, ip, port, factory
        self._state, self._transport = "connecting", None
        factory.doStart()
        factory.startedConnecting(self)
        self._timeout = None if timeout is None else host.callLater(timeout, self._fail, TimeoutError())
        host.network.at(host.network.now + host.network.latency(), self._arrive)

    def getDestination(self):
        return IPv4Address("TCP", self._ip, self._port)

    def stopConnecting(self):
        self._fail(UserError())

    def disconnect(self):
        if self._state == "connecting":
            self.stopConnecting()
        elif self._transport is not None:
            self._transport.loseConnection()

    def _arrive(self):
        network = self._host.network
        if self._state != "connecting" or not self._host.is_alive or not network.is_used(self._ip):
            return
        other = network.host_at(self._ip)
        if self._host.is_stopped or (other is not None and network.is_cut(self._host, other)):
            network.at(network.now + RESEND_SECONDS, self._arrive)
            return
        listening = None if other is None else other.listening_at(self._port)
        if listening is None:
            self._host.callLater(network.latency(), self._fail, ConnectionRefusedError())
        else:
            self._connect(other, listening)

    def _connect(self, other, listening):
        self._state = "connected"
        self._end_timeout()
        here = IPv4Address("TCP", self._host.ip, self._host.network.new_port())
        there = IPv4Address("TCP", self._ip, self._port)
        near = self._transport = Transport(self._host, here, there, self._lost)
        far = Transport(other, there, here)
        near.other, far.other = far, near
        other.accept(listening, far)
        near.begin(self._factory.buildProtocol(there))

    def _lost(self, reason):
        self._factory.clientConnectionLost(self, reason)
        self._factory.doStop()

    def _end_timeout(self):
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()

    def _fail(self, error):
        if self._state == "connecting":
            self._state = "failed"
            self._end_timeout()
            self._factory.clientConnectionFailed(self, Failure(error))
            self._factory.doStop()


@implementer(ITransport)
class Transport:
    """One end of a connection."""

    def __init__(self, host, here, there, lost=lambda reason: None):
        self.host, self.other, self.protocol = host, None, None
        self._here, self._there, self._lost = here, there, lost
        self.connected, self.disconnecting = True, False
        self._is_ended = self._is_paused = False
        self._inbox = deque()  # (time, what, data)
        self._free_at = 0.0
        host.connections[self] = None

    def begin(self, protocol):
        self.protocol = protocol
        if protocol is None:
            self.abortConnection()
        else:
            protocol.makeConnection(self)

    # What the protocol does.

    def getPeer(self):
        return self._there

    def getHost(self):
        return self._here

    def write(self, data):
        if self.connected and not self._is_ended and data:
            self._send("data", bytes(data))

    def writeSequence(self, pieces):
        self.write(b"".join(pieces))

    def loseWriteConnection(self):
        if not self._is_ended:
            self._is_ended = True
            self._send("end", b"")

    def loseConnection(self, reason=None):
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self.loseWriteConnection()
            self.host.callLater(0, self._end, ConnectionDone())

    def abortConnection(self):
        if self.connected:
            self.disconnecting = self._is_ended = True
            self._send("reset", b"")
            self.host.callLater(0, self._end, ConnectionLost())

    def pauseProducing(self):
        self._is_paused = True

    def resumeProducing(self):
        self._is_paused = False
        self.host.callLater(0, self.deliver)

    def stopProducing(self):
        self.loseConnection()

    startReading, stopReading = resumeProducing, pauseProducing

    def registerProducer(self, producer, streaming):
        """Takes everything at once."""

    def unregisterProducer(self):
        """See `registerProducer`."""

    def setTcpNoDelay(self, on):
        """There are no packets."""

    setTcpKeepAlive = setTcpNoDelay

    # What happens.

    def reset(self):
        """The process of this end was killed."""
        self.connected = False
        self._send("reset", b"")

    def _end(self, error):
        if self.connected:
            self.connected = False
            self.host.connections.pop(self, None)
            reason = Failure(error)
            if self.protocol is not None:
                self.protocol.connectionLost(reason)
            self._lost(reason)

    def _send(self, what, data):
        network, other = self.host.network, self.other
        if other is not None and other.connected:
            other._free_at = max(other._free_at, network.now + network.latency())
            other._inbox.append((other._free_at, what, data))
            network.at(other._free_at, other.deliver)

    def _may_deliver(self):
        network = self.host.network
        return (self._inbox and self._inbox[0][0] <= network.now and self.connected and not self.host.is_stopped
                and self.protocol is not None
                and not network.is_cut(self.host, self.other.host)
                and (not self._is_paused or self.disconnecting or self._inbox[0][1] == "reset"))

    def deliver(self):
        """Delivers what has arrived."""
        while self._may_deliver():
            _, what, data = self._inbox.popleft()
            self.host.network.note(self._here, self._there, what, data)
            if what == "reset":
                self._end(ConnectionLost())
            elif self.disconnecting:
                continue
            elif what == "data":
                self.protocol.dataReceived(data)
            elif IHalfCloseableProtocol.providedBy(self.protocol) and not self._is_ended:
                self.protocol.readConnectionLost()
            else:
                self._end(ConnectionDone())
