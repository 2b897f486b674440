"""Peers on loopback: a raw client, a device and an event sink controlled by the test."""

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.ports import free_port
from wsdgateway.http.requests import Request, RequestReader
from wsdgateway.http.responses import Data, End, Head, ResponseReader
from wsdgateway.soap.envelope import read

TIMEOUT = 30.0


class Raw(Protocol):
    """A client's connection that sends and receives bytes; `closed` fires when the peer has closed it."""

    def __init__(self):
        self._pieces, self.size = [], 0
        self.closed = Deferred()
        self.is_closed = False
        self._waiting = []

    @property
    def received(self):
        """The bytes received so far, without those already taken."""
        self._pieces[:] = [b"".join(self._pieces)]
        return self._pieces[0]

    @received.setter
    def received(self, data):
        self._pieces[:], self.size = [data], len(data)

    def dataReceived(self, data):
        self._pieces.append(data)
        self.size += len(data)
        for waiting in self._waiting[:]:
            waiting()

    def connectionLost(self, reason):
        self.is_closed = True
        for waiting in self._waiting[:]:
            waiting()
        self.closed.callback(self.received)

    def send(self, data):
        self.transport.write(data)

    async def until_size(self, size):
        """Waits until so many bytes have arrived. For large amounts of data, which `until` would copy at every read."""
        await self._until(lambda: self.size >= size)

    async def until(self, condition):
        """Waits until the condition is true of the received bytes; raises if the connection closes before that."""
        await self._until(lambda: condition(self.received))

    async def _until(self, condition):
        from twisted.internet import reactor

        if condition():
            return
        done = Deferred()

        def look():
            if not done.called and condition():
                done.callback(None)
            elif not done.called and self.is_closed:
                done.errback(EOFError(f"closed after {self.received!r}"))

        self._waiting.append(look)
        look()
        done.addTimeout(TIMEOUT, reactor)
        try:
            await done
        finally:
            self._waiting.remove(look)

    async def answer(self):
        """Waits for the next complete answer; returns its head and body. Bytes after it stay in `received`."""
        found = []

        def whole(data):
            reader = ResponseReader()
            found[:] = [reader.feed(data), len(data)]
            if reader.ended and not reader.reusable:  # more than one answer may have arrived
                reader, events = ResponseReader(), []
                for end in range(len(data)):
                    events += reader.feed(data[end:end + 1])
                    if reader.ended:
                        found[:] = [events, end + 1]
                        break
            return reader.ended

        await self.until(whole)
        events, end = found
        self.received = self.received[end:]
        assert isinstance(events[-1], End)
        return (next(event for event in events if isinstance(event, Head)),
                b"".join(event.data for event in events if isinstance(event, Data)))

    async def end(self):
        """Waits until the peer closes the connection; returns everything received."""
        from twisted.internet import reactor

        if not self.is_closed:
            waiting = Deferred()
            self._waiting.append(lambda: self.is_closed and not waiting.called and waiting.callback(None))
            waiting.addTimeout(TIMEOUT, reactor)
            await waiting
        return self.received


async def connect(port, tls=None, host="127.0.0.1", source=None):
    """Connects to a port on loopback, from the IP address `source`, with TLS if `tls` is given."""
    from twisted.internet import reactor

    endpoint = TCP4ClientEndpoint(reactor, host, port, bindAddress=None if source is None else (source, 0))
    return await connectProtocol(wrapClientTLS(tls, endpoint) if tls is not None else endpoint, Raw())


def post(path, body, *, headers=b"", version=b"1.1", content_type=b"application/soap+xml"):
    """Returns a POST request as bytes."""
    return (b"POST " + path.encode() + b" HTTP/" + version + b"\r\nHost: 127.0.0.1\r\nContent-Type: " + content_type
            + b"\r\nContent-Length: %d\r\n" % len(body) + headers + b"\r\n" + body)


async def ask(port, path, body, *, tls=None, **more):
    """Sends one request on a connection of its own; returns the head and body of the answer."""
    client = await connect(port, tls)
    client.send(post(path, body, **more))
    head, answer = await client.answer()
    client.transport.abortConnection()
    await client.end()
    return head, answer


