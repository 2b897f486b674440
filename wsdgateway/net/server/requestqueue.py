"""The requests of one connection that wait to be answered, each with the tape that its exchange is recorded on.

RFC 9112 section 9.3.2. A connection does not read on while a request waits, so the queue holds what came in one read.
"""

from collections import deque
from typing import Protocol

from wsdgateway.exchangelog.tape import CLIENT, Tape
from wsdgateway.http.layout import Splitter
from wsdgateway.http.requests import Refusal, Request, RequestReader


class Recorder(Protocol):
    """Gives the tapes that exchanges are recorded on."""

    @property
    def records(self) -> bool:
        """Whether exchanges are recorded as they are on the wire."""

    def tape(self) -> Tape | None:
        """The tape for an exchange that begins; None if it is not recorded."""


class RequestQueue:
    """The queue of one connection, filled by its `reader`.

    `requests` are to be taken from the left; `refusal` follows them where the next one can't be read. `expected`: the
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
            self._splitter = None  # at most empty lines are left in it

    def _record(self, splitter: Splitter) -> Tape | None:
        """The tape of an exchange, with its request."""
        raw = splitter.take()
        tape = self._recorder.tape() if raw else None
        if tape is None:
            self._splitter = None
        else:
            tape.request(CLIENT, raw)
        return tape
