"""The owner's side of the link between gateways: an HTTP server of its own for the requests that others pass on.

It listens at `[cluster] endpoint`, which clients must not reach. A request must show the secret of the gateways. It is
then answered as if the client had sent it to this gateway, but counted against no quota and recorded by the gateway
that the client has reached. A gateway that does not own the scanner answers 421 and names the owner; it never passes on
a request that has been passed on to it.

While the shared server is away, gateways also ask each other here which scanners they serve.
"""

from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_network
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.logger import Logger

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.access.quotas import Quotas, client_of
from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.cluster.peerfields import (
    CLIENT,
    PASSED,
    PREFIX,
    SECRET,
    BadFields,
    Passed,
    Record,
    read_passed,
    write_record,
)
from wsdgateway.bridge.cluster.serving import ASKED, read_serving, write_serving
from wsdgateway.bridge.cluster.values import NO_TOKEN
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.http.messages import first
from wsdgateway.http.requests import Refusal
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.cluster.elsewhere import ALL
from wsdgateway.net.cluster.owners import Owners
from wsdgateway.net.cluster.passedexchange import PassedExchange, fields_of, misdirect
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.server.exchange import Exchange, Repetition
from wsdgateway.net.server.handshakes import explain
from wsdgateway.net.server.protocols import Connection, Limits
from wsdgateway.net.server.server import HTTPServer
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.net.transport.writebatching import WriteScheduler

MAX_CONNECTIONS = 2000  # of all other gateways
KEEPALIVE_SECONDS = 120.0  # longer than the other gateways keep an idle connection
HEADER_SECONDS = 15.0
_EVERYBODY = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_CLIENT, _SECRET = b"\r\n" + CLIENT + b": ", b"\r\n" + SECRET + b": "
_FORBIDDEN = HTTPAnswer(403, b"")
_BAD = HTTPAnswer(400, b"")
_TAKEN = HTTPAnswer(204, b"")


def peer_limits(request_body: int) -> Limits:
    """The limits of the server, for bodies of at most so many bytes."""
    return Limits(request_body, MAX_CONNECTIONS, KEEPALIVE_SECONDS, HEADER_SECONDS)


