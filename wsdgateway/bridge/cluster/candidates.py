"""The order in which gateways try to own a scanner that nobody owns, and when an owner gives it to another.

Each gateway computes the same order from the registrations, and waits for its place in it, so that mostly only one
asks the server. The server alone decides.
"""

import hashlib
from collections.abc import Iterable

from wsdgateway.bridge.cluster.values import Registration, View

STEP = 0.3  # seconds between one candidate and the next
WISH_WAIT = 2.0  # seconds for which the others wait for the gateway that is wished for
GIVE_UP_REACHING = 30.0  # seconds for which an owner tries to reach a scanner that another gateway may reach
GIVE_UP_AGAIN = 600.0  # seconds until it may give up the same scanner again, and others are told that it could not


def delay(view: View, scanner: str, me: str, former: str | None) -> float:
    """The seconds that the gateway `me` waits before it tries to own a scanner. `former` was the last owner.

    The gateway that holds the shared address, and the former owner, try at once, the others one after the other in an
    order that differs from scanner to scanner. Gateways that could not reach the scanner come after all of these. All
    wait for a gateway that goes on alone: it asks as soon as it may.
    """
    candidates = candidates_of(view.gateways, scanner)
    wished = wished_for(view, scanner)
    if alone_beside(view, scanner, me):
        return STEP * (1 + _place(candidates, scanner, me))
    if wished is not None and wished.identifier == me:
        return 0.0
    waiting = 0.0 if wished is None else WISH_WAIT
    preferred = {gateway.identifier for gateway in candidates if scanner not in gateway.unreachable
                 and (gateway.holds_address or gateway.identifier == former)}
    if me in preferred:
        return waiting
    others = [gateway for gateway in candidates if gateway.identifier not in preferred]
    return waiting + STEP * (_place(others, scanner, me) + bool(preferred))


def candidates_of(gateways: Iterable[Registration], scanner: str) -> list[Registration]:
    """The gateways that are configured for a scanner."""
    return [gateway for gateway in gateways if scanner in gateway.sections]


def wished_for(view: View, scanner: str) -> Registration | None:
    """The registered gateway that shall own the scanner, if there is such a wish."""
    wish = view.wishes.get(scanner)
    return None if wish is None else next(
        (gateway for gateway in candidates_of(view.gateways, scanner) if gateway.name == wish), None)


def alone_beside(view: View, scanner: str, me: str) -> list[tuple[int, str]]:
    """The other gateways that go on alone with a scanner: the token of each, and its identifier."""
    return [(gateway.alone[scanner], gateway.identifier) for gateway in view.gateways
            if scanner in gateway.alone and gateway.identifier != me]


def place_of(gateways: Iterable[Registration], scanner: str, me: str) -> int:
    """The place of the gateway `me` among these that are configured for a scanner, from 0 on."""
    return _place(candidates_of(gateways, scanner), scanner, me)


class Reach:
    """Whether this gateway reaches a scanner that it owns, and when it gives the scanner to another for that reason."""

    def __init__(self) -> None:
        self._failed_since: float | None = None
        self._failed_at = self._given_up_at = float("-inf")

    def reached(self, now: float) -> None:
        """Note that the scanner was reached."""
        self._failed_since, self._failed_at = None, float("-inf")

    def failed(self, now: float) -> None:
        """Note that the scanner was not reached."""
        self._failed_at = now
        if self._failed_since is None:
            self._failed_since = now

    def ended(self) -> None:
        """Note that this gateway no longer tries, because it no longer owns the scanner."""
        self._failed_since = None

    def is_unreachable(self, now: float) -> bool:
        """Whether others are told that the scanner cannot be reached from here."""
        return self._failed_since is not None or now - self._failed_at < GIVE_UP_AGAIN

    def gives_up(self, view: View, scanner: str, me: str, now: float) -> bool:
        """True if another gateway, which may reach the scanner, is to own it. Counts as given up then."""
        if self._failed_since is None or now - self._failed_since < GIVE_UP_REACHING \
                or now - self._given_up_at < GIVE_UP_AGAIN:
            return False
        if all(scanner in gateway.unreachable or gateway.identifier == me
               for gateway in candidates_of(view.gateways, scanner)):
            return False
        self._given_up_at = now
        return True


def _place(gateways: list[Registration], scanner: str, me: str) -> int:
    order = sorted(gateways, key=lambda gateway: (scanner in gateway.unreachable, _weight(scanner, gateway.name)))
    return next((place for place, gateway in enumerate(order) if gateway.identifier == me), len(order))


def _weight(scanner: str, gateway: str) -> bytes:
    """Rendezvous hashing: if a gateway goes, only its scanners move."""
    return hashlib.blake2b(f"{scanner}\0{gateway}".encode(), digest_size=8).digest()
