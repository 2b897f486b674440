"""Tests of net.transport.socketset with real sockets: events, the ends of connections, and answers at accept."""

import errno
import socket
import struct

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from tests.waiting import until
from wsdgateway.net.transport.socketset import MAX_ACCEPTS, SocketSet, send_and_close
from wsdgateway.net.transport.writebatching import CoalescedWriter, WriteScheduler


@implementer(IHalfCloseableProtocol)
class Echo(Protocol):
    """Sends back what it receives, in a batch of writes, and `end` when the client has closed its side."""

    def connectionMade(self):
        self.reason = None
        self.factory.connections.append(self)
        self.writer = CoalescedWriter(self.transport, self.factory.writes)

    def dataReceived(self, data):
        if data == b"crash":
            raise RuntimeError("crash")
        self.writer.write(data)

    def readConnectionLost(self):
        self.writer.write(b"end")
        self.writer.flush()
        self.transport.loseConnection()

    def writeConnectionLost(self):
        """Does nothing."""

    def connectionLost(self, reason):
        self.reason = reason
        if self.factory.fails_at_the_end:
            raise RuntimeError("end")


class Echoing(Factory):
    """Answers `at once` when a connection is accepted; echoes everything else."""

    protocol = Echo
    noisy = False
    fails_at_the_end = False

    def __init__(self):
        self.writes = WriteScheduler(reactor)
        self.connections = []
        self.first = []

    def answer_at_once(self, data, host, port):
        self.first.append((data, host, port))
        if data == b"wrong":
            raise RuntimeError("wrong")
        return b"answered" if data == b"at once" else None


@pytest_twisted.async_yield_fixture
async def echoing():
    """A factory whose port belongs to a `SocketSet`."""
    factory = Echoing()
    sockets = factory.sockets = SocketSet(reactor, factory.writes)
    factory.port = sockets.listenTCP(0, factory, 500, "127.0.0.1")
    yield factory
    await factory.port.stopListening()
    for connection in factory.connections:
        connection.transport.abortConnection()
    await until(lambda: sockets not in reactor.getReaders())


def connect(port):
    return socket.create_connection(("127.0.0.1", port.getHost().port), 20)


def converse(port, *pieces, end=True):
    """Returns all bytes that a client receives; it sends each piece when it has received the echo of the one before."""
    with connect(port) as client:
        received = b""
        for piece in pieces:
            client.sendall(piece)
            wanted = len(received) + len(piece)
            while end and len(received) < wanted and (data := client.recv(65536)):
                received += data
        if end:
            client.shutdown(socket.SHUT_WR)
        while data := client.recv(65536):
            received += data
        return received


async def connect_and_send(port, data):
    """Returns the socket of a client whose data has arrived before the port accepts its connection."""
    port.stopReading()
    client = connect(port)
    await deferToThread(client.sendall, data)
    port.startReading()
    return client


async def read_all(client):
    def read():
        received = b""
        with client:
            while data := client.recv(65536):
                received += data
        return received

    return await deferToThread(read)


@pytest_twisted.ensureDeferred
async def test_data_and_a_half_close(echoing):
    assert await deferToThread(converse, echoing.port, b"one", b"two") == b"onetwoend"


@pytest_twisted.ensureDeferred
async def test_data_beyond_the_buffers_of_the_sockets(echoing):
    data = bytes(range(256)) * 40_000

    def read(client):
        received = b""
        while len(received) < len(data):
            received += client.recv(1_000_000)
        return received

    with connect(echoing.port) as client:
        sending = deferToThread(client.sendall, data)
        # The buffers of all sockets are full.
        await until(lambda: echoing.connections and echoing.connections[0].writer.pending)
        assert await deferToThread(read, client) == data
        await sending


@pytest_twisted.ensureDeferred
async def test_many_connections_at_once(echoing):
    def clients():
        several = [connect(echoing.port) for _ in range(3 * MAX_ACCEPTS)]
        for number, one in enumerate(several):
            one.sendall(b"%d" % number)
        received = [one.recv(100) for one in several]
        for one in several:
            one.close()
        return received
    assert await deferToThread(clients) == [b"%d" % number for number in range(3 * MAX_ACCEPTS)]
    await until(lambda: all(connection.reason is not None for connection in echoing.connections))


