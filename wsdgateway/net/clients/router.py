"""The router: which resource answers at which path, and whether a client may ask now.

A scanner's resources are at `/NAME`, `/NAME/PREFIX` and below the latter. What a request must be, the resource says.
"""

from collections.abc import Mapping
from typing import Protocol

from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.frontends.frontend import NOT_FOUND, plain
from wsdgateway.metrics import RATE, REFUSED
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.scan.operations import OTHER

_TOO_OFTEN = plain(429, "This client asks too often; wait a second.", (b"Retry-After", b"1"))


class Scanner(Protocol):
    """What the router needs of a bridged scanner."""

    name: str

    @property
    def resources(self) -> Mapping[bytes, Resource]:
        """What answers at the scanner's addresses, by their prefix; that of `/NAME` itself is empty."""


class Router:
    """Sends each request to the resource at its path."""

    def __init__(self, accounting: Accounting, quotas: Quotas) -> None:
        self._accounting = accounting
        self._quotas = quotas
        self._exact: dict[bytes, tuple[Resource, bytes]] = {}
        self._below: dict[tuple[bytes, bytes], Resource] = {}

    def mount(self, path: bytes, resource: Resource) -> None:
        """From now on the resource answers at that path, and at none below it."""
        self._exact[path] = resource, b""

    def add(self, scanner: Scanner) -> None:
        """From now on the scanner answers at its addresses."""
        name = scanner.name.encode()
        for prefix, resource in scanner.resources.items():
            self.mount(_path(name, prefix), resource)
            if prefix:
                self._below[name, prefix] = resource

    def remove(self, scanner: Scanner) -> None:
        """The scanner is not bridged any more."""
        name = scanner.name.encode()
        for prefix in scanner.resources:
            del self._exact[_path(name, prefix)]
            self._below.pop((name, prefix), None)

    def respond(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""
        request = exchange.request
        found = self._exact.get(request.path) or self._find(request.path)
        if self._quotas.is_limited(exchange.client) and not self._is_admitted(exchange, found):
            exchange.give(_TOO_OFTEN)
            self._accounting.refused(RATE, exchange.client, "a request")
        elif found is None:
            exchange.give(NOT_FOUND)
        else:
            resource, rest = found
            refusal = resource.serve(exchange, rest)
            if refusal is None:
                return
            exchange.give(refusal)
            if request.body:
                resource.unread(rest, exchange.client)
        self._accounting.client(exchange, OTHER.name, REFUSED, self._accounting.now())

    def _is_admitted(self, exchange: Exchange, found: tuple[Resource, bytes] | None) -> bool:
        """Whether the client may ask now."""
        if found is not None and found[0].is_exempt(found[1], exchange.client):
            return True
        return self._quotas.admits_request(exchange.client, self._accounting.now())

    def unread(self, client: str, path: bytes) -> None:
        """A request to that path broke off, or was refused before it was whole."""
        found = self._exact.get(path) or self._find(path)
        if found is not None:
            found[0].unread(found[1], client)

    def _find(self, path: bytes) -> tuple[Resource, bytes] | None:
        """The resource at a path below that of its prefix."""
        parts = path.split(b"/", 3)
        if len(parts) < 4 or parts[0]:
            return None
        resource = self._below.get((parts[1], parts[2]))
        return None if resource is None else (resource, b"/" + parts[3])


def _path(name: bytes, prefix: bytes) -> bytes:
    return b"/" + name + (b"/" + prefix if prefix else b"")
