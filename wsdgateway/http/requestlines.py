"""Whether the parts of a request line are parted by one blank each. RFC 9112 section 3.

llhttp takes several blanks, as RFC 9112 allows, and whoever else is on the way may read such a line otherwise: it is
refused. Since llhttp does not say where in its input a request begins, that is followed here.
"""

import re

from wsdgateway.http.layout import layout

EARLIER = -1  # where a request begins: in a read before

_PLAIN = re.compile(rb"[\r\n]*+[^ \t\r\n]++ [^ \t\r\n]++ HTTP/\d\.\d\r\n")


class RequestLines:
    """Request lines of one connection. It gets the bytes that the parser is fed, and where a pipelined request begins.

    `body` counts the bytes of the request's body in the last read, `ended` says that a request has ended in it, and
    `chunked` how that was framed: plain attributes, since every request sets them.
    Of what stands in one read behind the end of a chunked body that began in an earlier one, it is not known where it
    begins: those request lines are not looked at.
    """

    __slots__ = ("_at", "_fed", "body", "chunked", "ended")

    def __init__(self) -> None:
        self._fed = b""  # from the read on in which the head of the current request began
        self._at: int | None = 0  # where the current request begins in it; None: that is not known
        self.body = 0
        self.ended = False
        self.chunked = False

    def feed(self, data: bytes, reading: bool, in_head: bool) -> None:
        """The next read, which the parser gets now. `reading`: a request is under way, with its head if `in_head`."""
        if reading and in_head:
            self._fed += data
        else:
            self._fed, self._at = data, EARLIER if reading else 0
        self.body = 0
        self.ended = False

    def begin_behind(self) -> None:
        """A request begins behind another one that has ended in this read."""
        self.ended = False
        if self._at == EARLIER:
            self._at = None if self.chunked else self.body
        elif self._at is not None:
            end = layout(self._fed[self._at:], request=True).end
            self._at = None if end is None else self._at + end

    def clear(self) -> None:
        """No request is under way: nothing of the last read is needed any more."""
        self._fed = b""

    def is_plain(self) -> bool:
        """Whether the line of the request whose head has just passed has single blanks."""
        return self._at is None or _PLAIN.match(self._fed, self._at) is not None
