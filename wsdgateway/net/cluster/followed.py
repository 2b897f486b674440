"""A scanner that another gateway owns, and the addresses of one that this gateway owns, as the router mounts them."""

from collections.abc import Callable, Mapping

import attrs

from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.cluster.passing import Passing
from wsdgateway.net.server.exchange import Exchange


class FollowedScanner:
    """A scanner whose requests are passed to its owner. It is mounted in place of a bridged one of the same name."""

    def __init__(self, name: str, passing: Passing, *, escl: bool) -> None:
        self.name = name
        self.passing = passing
        self.resources: Mapping[bytes, Resource] = passing.resources(escl=escl)


@attrs.frozen(eq=False)
class OwnedScanner:
    """A scanner that this gateway owns, with its addresses guarded by the lease."""

    name: str
    resources: Mapping[bytes, Resource]


def guarded(resource: Resource, holds: Callable[[], bool], passed: Resource) -> Resource:
    """The resource of an owned scanner while the lease `holds`, else the one that passes requests on."""

    def serve(exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
        return resource.serve(exchange, rest) if holds() else passed.serve(exchange, rest)

    def is_exempt(rest: bytes, client: str) -> bool:
        return (resource if holds() else passed).is_exempt(rest, client)

    def unread(rest: bytes, client: str) -> None:
        (resource if holds() else passed).unread(rest, client)

    return Resource(serve, is_exempt, unread, resource.bare)


def owned(name: str, resources: Mapping[bytes, Resource], holds: Callable[[], bool],
          followed: FollowedScanner) -> OwnedScanner:
    """The addresses of a scanner that this gateway owns, for the router."""
    return OwnedScanner(name, {prefix: guarded(resource, holds, followed.resources[prefix])
                               for prefix, resource in resources.items()})
