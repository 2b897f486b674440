"""The table of clients' subscriptions to one scanner: their sinks, filters, ends and DestinationTokens.

WS-Eventing 2004/08, section 3; WS-Scan, DestinationToken. Times are seconds since 1970, by a clock that is not set.
A token that a client was given keeps working: where the scanner has replaced it since, the gateway puts the scanner's
new one in its place. No two clients are ever given the same.
"""

from collections.abc import Iterable

import attrs

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.scan.destinations import Destinations
from wsdgateway.scan.operations import SCAN_AVAILABLE, action_of

URN = "urn:uuid:"
SCAN_AVAILABLE_ACTION = action_of(SCAN_AVAILABLE)


@attrs.frozen
class Token:
    """A DestinationToken: as the client was given it, and as the scanner knows it now."""

    context: str
    given: str
    current: str


@attrs.frozen
class Subscription:
    """One client's subscription. `client` is its IP address, `manager` the address that it was given.

    With `panel`, it is held at the scanner, too, for ScanAvailableEvent; `destinations` are the names shown there.
    """

    identifier: str
    scanner: str
    client: str
    manager: str
    notify_to: Sink
    end_to: Sink | None
    filter: ActionFilter
    expires_at: float
    panel: bool = False
    destinations: Destinations | None = None
    tokens: tuple[Token, ...] = ()

    @property
    def urn(self) -> str:
        """The identifier as messages carry it."""
        return URN + self.identifier

    def wants(self, action: str) -> bool:
        """Whether an event for all subscribers goes to this one."""
        return action != SCAN_AVAILABLE_ACTION and self.filter.matches(action)

    def repeats(self, other: "Subscription") -> bool:
        """Whether this is the same client, registering the same names for the same sink once more."""
        return (self.client, self.notify_to, self.destinations, self.panel) == (
            other.client, other.notify_to, other.destinations, other.panel)

    @property
    def likeness(self) -> tuple[object, ...]:
        """What two subscriptions have in common where the later one makes the earlier one superfluous."""
        return self.client, self.notify_to, self.filter, self.destinations


def paired(tokens: Iterable[Token], fresh: Iterable[tuple[str, str]]) -> tuple[Token, ...]:
    """Old tokens with what the scanner gave for the same contexts in a new subscription, the n-th for the n-th."""
    waiting: dict[str, list[str]] = {}
    for context, token in fresh:
        waiting.setdefault(context, []).append(token)
    return tuple(attrs.evolve(token, current=waiting[token.context].pop(0)) if waiting.get(token.context) else token
                 for token in tokens)


class Subscriptions:
    """The subscriptions to one scanner, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: dict[str, Subscription] = {}
        self._owners: dict[str, str] = {}
        self._expected: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def full(self) -> bool:
        """Whether there is no room for another one."""
        return len(self._held) + len(self._expected) >= self.limit

    def expect(self, identifier: str) -> None:
        """Keep a place for one that is being written down."""
        self._expected.add(identifier)

    def unexpect(self, identifier: str) -> None:
        """Give the place up: the subscription is in the table, or will not come."""
        self._expected.discard(identifier)

    def all(self) -> list[Subscription]:
        """Every one that is held, oldest first; some may have expired a moment ago."""
        return list(self._held.values())

    def put(self, subscription: Subscription) -> None:
        """Add a subscription, or replace its former self."""
        self._disown(subscription.identifier)
        self._held[subscription.identifier] = subscription
        for token in subscription.tokens:
            self._owners[token.given] = subscription.identifier

    def remove(self, identifier: str) -> Subscription | None:
        """Remove a subscription, and return it; None if it is not in the table."""
        self._disown(identifier)
        return self._held.pop(identifier, None)

    def _disown(self, identifier: str) -> None:
        held = self._held.get(identifier)
        for token in held.tokens if held is not None else ():
            if self._owners.get(token.given) == identifier:
                del self._owners[token.given]

    def get(self, identifier: str) -> Subscription | None:
        """The subscription of that identifier, even if its time is over but its end not yet handled."""
        return self._held.get(identifier)

    def find(self, identifier: str | None, now: float) -> Subscription | None:
        """The live subscription of that identifier."""
        held = self._held.get(identifier or "")
        return held if held is not None and held.expires_at > now else None

    def expired(self, now: float) -> list[Subscription]:
        """Those whose time is over."""
        return [held for held in self._held.values() if held.expires_at <= now]

    def next_expiry(self) -> float | None:
        """When the first of them ends."""
        return min((held.expires_at for held in self._held.values()), default=None)

    def listening(self, action: str, now: float) -> list[Subscription]:
        """The live subscriptions that want an event with that action."""
        return [held for held in self._held.values() if held.expires_at > now and held.wants(action)]

    def repeated(self, subscription: Subscription) -> Subscription | None:
        """A panel subscription that this one repeats, so that the scanner need not be asked for another."""
        return next((held for held in self._held.values() if held.panel and subscription.repeats(held)), None)

    def superseded(self) -> Subscription | None:
        """The oldest one that its own client has repeated since, as some do every minute; None if there is none."""
        seen = set()
        found = None
        for held in reversed(self._held.values()):
            if held.likeness in seen:
                found = held
            seen.add(held.likeness)
        return found

    def tokens_for(self, fresh: Iterable[tuple[str, str]], new_token: Iterable[str]) -> tuple[Token, ...]:
        """The scanner's new tokens for a client, with other names where another client has the same ones."""
        names = iter(new_token)
        return tuple(Token(context, next(names) if token in self._owners else token, token)
                     for context, token in fresh)

    def token(self, given: str) -> tuple[Subscription, Token] | None:
        """The subscription that was given this DestinationToken, and the token with its current value."""
        held = self._held.get(self._owners.get(given, ""))
        if held is None:
            return None
        return held, next(token for token in held.tokens if token.given == given)
