"""The output of a command as lines for the log, bounded in length and number."""

from collections.abc import Callable

MAX_LINE = 1000  # bytes; the rest of a longer line is left out
MAX_LINES = 200  # of one command
MAX_BLANK = 2000  # lines without text, which are not logged


class Output:
    """Splits the output of one command into lines, which `log` gets with the name of their stream."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._parts: dict[str, bytes] = {}
        self._too_long: set[str] = set()
        self._lines = self._blank = 0
        self.left_out = 0

    def received(self, stream: str, data: bytes) -> None:
        """Take a piece of the output."""
        if self._lines >= MAX_LINES or self._blank >= MAX_BLANK:
            self.left_out += data.count(b"\n")  # at the speed of any flood
            return
        *lines, rest = data.split(b"\n", MAX_BLANK)
        for line in lines:
            self._add(stream, line)
            self._end(stream)
        if b"\n" in rest:
            self.received(stream, rest)
        else:
            self._add(stream, rest)

    def _add(self, stream: str, part: bytes) -> None:
        part = self._parts.get(stream, b"") + part[:MAX_LINE + 1]
        if len(part) > MAX_LINE:
            self._too_long.add(stream)
        self._parts[stream] = part[:MAX_LINE]

    def _end(self, stream: str) -> None:
        line = self._parts.pop(stream, b"").decode("utf-8", "replace").rstrip()
        more = " ..." if stream in self._too_long else ""
        self._too_long.discard(stream)
        if not line:
            self._blank += 1
            return
        if self._lines >= MAX_LINES:
            self.left_out += 1
            return
        self._lines += 1
        self._log(stream, "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}"
                                  for one in line) + more)

    def ended(self) -> None:
        """Log the last lines, which may have no line break."""
        for stream in list(self._parts):
            self._end(stream)