@pytest_twisted.ensureDeferred
async def test_a_reset_ends_the_connection(echoing):
    def client():
        with connect(echoing.port) as one:
            one.sendall(b"x")
            one.recv(1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await deferToThread(client)
    await until(lambda: echoing.connections and echoing.connections[0].reason is not None)


@pytest_twisted.ensureDeferred
async def test_an_exception_ends_its_connection_alone(echoing):
    with connect(echoing.port) as one:
        # Not in the first bytes, which are handled at accept.
        assert await deferToThread(converse, echoing.port, b"x", b"crash") == b"x"
        one.sendall(b"x")
        assert await deferToThread(one.recv, 1) == b"x"
        assert [connection.reason.type for connection in echoing.connections if connection.reason] == [RuntimeError]


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_an_exception_in_the_first_bytes_ends_the_connection(echoing):
    client = await connect_and_send(echoing.port, b"crash")
    assert await read_all(client) == b""
    [connection] = echoing.connections
    assert connection.reason.check(RuntimeError)


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_an_exception_at_the_end_of_a_connection_affects_no_other(echoing):
    with connect(echoing.port) as one:
        await deferToThread(one.sendall, b"x")
        assert await deferToThread(one.recv, 1) == b"x"
        echoing.fails_at_the_end = True
        assert await deferToThread(converse, echoing.port, b"crash", end=False) == b""
        await until(lambda: echoing.connections[-1].reason is not None)
        echoing.fails_at_the_end = False
        await deferToThread(one.sendall, b"y")
        assert await deferToThread(one.recv, 1) == b"y"
    assert echoing.sockets in reactor.getReaders()


@pytest_twisted.ensureDeferred
async def test_the_first_bytes_are_answered_at_once(echoing):
    one = await connect_and_send(echoing.port, b"at once")
    own = one.getsockname()
    assert await read_all(one) == b"answered"
    assert echoing.first == [(b"at once", *own)]
    assert echoing.connections == []


@pytest_twisted.ensureDeferred
async def test_first_bytes_that_are_not_answered_at_once_reach_the_protocol(echoing):
    assert await deferToThread(converse, echoing.port, b"first", b"at once") == b"firstat onceend"


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_an_exception_at_accept_closes_that_connection_alone(echoing):
    wrong = await connect_and_send(echoing.port, b"wrong")
    assert await read_all(wrong) == b""
    assert await deferToThread(converse, echoing.port, b"x") == b"xend"


def test_an_answer_that_does_not_fit_is_reset():
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    send_and_close(near, b"x" * 1_000_000)
    assert near.fileno() == -1
    received = b""
    with far:
        while data := far.recv(65536):
            received += data
    assert 0 < len(received) < 1_000_000


@pytest_twisted.ensureDeferred
async def test_without_descriptors_the_listening_port_goes_on(echoing, monkeypatch):
    class Full:
        """A listening socket that has no descriptors for one connection."""

        def __init__(self, listening):
            self._listening = listening
            self._full = 1

        def __getattr__(self, name):
            return getattr(self._listening, name)

        def _accept(self):
            if self._full:
                self._full -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self._listening._accept()

    echoing.port.socket = Full(echoing.port.socket)
    assert await deferToThread(converse, echoing.port, b"x") == b"xend"


@pytest_twisted.ensureDeferred
async def test_a_set_without_sockets_is_not_polled(echoing):
    assert echoing.sockets in reactor.getReaders()
    await echoing.port.stopListening()
    assert echoing.sockets not in reactor.getReaders()
    echoing.port = echoing.sockets.listenTCP(0, echoing, 500, "127.0.0.1")
    assert await deferToThread(converse, echoing.port, b"x") == b"xend"


@pytest_twisted.ensureDeferred
async def test_outgoing_connections_belong_to_the_set(echoing):
    class Client(Protocol):
        received = b""

        def dataReceived(self, data):
            self.received += data

    endpoint = HostnameEndpoint(echoing.sockets, "127.0.0.1", echoing.port.getHost().port)
    client = await endpoint.connect(Factory.forProtocol(Client))
    assert client.transport.reactor is echoing.sockets
    client.transport.write(b"hello")
    await until(lambda: client.received == b"hello")
    client.transport.loseConnection()
    await until(lambda: echoing.connections[0].reason is not None)


@pytest_twisted.ensureDeferred
async def test_names_are_resolved_by_the_reactors_resolver(echoing, monkeypatch):
    asked = []

    class Resolver:
        def resolveHostName(self, receiver, name, *arguments, **more):
            asked.append(name)
            receiver.resolutionBegan(None)
            receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", echoing.port.getHost().port))
            receiver.resolutionComplete()

    former = reactor.installNameResolver(Resolver())
    try:
        endpoint = HostnameEndpoint(echoing.sockets, "scanner.test", echoing.port.getHost().port)
        client = await endpoint.connect(Factory.forProtocol(Protocol))
    finally:
        reactor.installNameResolver(former)
    assert asked == ["scanner.test"]
    client.transport.loseConnection()
