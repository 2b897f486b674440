"""Finds request lines in a connection's bytes, and checks that single blanks separate their parts.

RFC 9112 section 3. llhttp accepts several blanks, as the RFC allows, but other programs on the way may interpret such a
line differently, so it is refused. Since llhttp does not tell where in its input a request begins, `RequestLines` keeps
track of it.
"""

import re
from enum import Enum

from wsdgateway.http.layout import layout

EARLIER = -1  # the request began in an earlier read

_PLAIN = re.compile(rb"[\r\n]*+[^ \t\r\n]++ [^ \t\r\n]++ HTTP/\d\.\d\r\n")


class Stage(Enum):
    """The part of a request that the reader of a connection expects next."""

    BETWEEN = "the next request"
    HEAD = "the head"
    BODY = "the body and trailers"


_BETWEEN, _HEAD = Stage.BETWEEN, Stage.HEAD


class RequestLines:
    """Tracks the request lines of one connection. It is fed the same bytes as the parser.

    `body` counts the bytes of the request's body in the last read, `ended` is true if a request has ended in it, and
    `chunked` if that was chunked. They are plain attributes, since every request sets them. If a chunked body began in
    an earlier read, the start of the next request is not known, and its request line is not checked.
    """

    __slots__ = ("_at", "_fed", "body", "chunked", "ended")

    def __init__(self) -> None:
        self._fed = b""  # all data since the read in which the head of the current request began
        self._at: int | None = 0  # where the current request begins in it; None if that is not known
        self.body = 0
        self.ended = False
        self.chunked = False

    def feed(self, data: bytes, stage: Stage) -> None:
        """Take the next read, which the parser gets now. `stage` is the reader's stage before this read."""
        if stage is _HEAD:
            self._fed += data
        else:
            self._fed, self._at = data, 0 if stage is _BETWEEN else EARLIER
        self.body = 0
        self.ended = False

    def begin_behind(self) -> None:
        """Record that another request begins after one that has ended in this read."""
        self.ended = False
        if self._at == EARLIER:
            self._at = None if self.chunked else self.body
        elif self._at is not None:
            end = layout(self._fed[self._at:], request=True).end
            self._at = None if end is None else self._at + end

    def clear(self) -> None:
        """Forget the last read, when no request is in progress."""
        self._fed = b""

    def is_plain(self) -> bool:
        """Return whether the request line of the complete head has single blanks."""
        return self._at is None or _PLAIN.match(self._fed, self._at) is not None
