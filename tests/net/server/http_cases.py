"""Cases of HTTP conformance: the clause, the bytes, and the answers that must follow."""

import attrs

# A scan address, at which the application answers 200 with the body that it was sent.
PATH = b"/front-desk/scan"
FIELDS = b"Host: gateway\r\nContent-Type: application/soap+xml\r\n"
POST = b"POST " + PATH + b" HTTP/1.1\r\n" + FIELDS
OLD = b"POST " + PATH + b" HTTP/1.0\r\nContent-Type: application/soap+xml\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"


@attrs.frozen
class Case:
    """What a client sends, and what must come of it.

    `statuses` are all answers in their order, `in_bytes` those where it comes byte by byte if they differ; `goes_on`
    says whether the connection may be used again; `reached` are the bodies that the application was given.
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
    """It is a request, and another may follow."""
    return Case(clause, name, data, (200,), True, (body,), in_bytes)


def takes_last(clause, name, data, body=b"", *, in_bytes=None):
    """It is a request, and the last one of its connection."""
    return Case(clause, name, data, (200,), False, (body,), in_bytes)


def answers_only(clause, name, data, status, *, goes_on=True):
    """It is a request that the application never sees."""
    return Case(clause, name, data, (status,), goes_on, ())


def refuses(clause, name, data, status=400):
    """It is no request that can be trusted: an answer, and the end of the connection."""
    return Case(clause, name, data, (status,), False, ())
