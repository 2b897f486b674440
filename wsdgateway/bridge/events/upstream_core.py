"""The data of a subscription's state machine besides its state, and the calculation of its pauses.

WS-Eventing 2004/08, sections 3.1 and 3.2. The states are in `bridge.events.upstream_table`.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.events.upstreamcommands import Command, Lost, Subscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
UNSUPPORTED_PAUSE = 3600.0
SETTLED = 60.0  # a subscription that lived this long was not a failure
SHORTEST_RENEWAL = 1.0
RECHECK = 10.0  # a device cannot restart in less time

NO_MANAGER = EndpointReference("")

REFUSED, UNRENEWABLE, LAPSED, MOVED = "refused", "unrenewable", "lapsed", "moved"  # reasons for a replacement


@attrs.define
class Core:
    """The state machine's data besides its state; times are in seconds on the clock of its inputs.

    `renews`: whether the scanner grants Renew, None while that is unknown. `refusals`: the number of refused Renews
    since the last granted one. `knew`: whether the scanner accepted the Unsubscribe of the subscription that it last
    refused to renew. `spared`: how long a subscription lives before it is replaced, if Renew has been refused
    repeatedly. `suspect`: the subscription is to be replaced after that time.
    """

    address: str
    expires: float
    random: Callable[[], float]
    filters: tuple[tuple[str, ...], ...]
    manager: EndpointReference = NO_MANAGER
    short: bool = False
    failures: int = 0
    granted_at: float = 0.0
    lifetime: float = 0.0
    expires_at: float = 0.0
    asked_at: float = float("-inf")
    refusing: str = ""
    renews: bool | None = None
    refusals: int = 0
    knew: bool = False
    spared: float = SETTLED
    suspect: bool = False
    reason: str = REFUSED
    state: str = "idle"

    def subscribe(self) -> list[Command]:
        return [Subscribe(self.filters[-1 if self.short else 0])]

    def pause(self) -> Wake:
        self.failures += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 20), LONGEST_PAUSE)
        return Wake(pause * (0.75 + 0.25 * self.random()))

    def half_time(self, seconds: float) -> Wake:
        return Wake(max(seconds * (0.45 + 0.1 * self.random()), SHORTEST_RENEWAL))

    def grant(self, granted: Granted, now: float) -> Wake:
        if granted.manager is not None:
            self.manager = granted.manager
        elif self.manager == NO_MANAGER:
            self.manager = EndpointReference(self.address)
        self.asked_at = now
        self.refusing = ""
        lifetime = self.expires if granted.expires is None else granted.expires
        if lifetime <= 0:
            lifetime = SETTLED  # the scanner's clock is wrong; the subscription is not over
        self.lifetime = lifetime
        self.expires_at = now + lifetime
        return self.half_time(lifetime)

    def spared_for(self, now: float) -> float:
        """Returns the number of seconds for which the subscription must not be replaced yet."""
        return min(self.spared, self.lifetime / 2) - (now - self.granted_at)

    def forget_evidence(self) -> None:
        """Forgets whether the scanner renews, because it may have restarted, possibly with other firmware."""
        self.renews, self.refusals, self.knew, self.spared = None, 0, False, SETTLED

    def lose(self, now: float, *, forgotten: bool) -> Lost:
        if now - self.granted_at > SETTLED:
            self.failures = 0
        self.manager = NO_MANAGER
        return Lost(forgotten)
