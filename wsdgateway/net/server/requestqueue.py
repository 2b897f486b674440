"""The queue of one connection's requests, each with the tape that records its exchange.

RFC 9112 section 9.3.2. A connection does not read on while a request is queued, so the queue holds at most the requests
of one read.
"""

from collections import deque
from typing import Protocol

from wsdgateway.exchangelog.tape import CLIENT, Tape
from wsdgateway.http.layout import Splitter
from wsdgateway.http.requests import Refusal, Request, RequestReader


class Recorder(Protocol):
    """Provides the tapes that exchanges are recorded on."""

    @property
    def records(self) -> bool:
        """True if exchanges are recorded as they are on the wire."""

    def tape(self) -> Tape | None:
        """A tape for an exchange that begins; None if it is not recorded."""


class RequestQueue:
    """The queue of one connection, filled by its `reader`.

    `requests` are taken from the left; `refusal` follows them if the next one cannot be read. `expected` is true if the
    client waits for 100 Continue before it sends a body (RFC 9110, section 10.1.1).
    """

    __slots__ = ("_reader", "_recorder", "_splitter", "expected", "refusal", "requests")

    def __init__(self, reader: RequestReader, recorder: Recorder) -> None:
        self._reader = reader
        self._recorder = recorder
        self._splitter: Splitter | None = None
        self.requests: deque[tuple[Request, Tape | None]] = deque()
        self.refusal: Refusal | None = None
        self.expected = False

    def take(self, data: bytes) -> None:
        """Read bytes from the client."""
        reader = self._reader
        if self._splitter is not None:
            self._splitter.feed(data)
        elif self._recorder.records and not reader.reading:
            self._splitter = Splitter()
            self._splitter.feed(data)
        for event in reader.feed(data):
            if isinstance(event, Request):
                self.requests.append((event, None if self._splitter is None else self._record(self._splitter)))
                self.expected = False
            elif isinstance(event, Refusal):
                self.refusal = event
            else:
                self.expected = True
        if not reader.reading:
            self._splitter = None  # it contains at most empty lines

    def _record(self, splitter: Splitter) -> Tape | None:
        """Make the tape of an exchange, and record its request."""
        raw = splitter.take()
        tape = self._recorder.tape() if raw else None
        if tape is None:
            self._splitter = None
        else:
            tape.request(CLIENT, raw)
        return tape
