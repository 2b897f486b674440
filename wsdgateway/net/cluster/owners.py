"""The owners of scanners as the peer link sees them; the coordinator knows them."""

from typing import Protocol

from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.values import Registration, Serving


class Owners(Protocol):
    """Knows which gateway owns each scanner."""

    def find(self, scanner: str) -> Registration | None:
        """The gateway that owns the scanner, as far as is known, this one included; None if none does."""

    def wait_for_owner(self, scanner: str, seconds: float) -> Deferred[Registration | None]:
        """Fires with the owner as soon as there is one, or with None after so many seconds. It can be cancelled."""

    def demote(self, scanner: str, token: int) -> None:
        """Note that some gateway owns the scanner by that fencing token.

        If the token of this gateway is smaller, it stops owning the scanner. Nothing else follows from the token.
        """

    def questioned(self, by: Serving) -> Serving:
        """Learn which scanners another gateway serves, and return those that this one serves."""

    @property
    def outage(self) -> str | None:
        """Why no scanner can get an owner now, in a sentence for clients; None if one can."""
