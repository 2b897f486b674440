"""The exchange log's interface to the rest of the gateway: adds exchanges and returns the latest ones.

The latest exchanges are kept in memory for the live stream and the admin site, whether or not a file is written.
"""

from collections import deque
from typing import NamedTuple

from wsdgateway.exchangelog.captures import Captures
from wsdgateway.exchangelog.entry import MAX_TEXT, Entry, bounded
from wsdgateway.exchangelog.file import LogFileWriter
from wsdgateway.exchangelog.tape import Tape

KEPT = 1000
KEPT_MESSAGES = 200
MAX_MESSAGE = 65536  # bytes of each message that are kept for display
MAX_MESSAGES = 8 << 20  # bytes of all messages together


class Kept(NamedTuple):
    """A recent exchange with its number. The message bodies are empty if they are not kept or not asked for."""

    number: int
    entry: Entry
    request: bytes = b""
    response: bytes = b""


class ExchangeLog:
    """Distributes finished exchanges. With `identify`, entries name people (JobOriginatingUserName, JobName).

    With `details`, the program's log has a line about each request to a scanner, too.
    """

    details = False

    def __init__(self, *, identify: bool = False, writer: LogFileWriter | None = None,
                 captures: Captures | None = None) -> None:
        self.identify = identify
        self.writer = writer
        self.captures = captures
        self._kept: deque[tuple[int, Entry]] = deque(maxlen=KEPT)
        # Fewer than entries, because memory that is reused at once is faster: this saves a tenth of a status read.
        self._messages: deque[tuple[int, bytes, bytes]] = deque()
        self._size = 0
        self.last = 0

    def tape(self) -> Tape | None:
        """Starts a recording of an exchange; returns None if captures are off."""
        return None if self.captures is None else self.captures.begin()

    def add(self, entry: Entry, request: bytes = b"", response: bytes = b"", tape: Tape | None = None) -> None:
        """Adds a finished exchange. The bodies are kept for display; `tape` is its recording."""
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
        """Returns the kept exchanges after the one with this number, oldest first."""
        if number >= self.last:
            return []
        return [Kept(*one) for one in self._kept if one[0] > number]

    def get(self, number: int) -> Kept | None:
        """Returns an exchange, with its messages if those are still kept; None if the exchange is no longer kept."""
        found = next((entry for kept, entry in self._kept if kept == number), None)
        if found is None:
            return None
        messages = next(((asked, answered) for kept, asked, answered in self._messages if kept == number), (b"", b""))
        return Kept(number, found, *messages)
