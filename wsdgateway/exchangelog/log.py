"""The exchange log as the rest of the gateway sees it: hand in what was exchanged, look at the last of it.

The contract's section on the exchange log. What is kept in memory is for the live stream and the admin site, and is
there whether a file is written or not.
"""

from collections import deque
from typing import NamedTuple

from wsdgateway.exchangelog.captures import Captures
from wsdgateway.exchangelog.entry import MAX_TEXT, Entry, bounded
from wsdgateway.exchangelog.file import LogFileWriter
from wsdgateway.exchangelog.tape import Tape

KEPT = 1000
KEPT_MESSAGES = 200
MAX_MESSAGE = 65536  # bytes of each message kept for people to look at
MAX_MESSAGES = 8 << 20  # of all of them


class Kept(NamedTuple):
    """One of the last exchanges, its number, and the bodies of its messages as far as they are kept, and asked for."""

    number: int
    entry: Entry
    request: bytes = b""
    response: bytes = b""


class ExchangeLog:
    """`identify`: people are named, by JobOriginatingUserName and the job's name."""

    def __init__(self, *, identify: bool = False, writer: LogFileWriter | None = None,
                 captures: Captures | None = None) -> None:
        self.identify = identify
        self.writer = writer
        self.captures = captures
        self._kept: deque[tuple[int, Entry]] = deque(maxlen=KEPT)
        # Of fewer, since memory that is used again at once is faster: a tenth of the time of a status read.
        self._messages: deque[tuple[int, bytes, bytes]] = deque()
        self._size = 0
        self.last = 0

    def tape(self) -> Tape | None:
        """What an exchange that begins is to be recorded on; None where nothing is captured."""
        return None if self.captures is None else self.captures.begin()

    def add(self, entry: Entry, request: bytes = b"", response: bytes = b"", tape: Tape | None = None) -> None:
        """An exchange is over. The bodies are for people to look at; `tape` is what it was recorded on."""
        if len(request) > MAX_TEXT or entry.fault is not None:
            entry = bounded(entry)
        if tape is not None:
            entry = entry._replace(capture=tape.end(entry.time, entry.seconds, entry.scanner, entry.operation))
        if self.writer is not None:
            self.writer.add(entry)
        self.last = number = self.last + 1
        self._kept.append((number, entry))
        size = len(request) + len(response)
        if size > MAX_MESSAGE:
            request, response = request[:MAX_MESSAGE], response[:MAX_MESSAGE]
            size = len(request) + len(response)
        messages = self._messages
        messages.append((number, request, response))
        self._size += size
        while len(messages) > KEPT_MESSAGES or self._size > MAX_MESSAGES:
            _, asked, answered = messages.popleft()
            self._size -= len(asked) + len(answered)

    def since(self, number: int) -> list[Kept]:
        """Those that are kept of the exchanges after that one, oldest first."""
        if number >= self.last:
            return []
        return [Kept(*one) for one in self._kept if one[0] > number]

    def get(self, number: int) -> Kept | None:
        """One of the last exchanges, with its messages if it is one of the very last; None if it is kept no more."""
        found = next((entry for kept, entry in self._kept if kept == number), None)
        if found is None:
            return None
        messages = next(((asked, answered) for kept, asked, answered in self._messages if kept == number), (b"", b""))
        return Kept(number, found, *messages)
