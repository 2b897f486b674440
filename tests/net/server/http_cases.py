"""Cases of HTTP conformance: the clause, the bytes, and the required answers."""

import attrs

# A scan address where the application answers 200 with the body of the request.
PATH = b"/front-desk/scan"
FIELDS = b"Host: gateway\r\nContent-Type: application/soap+xml\r\n"
POST = b"POST " + PATH + b" HTTP/1.1\r\n" + FIELDS
OLD = b"POST " + PATH + b" HTTP/1.0\r\nContent-Type: application/soap+xml\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"


@attrs.frozen
class Case:
    """Bytes of a client and their required outcome.

    `statuses` are all answers in order, `in_bytes` the answers if the bytes arrive one by one, where these differ.
    `goes_on` says whether the connection stays open. `reached` are the bodies that the application received.
    """

    clause: str
    name: str
    data: bytes
    statuses: tuple[int, ...]
    goes_on: bool
    reached: tuple[bytes, ...]
    in_bytes: tuple[int, ...] | None = None

    def __str__(self):
        return f"{self.clause}: {self.name}"


def takes(clause, name, data, body=b"", *, in_bytes=None):
    """A valid request, after which the connection stays open."""
    return Case(clause, name, data, (200,), True, (body,), in_bytes)


def takes_last(clause, name, data, body=b"", *, in_bytes=None):
    """A valid request that is the last one on its connection."""
    return Case(clause, name, data, (200,), False, (body,), in_bytes)


def answers_only(clause, name, data, status, *, goes_on=True):
    """A valid request that does not reach the application."""
    return Case(clause, name, data, (status,), goes_on, ())


def refuses(clause, name, data, status=400):
    """An invalid request: an answer, and the end of the connection."""
    return Case(clause, name, data, (status,), False, ())
