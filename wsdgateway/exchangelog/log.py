"""The exchange log as the rest of the gateway sees it: hand in what was exchanged, look at the last of it.

The contract's section on the exchange log. What is kept in memory is for the live stream and the admin site, and is
there whether a file is written or not.
"""

from collections import deque
from typing import NamedTuple, Protocol

from wsdgateway.exchangelog.captures import Captures
from wsdgateway.exchangelog.entry import Entry, bounded
from wsdgateway.exchangelog.tape import Tape

KEPT = 1000
MAX_MESSAGE = 65536  # bytes of each message kept for people to look at
MAX_MESSAGES = 8 << 20  # of all of them


class Kept(NamedTuple):
    """One of the last exchanges, its number, and the bodies of its messages as far as they are kept."""

    number: int
    entry: Entry
    request: bytes
    response: bytes


class Writer(Protocol):
    """Where lines go."""

    def add(self, entry: Entry) -> None:
        """One more line."""


class ExchangeLog:
    """`identify`: people are named, by JobOriginatingUserName and the job's name."""

    def __init__(self, *, identify: bool = False, writer: Writer | None = None,
                 captures: Captures | None = None) -> None:
        self.identify = identify
        self.writer = writer
        self.captures = captures
        self._kept: deque[Kept] = deque()
        self._size = 0
        self.last = 0

    def tape(self) -> Tape | None:
        """What an exchange that begins is to be recorded on; None where nothing is captured."""
        return None if self.captures is None else self.captures.begin()

    def add(self, entry: Entry, request: bytes = b"", response: bytes = b"", tape: Tape | None = None) -> None:
        """An exchange is over. The bodies are for people to look at; `tape` is what it was recorded on."""
        entry = bounded(entry)
        if tape is not None:
            entry = entry._replace(capture=tape.end(entry.time, entry.seconds, entry.scanner, entry.operation))
        if self.writer is not None:
            self.writer.add(entry)
        self.last += 1
        kept = self._kept
        request, response = request[:MAX_MESSAGE], response[:MAX_MESSAGE]
        kept.append(Kept(self.last, entry, request, response))
        self._size += len(request) + len(response)
        while len(kept) > KEPT or self._size > MAX_MESSAGES:
            oldest = kept.popleft()
            self._size -= len(oldest.request) + len(oldest.response)

    def since(self, number: int) -> list[Kept]:
        """Those that are kept of the exchanges after that one, oldest first."""
        if number >= self.last:
            return []
        return [one for one in self._kept if one.number > number]

    def get(self, number: int) -> Kept | None:
        """One of the last exchanges; None if it is not kept any more."""
        return next((one for one in self._kept if one.number == number), None)
