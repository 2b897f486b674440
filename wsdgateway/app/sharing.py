"""The seam between the bridged scanners and the other gateways that share them, if there are any."""

from collections.abc import Mapping
from typing import Protocol

from wsdgateway.net.clients.resource import Resource


class Sharing(Protocol):
    """The gateways that share scanners. If `passes_on` is false, this gateway bridges each of its scanners."""

    passes_on: bool

    def resources(self, name: str) -> Mapping[bytes, Resource]:
        """The resources at the addresses of a scanner that is followed; they pass requests on to its owner."""

    def guarded(self, name: str, resources: Mapping[bytes, Resource]) -> Mapping[bytes, Resource]:
        """The resources of a scanner that this gateway bridges; they pass requests on once that has ended."""

    def removed(self, name: str, reason: str) -> None:
        """Give up a scanner that this gateway is no longer configured for; its object ends later, if it has one.

        If no other gateway bridges it, its subscribers are told the reason.
        """


class NotShared:
    """A gateway that shares its scanners with no other."""

    passes_on = False

    def resources(self, name: str) -> Mapping[bytes, Resource]:
        return {}

    def guarded(self, name: str, resources: Mapping[bytes, Resource]) -> Mapping[bytes, Resource]:
        return resources

    def removed(self, name: str, reason: str) -> None:
        pass