class Asked:
    """A request received by the device. `write` sends bytes unchanged; `answer` sends a whole HTTP answer."""

    def __init__(self, connection, request: Request):
        self.connection, self.request = connection, request

    def write(self, data):
        self.connection.transport.write(data)

    def answer(self, body, status=b"200 OK", content_type=b"application/soap+xml", headers=b""):
        self.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: " + content_type
                   + b"\r\nContent-Length: %d\r\n" % len(body) + headers + b"\r\n" + body)

    def close(self):
        self.connection.transport.loseConnection()

    def abort(self):
        self.connection.transport.abortConnection()


class _DeviceConnection(Protocol):
    def connectionMade(self):
        self.reader = RequestReader(1 << 20)
        self.factory.open.add(self)
        self.factory.connections += 1

    def dataReceived(self, data):
        for event in self.reader.feed(data):
            self.factory.device.asked(Asked(self, event))

    def connectionLost(self, reason):
        self.factory.open.discard(self)
        self.factory.device.lost(self)


class Device:
    """A device on loopback, with TLS if it has an `identity`.

    By default requests are queued for `next`; `handle` can be set to answer them at once.
    """

    def __init__(self):
        self.factory = Factory.forProtocol(_DeviceConnection)
        self.factory.device = self
        self.factory.noisy = False
        self.factory.open = set()
        self.factory.connections = 0
        self.requests = []
        self.handle = None
        self._queue, self._wanted, self._losses = [], [], []

    async def start(self, port=0, identity=None):
        from twisted.internet import reactor

        factory = self.factory if identity is None else TLSMemoryBIOFactory(identity, False, self.factory)
        self.port = port or free_port()
        self.listening = await TCP4ServerEndpoint(reactor, self.port, interface="127.0.0.1").listen(factory)
        self.url = f"http{'' if identity is None else 's'}://127.0.0.1:{self.port}/scan"

    def asked(self, asked):
        self.requests.append(asked)
        if self.handle is not None:
            self.handle(asked)
        elif self._wanted:
            self._wanted.pop(0).callback(asked)
        else:
            self._queue.append(asked)

    def next(self):
        """Returns a Deferred that fires with the next request."""
        from twisted.internet import reactor

        if self._queue:
            waiting = Deferred()
            waiting.callback(self._queue.pop(0))
            return waiting
        waiting = Deferred()
        self._wanted.append(waiting)
        return waiting.addTimeout(TIMEOUT, reactor)

    def lost(self, connection):
        for waiting in self._losses[:]:
            if waiting[0] is connection:
                self._losses.remove(waiting)
                waiting[1].callback(None)

    async def until_lost(self, asked):
        """Waits until the connection of that request is closed."""
        from twisted.internet import reactor

        if asked.connection in self.factory.open:
            waiting = Deferred()
            self._losses.append((asked.connection, waiting))
            await waiting.addTimeout(TIMEOUT, reactor)

    async def stop(self):
        listening, self.listening = self.listening, None
        if listening is not None:
            await listening.stopListening()
        for connection in list(self.factory.open):
            connection.transport.abortConnection()


class Sink:
    """A client's event sink on loopback, which answers every notification with `status`.

    `received` holds the envelopes. If `status` is None, no answer is sent; `handle` of the device can be set to answer
    otherwise.
    """

    def __init__(self):
        self.device = Device()
        self.device.handle = self.take
        self.status = b"202 Accepted"
        self.received = []
        self.times = []

    async def start(self, port=0):
        await self.device.start(port)
        self.url = f"http://127.0.0.1:{self.device.port}/events"

    def take(self, asked):
        """Answers a notification with `status`."""
        if not isinstance(asked.request, Request):
            raise AssertionError(asked.request)
        if self.status is not None:
            if self.status.startswith(b"2"):
                self.received.append(read(asked.request.body))
            asked.write(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            asked.close()

    @property
    def events(self):
        """The event names of the received notifications."""
        return [envelope.action.rpartition("/")[2] for envelope in self.received]

    async def stop(self):
        await self.device.stop()
