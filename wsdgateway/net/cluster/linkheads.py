"""The heads of requests and answers on the link between gateways, as the gateway that the client reached sees them.

Clients repeat their heads, and so does the owner, so both are made or read once and kept.
"""

from functools import lru_cache

from wsdgateway.bridge.cluster.peerfields import (
    CLIENT,
    PASSED,
    SECRET,
    AnswerFields,
    Passed,
    clients_fields,
    read_answer,
    without_own,
    write_passed,
)
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import Head
from wsdgateway.http.urls import address_of
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.localaddress import authority

MAX_FIELDS = 14000  # bytes of a request's fields: a request has at most 16,384 on the link, with this link's own
MAX_COUNT = 95  # fields of a request, of 100 on the link
Fields = tuple[tuple[bytes, bytes], ...]


def has_room(exchange: Exchange) -> bool:
    """True if the head of a request fits on the link."""
    fields = exchange.request.headers
    return len(fields) <= MAX_COUNT and sum([len(name) + len(value) + 4 for name, value in fields]) <= MAX_FIELDS


def head_of(exchange: Exchange, address: str, secret: bytes, front: str, scanner: str, prefix: bytes,
            rest: bytes) -> bytes:
    """The head of a request for the gateway at `address`; `front` is the name of this one."""
    request = exchange.request
    before, after = _around(
        secret, address, request.path, tuple(request.headers), len(request.body), front, scanner, prefix, rest,
        request.method, request.host, exchange.base(), exchange.port, exchange.secure)
    return b"".join((before, exchange.peer.encode("latin-1"), after))


def unread_head(client: str, address: str, secret: bytes, front: str, scanner: str, prefix: bytes,
                rest: bytes) -> bytes:
    """The head of the message about a request of that client that was not read."""
    before, after = _around(secret, address, b"/", (), 0, front, scanner, prefix, rest, b"POST", b"", "", 0, False,
                            unread=True)
    return b"".join((before, authority(client, 0).encode("latin-1"), after))


@lru_cache(maxsize=256)
def _around(secret: bytes, address: str, path: bytes, headers: Fields, length: int, front: str, scanner: str,
            prefix: bytes, rest: bytes, method: bytes, host: bytes, base: str, port: int, secure: bool, *,
            unread: bool = False) -> tuple[bytes, bytes]:
    """The head of a request on the link, before and after the client's address."""
    passed = Passed(front, scanner, prefix.decode(), rest.decode("latin-1"), method.decode("latin-1"),
                    host.decode("latin-1"), base, port, secure, unread)
    # Client and secret come first, so that the rest is the same for all clients.
    head = request_head(path, [
        (b"Host", address_of(address).authority), (CLIENT, b"\0"), (SECRET, secret), (PASSED, write_passed(passed)),
        *clients_fields(list(headers)), (b"Content-Length", b"%d" % length)])
    before, _, after = head.partition(b"\0")
    return before, after


@lru_cache(maxsize=64)
def read_head(head: Head) -> tuple[AnswerFields, Fields]:
    """The link's fields of an answer, and those for the client. Raises `BadFields`."""
    return read_answer(head.headers), without_own(head.passed_on)
