"""The addresses of shared scanners for the router: requests are passed on unless this gateway is the owner."""

from collections.abc import Callable, Mapping
from functools import partial

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.cluster.followed import FollowedScanner, owned
from wsdgateway.net.cluster.passing import Passing
from wsdgateway.net.cluster.passingcontext import PassingContext
from wsdgateway.net.server.exchange import Exchange


class SharedScanners:
    """The `Sharing` of this gateway: its shared scanners, which it serves as the owner, and else passes on.

    `is_served` tells whether this gateway bridges the scanner with that name, `escl` whether scanners have eSCL
    addresses. `on_removed` is called with the name of a scanner that this gateway is no longer configured for, and the
    reason for its subscribers.
    """

    passes_on = True

    def __init__(self, context: PassingContext, router: Router, leases: Leases, is_served: Callable[[str], bool],
                 on_removed: Callable[[str, str], None], *, escl: bool) -> None:
        self._context = context
        self._router = router
        self._leases = leases
        self._is_served = is_served
        self._on_removed = on_removed
        self._escl = escl
        self._followed: dict[str, FollowedScanner] = {}

    @property
    def held(self) -> int:
        """The number of requests that wait for an owner."""
        return self._context.held.count

    def resources(self, name: str) -> Mapping[bytes, Resource]:
        """The resources of a followed scanner; they pass requests on to its owner."""
        return self._follow(name).resources

    def guarded(self, name: str, resources: Mapping[bytes, Resource]) -> Mapping[bytes, Resource]:
        """The resources of an owned scanner, while the lease holds."""
        return owned(name, resources, self._leases.of(name).holds, self._follow(name)).resources

    def removed(self, name: str, reason: str) -> None:
        """Give up a scanner that this gateway is no longer configured for."""
        self._followed.pop(name, None)
        self._on_removed(name, reason)

    def _follow(self, name: str) -> FollowedScanner:
        followed = self._followed.get(name)
        if followed is None:
            followed = self._followed[name] = FollowedScanner(
                name, Passing(name, self._context, partial(self._serve_here, name)), escl=self._escl)
        return followed

    def _serve_here(self, name: str, exchange: Exchange, prefix: bytes, rest: bytes) -> bool:
        """Answer a request that was held, if this gateway has become the owner."""
        resource = self._router.resource_of(name.encode(), prefix)
        if resource is None or not self._is_served(name) or not self._leases.of(name).holds():
            return False
        self._router.serve_admitted(exchange, (resource, rest))
        return True

    def pass_on(self, name: str, exchange: Exchange) -> bool:
        """Pass on a request that this gateway began to answer, and cannot, because it no longer owns the scanner."""
        followed = self._followed.get(name)
        parts = exchange.request.path.split(b"/", 3)
        if followed is None or len(parts) < 2 or parts[1] != name.encode():
            return False
        prefix = parts[2] if len(parts) > 2 else b""
        answer = followed.passing.serve(prefix, exchange, b"/" + parts[3] if len(parts) > 3 else b"")
        if answer is not None:
            exchange.give(answer)
        return True
