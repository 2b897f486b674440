"""The queue of one connection's requests, each with the tape that records its exchange.

RFC 9112 section 9.3.2. A connection does not read on while a request is queued, so the queue holds at most the requests
of one read.
"""

from collections import deque
from typing import Protocol

from wsdgateway.exchangelog.tape import CLIENT, Tape
from wsdgateway.http.layout import Splitter
from wsdgateway.http.requests import Refusal, Request, RequestReader
from wsdgateway.net.server.exchange import Repetition

MAX_RAW = 16384  # bytes of a request that are joined


class RequestServer(Protocol):
    """Knows requests that are repeated, and provides the tapes that exchanges are recorded on."""

    def repeated(self, raw: bytes, client: str, peer: str) -> tuple[bytes, bool] | Repetition | None:
        """The answer to a known request, and whether the connection may be used again, or a request to serve.

        Returns None for any other request.
        """

    def is_partial(self, raw: bytes) -> bool:
        """True for the beginning of a known request: its whole head, and not the whole body."""

    @property
    def records(self) -> bool:
        """True if exchanges are recorded as they are on the wire."""

    def tape(self) -> Tape | None:
        """A tape for an exchange that begins; None if it is not recorded."""


class RequestQueue:
    """The queue of one connection, filled by its `reader`.

    `requests` are taken from the left, each with its tape and, if it arrived alone, its bytes. `refusal` follows them
    if the next one cannot be read. `expected` is true if the client waits for 100 Continue before it sends a body (RFC
    9110, section 10.1.1). `held` is the first piece of a known request, which has not been read.
    """

    __slots__ = ("_raw", "_reader", "_server", "_splitter", "expected", "held", "refusal", "requests")

    def __init__(self, reader: RequestReader, server: RequestServer) -> None:
        self._reader = reader
        self._server = server
        self.held = b""
        self._splitter: Splitter | None = None
        self._raw = b""
        self.requests: deque[tuple[Request, Tape | None, bytes]] = deque()
        self.refusal: Refusal | None = None
        self.expected = False

    def find_known(self, data: bytes, client: str, peer: str) -> tuple[bytes, bool] | Repetition | None:
        """Find the known request that these bytes complete, as `RequestServer.repeated`; None for anything else."""
        found = self._server.repeated(self.held + data if self.held else data, client, peer)
        if found is not None:
            self.held = b""
        return found

    def hold(self, data: bytes) -> bool:
        """Hold these bytes if they are the first piece of a known request, or a further one. Returns False if not."""
        raw = self.held + data
        if not self._server.is_partial(raw):
            return False
        self.held = raw
        return True

    def take(self, data: bytes) -> None:
        """Read bytes from the client, after the piece that is held."""
        if self.held:
            data, self.held = self.held + data, b""
        if not data:
            return
        reader = self._reader
        if not reader.reading:
            self._raw = data if len(data) <= MAX_RAW else b""
        elif self._raw:
            self._raw = self._raw + data if len(self._raw) + len(data) <= MAX_RAW else b""
        if self._splitter is not None:
            self._splitter.feed(data)
        elif self._server.records and not reader.reading:
            self._splitter = Splitter()
            self._splitter.feed(data)
        events = reader.feed(data)
        raw = self._raw if len(events) == 1 and not reader.reading else b""
        for event in events:
            if isinstance(event, Request):
                self.requests.append((event, None if self._splitter is None else self._record(self._splitter), raw))
                self.expected = False
            elif isinstance(event, Refusal):
                self.refusal = event
            else:
                self.expected = True
        if events or not reader.reading:
            # Only a request is known by its bytes that begins with them, ends with them, and brought no other event.
            self._raw = b""
        if not reader.reading:
            self._splitter = None  # it contains at most empty lines

    def _record(self, splitter: Splitter) -> Tape | None:
        """Make the tape of an exchange, and record its request."""
        raw = splitter.take()
        tape = self._server.tape() if raw else None
        if tape is None:
            self._splitter = None
        else:
            tape.request(CLIENT, raw)
        return tape
