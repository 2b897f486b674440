"""The HTTP connections of one replayed client, and what all replayed clients have in common."""

from twisted.internet.task import deferLater

from tests.loopback.escl.client import Answered
from tests.peers import connect

PLATEN, FEEDER, DUPLEX = "Platen", "Feeder", "Duplex"
BUSY, EMPTY, JAM, OFFLINE, ERROR = "busy", "the feeder is empty", "paper jam", "offline", "error"


class Failed(Exception):
    """The message that the client shows to its user; `reason` is one of the constants of this module."""

    def __init__(self, reason, status=None):
        super().__init__(reason, status)
        self.reason, self.status = reason, status


class Session:
    """Sends requests with the header fields of one client from the IP address `source`.

    `fields` are sent with every request, in that order; a Host of None is the address and the port. With `persistent`,
    connections are used again; otherwise each request has its own, which stays open until the gateway closes it.
    """

    def __init__(self, port, fields, *, source=None, persistent=True):
        self.port, self.fields, self.source, self.persistent = port, fields, source, persistent
        self.connections, self._idle = [], []

    async def start(self, method, path, body=None, *more, chunked=False):
        """Sends a request, and returns its connection."""
        while self._idle and self._idle[-1].is_closed:
            self._idle.pop()
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = await connect(self.port, source=self.source)
            self.connections.append(connection)
        host = f"127.0.0.1:{self.port}"
        lines = [f"{method} {path} HTTP/1.1"] + [
            f"{name}: {host if value is None else value}" for name, value in (*self.fields, *more)]
        if body is not None:
            lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if body is None:
            connection.send(head)
        elif ("Expect", "100-continue") in more:
            connection.send(head)
            await connection.until(lambda data: b"\r\n\r\n" in data)
            interim, _, connection.received = connection.received.partition(b"\r\n\r\n")
            assert interim.startswith(b"HTTP/1.1 100 ")
            connection.send(_framed(body, chunked))
        else:
            connection.send(head + _framed(body, chunked))
        return connection

    async def finish(self, connection):
        """Waits for the answer on a connection."""
        answered = Answered(*await connection.answer())
        if self.persistent and answered.headers.get("connection", "").lower() != "close":
            self._idle.append(connection)
        if answered.status != 200:
            assert (answered.body, answered.headers["content-length"]) == (b"", "0")
        return answered

    async def ask(self, method, path, body=None, *more, chunked=False):
        return await self.finish(await self.start(method, path, body, *more, chunked=chunked))

    async def close(self):
        for connection in self.connections:
            connection.transport.abortConnection()
            await connection.end()


def _framed(body, chunked):
    if not chunked:
        return body
    pieces = [body[start:start + 100] for start in range(0, len(body), 100)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Replayed:
    """A replayed client. `pauses` are the seconds that it would have waited between attempts."""

    fields = ()
    persistent = True
    root = "/eSCL"

    def __init__(self, port, *, source=None, color="RGB24"):
        self.session = Session(port, self.fields, source=source, persistent=self.persistent)
        self.color, self.pauses, self.job = color, [], None

    async def get(self, name):
        answered = await self.session.ask("GET", f"{self.root}/{name}")
        assert answered.status == 200
        return answered

    async def status(self):
        return await self.get("ScannerStatus")

    async def pause(self):
        """Waits for a moment in place of a pause, so that the gateway can go on."""
        from twisted.internet import reactor

        await deferLater(reactor, 0.01)

    async def close(self):
        await self.session.close()

    async def cancel_while_waiting(self, waiting):
        """Deletes the job while a request for a page waits; returns the status of that one."""
        assert (await self.session.ask("DELETE", self.job)).status == 200
        return (await self.session.finish(waiting)).status
