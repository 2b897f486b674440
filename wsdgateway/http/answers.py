"""Answers to clients as values: status, fields and body. RFC 9110, section 3.4."""

from typing import NamedTuple


class HTTPAnswer(NamedTuple):
    """A complete answer to a client.

    `fault` is the name of the fault in it, for the exchange log. `reason` is the reason phrase of a scanner's reply
    that is passed on with its own fields; None for an answer of the gateway.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    fault: str | None = None
    reason: bytes | None = None


def plain(status: int, text: str, *headers: tuple[bytes, bytes], fault: str | None = None) -> HTTPAnswer:
    """Make an answer with a line of text. `fault` is the name of the fault that it reports, if any."""
    return HTTPAnswer(
        status, f"{text}\n".encode(), (*headers, (b"Content-Type", b"text/plain; charset=utf-8")), fault)


NOT_FOUND = plain(404, "There is no service at this address.")
