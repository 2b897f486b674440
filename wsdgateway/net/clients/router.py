"""Routes each request to the resource at its path, after a check of the client's quota.

A scanner's resources are at `/NAME`, `/NAME/PREFIX` and below the latter. The resource checks method and contents.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer, plain
from wsdgateway.metrics import RATE
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting

_TOO_OFTEN = plain(429, "Too many requests from this client; wait a second.", (b"Retry-After", b"1"))


class Scanner(Protocol):
    """The properties of a bridged scanner that the router uses."""

    name: str

    @property
    def resources(self) -> Mapping[bytes, Resource]:
        """The resources at the scanner's addresses, by prefix; the prefix of `/NAME` itself is empty."""


class Router:
    """Routes requests to the resources that are mounted at their paths. `on_change` is called when these change.

    `guide` may replace the refusal of a GET or HEAD, which a browser sends. `refuses_bare` is true for a path whose
    requests are refused without a body.
    """

    def __init__(self, accounting: Accounting, quotas: Quotas, on_change: Callable[[], None] = lambda: None,
                 guide: Callable[[Exchange, HTTPAnswer], HTTPAnswer] = lambda exchange, refusal: refusal,
                 refuses_bare: Callable[[bytes], bool] = lambda path: False) -> None:
        self._accounting = accounting
        self._quotas = quotas
        self._on_change = on_change
        self._guide = guide
        self._refuses_bare = refuses_bare
        self._exact: dict[bytes, tuple[Resource, bytes]] = {}
        self._below: dict[tuple[bytes, bytes], Resource] = {}

    def mount(self, path: bytes, resource: Resource) -> None:
        """Mount a resource at a path, not at those below it."""
        self._exact[path] = resource, b""
        self._on_change()

    def add(self, scanner: Scanner) -> None:
        """Mount the resources of a scanner at its addresses."""
        name = scanner.name.encode()
        for prefix, resource in scanner.resources.items():
            self.mount(_path(name, prefix), resource)
            if prefix:
                self._below[name, prefix] = resource

    def remove(self, scanner: Scanner) -> None:
        """Unmount the resources of a scanner."""
        name = scanner.name.encode()
        for prefix in scanner.resources:
            self._exact.pop(_path(name, prefix), None)
            self._below.pop((name, prefix), None)
        self._on_change()

    def respond(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""
        path = exchange.request.path
        self.serve(exchange, self._exact.get(path) or self._find(path))

    def serve(self, exchange: Exchange, found: tuple[Resource, bytes] | None) -> None:
        """Answer a request for that resource, and the path below it, or with 404."""
        if self._quotas.is_limited(exchange.client) and not self._is_admitted(exchange, found):
            exchange.give(self._shown(_TOO_OFTEN, exchange.request.path, found))
            self._accounting.refused(RATE, exchange.client, "a request")
            self._accounting.unread(exchange)
        else:
            self.serve_admitted(exchange, found)

    def serve_admitted(self, exchange: Exchange, found: tuple[Resource, bytes] | None) -> None:
        """Answer a request that has been counted against its client's quota already."""
        request = exchange.request
        if found is None:
            exchange.give(self._shown(NOT_FOUND, request.path, found))
        else:
            resource, rest = found
            refusal = resource.serve(exchange, rest)
            if refusal is None:
                return
            if request.method in (b"GET", b"HEAD") and not resource.bare:
                refusal = self._guide(exchange, refusal)
            exchange.give(refusal)
            if request.body:
                resource.unread(rest, exchange.client)
        self._accounting.unread(exchange)

    def resource_of(self, scanner: bytes, prefix: bytes) -> Resource | None:
        """The resource of a scanner with that prefix; None if there is none."""
        found = self._exact.get(_path(scanner, prefix))
        return None if found is None else found[0]

    def _shown(self, refusal: HTTPAnswer, path: bytes, found: tuple[Resource, bytes] | None) -> HTTPAnswer:
        """The refusal, without its body if the client must not get one."""
        is_bare = self._refuses_bare(path) if found is None else found[0].bare
        return refusal._replace(body=b"", headers=tuple(
            field for field in refusal.headers if field[0] != b"Content-Type")) if is_bare else refusal

    def _is_admitted(self, exchange: Exchange, found: tuple[Resource, bytes] | None) -> bool:
        """True if the client's quota allows the request, or the resource exempts it."""
        if found is not None and found[0].is_exempt(found[1], exchange.client):
            return True
        return self._quotas.admits_request(exchange.client, self._accounting.now())

    def unread(self, client: str, path: bytes) -> None:
        """Notify the resource at a path of a request that broke off, or was refused before it was complete."""
        found = self._exact.get(path) or self._find(path)
        if found is not None:
            found[0].unread(found[1], client)

    def _find(self, path: bytes) -> tuple[Resource, bytes] | None:
        """Find the resource whose prefix a path begins with, and the rest of the path."""
        parts = path.split(b"/", 3)
        if len(parts) < 4 or parts[0]:
            return None
        resource = self._below.get((parts[1], parts[2]))
        return None if resource is None else (resource, b"/" + parts[3])


def _path(name: bytes, prefix: bytes) -> bytes:
    return b"/" + name + (b"/" + prefix if prefix else b"")
