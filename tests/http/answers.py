"""Reads answers of devices from pieces of bytes."""

from tests.http.pieces import bytes_of
from wsdgateway.http.responses import Data, ResponseReader


def read(pieces, *, eof=False, lenient=False):
    reader = ResponseReader(lenient)
    events = [event for piece in pieces for event in reader.feed(piece)]
    if eof:
        events += reader.eof()
    return reader, events


def body(events):
    return b"".join(event.data for event in events if isinstance(event, Data))


def ends_early(data, lenient, cut):
    """Returns whether a lenient reader ends before the final line break, so that the connection is not reused."""
    return lenient and data.endswith(b"\n0\r\n\r\n") and cut is bytes_of


WHOLE, BYTES, TWO = (lambda d: [d]), bytes_of, (lambda d: [d[:30], d[30:]])