class PeerServer(HTTPServer):
    """Serves the requests that other gateways pass on. `seconds` is a monotonic clock, `wall` the time since 1970.

    `secret` returns the secret of the gateways in hexadecimal digits, empty until it is known; until then every request
    is refused. Requests go to the resources of `router` while `leases` say that this gateway owns the scanner. Those
    for all scanners that it owns go to `directory`.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], wall: Callable[[], float], limits: Limits,
                 secret: Callable[[], bytes], router: Router, repeats: RepeatedRequests, leases: Leases,
                 owners: Owners, writes: WriteScheduler | None = None, directory: Resource | None = None) -> None:
        super().__init__(
            reactor, seconds=seconds, wall=wall, limits=limits, respond=self._respond, refused=self._refused,
            base=lambda host, port: "", log=ExchangeLog(),
            quotas=Quotas(requests=1.0, connections=1, jobs=1, unlimited=_EVERYBODY),
            denied=lambda reason, client: None, writes=writes)
        self._secret = secret
        self._router = router
        self._repeats = repeats
        self._leases = leases
        self._owners = owners
        self._directory = directory
        self._throttle = LogThrottle()

    def _respond(self, exchange: Exchange) -> None:
        headers = exchange.request.headers
        if not self._is_known(first(headers, SECRET.lower())):
            exchange.give(_FORBIDDEN)
            self._complain(exchange.client, "it did not show the secret of the gateways")
            return
        if first(headers, ASKED.lower()) is not None:
            self._answer_question(exchange)
            return
        try:
            passed = read_passed(first(headers, PASSED.lower()) or b"")
            client, peer = _client(first(headers, CLIENT.lower()) or b"")
            method, host, rest = [text.encode("latin-1") for text in (passed.method, passed.host, passed.rest)]
        except ValueError as problem:
            exchange.give(_BAD)
            self._complain(exchange.client, str(problem))
            return
        if passed.scanner == ALL and self._directory is not None and not passed.unread:
            inner = self._inner(exchange, passed, (method, host), client, peer, lambda: NO_TOKEN, is_exempt=False)
            self._router.serve_admitted(inner, (self._directory, rest))
            return
        lease = self._leases.of(passed.scanner) if passed.scanner in self._leases else None
        resource = self._router.resource_of(passed.scanner.encode(), passed.prefix.encode())
        if lease is None or resource is None or not lease.holds():
            misdirect(exchange, self._owners.find(passed.scanner))
            return
        if passed.unread:
            resource.unread(rest, client)
            exchange.give(_TAKEN)
            return
        inner = self._inner(exchange, passed, (method, host), client, peer, lambda: lease.token,
                            is_exempt=resource.is_exempt(rest, client))
        self._router.serve_admitted(inner, (resource, rest))

    def _answer_question(self, exchange: Exchange) -> None:
        """Tell another gateway which scanners this one serves, because the shared server is away."""
        try:
            asking = read_serving(exchange.request.body)
        except BadFields as problem:
            exchange.give(_BAD)
            self._complain(exchange.client, str(problem))
            return
        exchange.give(HTTPAnswer(200, write_serving(self._owners.questioned(asking))))

    def _inner(self, exchange: Exchange, passed: Passed, line: tuple[bytes, bytes], client: str, peer: str,
               token: Callable[[], int], *, is_exempt: bool) -> PassedExchange:
        outer = exchange.request
        request = attrs.evolve(
            outer, method=line[0], host=line[1], http10=False,
            headers=[field for field in outer.headers if not field[0].lower().startswith(PREFIX)])
        cut = _cut(exchange.raw)
        return PassedExchange(exchange, request, b"" if cut is None else cut[0], passed, client, peer, token=token,
                              is_exempt=is_exempt)

    def _is_known(self, shown: bytes | None) -> bool:
        secret = self._secret()
        return bool(secret) and shown is not None and compare_digest(secret, shown)

    def repeated(self, raw: bytes, client: str, peer: str) -> tuple[bytes, bool] | Repetition | None:
        """The answer to a known request, and whether the connection may be used again, or a request to serve."""
        cut = _cut(raw)
        if cut is None or not self._is_known(cut[2]):
            return None
        try:
            client, peer = _client(cut[1])
        except BadFields:
            return None
        found = self._repeats.serve(cut[0], client, peer, self, 0, self._recorded)
        if not isinstance(found, Repetition):
            return found
        passed = _passed_in(raw)
        if passed is None:
            return None
        lease = self._leases.of(passed.scanner)
        return Repetition(found.request, lambda outer: found.serve(PassedExchange(
            outer, found.request, b"", passed, client, peer, token=lambda: lease.token, is_exempt=False)))

    def _recorded(self, record: Record, body: bytes) -> tuple[bytes, bytes]:
        return fields_of(self._leases.of(record.scanner or "").token, body), write_record(record)

    def answer_at_once(self, raw: bytes, host: str, port: int) -> None:
        """Return None: the connections between gateways are kept."""

    def not_secured(self, connection: Connection, error: SSL.Error) -> None:
        """Log that a TLS handshake has failed."""
        self._complain(client_of(connection.client), explain(error, "[cluster] ca"))

    def _refused(self, connection: Connection, refusal: Refusal) -> None:
        self._complain(connection.client, f"{refusal.status}, {refusal.reason}")

    def _complain(self, peer: str, why: str) -> None:
        if self._throttle.allows(peer, self.seconds()):
            self.log.warn("Refused a request of {peer} at [cluster] endpoint: {why} (logged at most once a minute)",
                          peer=peer, why=why)


def _client(value: bytes) -> tuple[str, str]:
    """The client's IP address, and the same with its port. Raises `BadFields`."""
    peer = value.decode("latin-1")
    host, colon, port = peer.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5:
        raise BadFields("the client that it names must be an address and a port")
    host = host.removeprefix("[").removesuffix("]")
    if host and plain_address(host) is None:  # a client of a local socket has none
        raise BadFields("the client that it names must be an IP address and a port")
    return host, peer


def _cut(raw: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The bytes of a request without the fields for client and secret, and the values of both.

    Returns None if they do not follow each other in the head.
    """
    begin = raw.find(_CLIENT)
    end = raw.find(b"\r\n", begin + len(_CLIENT))
    if begin < 0 or end < 0 or not raw.startswith(_SECRET, end):
        return None
    last = raw.find(b"\r\n", end + len(_SECRET))
    if last < 0 or raw.find(b"\r\n\r\n", 0, last) >= 0:
        return None
    return raw[:begin] + raw[last:], raw[begin + len(_CLIENT):end], raw[end + len(_SECRET):last]


def _passed_in(raw: bytes) -> Passed | None:
    """The description of a passed request in its bytes; None if it cannot be read."""
    mark = b"\r\n" + PASSED + b": "
    begin = raw.find(mark)
    end = raw.find(b"\r\n", begin + len(mark))
    try:
        return read_passed(raw[begin + len(mark):end]) if 0 <= begin < end else None
    except BadFields:
        return None
