"""The table of clients' subscriptions to one scanner, with their sinks, filters, expiry times and DestinationTokens.

WS-Eventing 2004/08, section 3; WS-Scan, DestinationToken. Times are seconds since 1970, on a clock unaffected by
changes to the system time. A client's token stays valid: if the scanner has replaced it, the gateway substitutes the
scanner's new one. No two clients are given the same token.
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
    """A DestinationToken: as given to the client, and the scanner's current one."""

    context: str
    given: str
    current: str


@attrs.frozen
class Subscription:
    """A client's subscription. `client` is its IP address, `manager` the manager address given to it.

    With `panel`, a subscription is also held at the scanner for ScanAvailableEvent; `destinations` are the names shown
    there.
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
        """The identifier as used in messages."""
        return URN + self.identifier

    def wants(self, action: str) -> bool:
        """True if an event for all subscribers is sent to this one."""
        return action != SCAN_AVAILABLE_ACTION and self.filter.matches(action)

    def repeats(self, other: "Subscription") -> bool:
        """True if the same client registers the same names for the same sink again."""
        return (self.client, self.notify_to, self.destinations, self.panel) == (
            other.client, other.notify_to, other.destinations, other.panel)

    @property
    def likeness(self) -> tuple[object, ...]:
        """The key by which a later subscription makes an earlier one superfluous."""
        return self.client, self.notify_to, self.filter, self.destinations


def paired(tokens: Iterable[Token], fresh: Iterable[tuple[str, str]]) -> tuple[Token, ...]:
    """Returns the old tokens with the scanner's values from a new subscription, paired in order within each context."""
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
        """True if there is no room for another one."""
        return len(self._held) + len(self._expected) >= self.limit

    def expect(self, identifier: str) -> None:
        """Reserves a place for a subscription that is being stored."""
        self._expected.add(identifier)

    def unexpect(self, identifier: str) -> None:
        """Releases a reserved place: the subscription is in the table, or was not made."""
        self._expected.discard(identifier)

    def all(self) -> list[Subscription]:
        """Returns all subscriptions, oldest first; some may have just expired."""
        return list(self._held.values())

    def put(self, subscription: Subscription) -> None:
        """Adds a subscription, or replaces its former version."""
        self._disown(subscription.identifier)
        self._held[subscription.identifier] = subscription
        for token in subscription.tokens:
            self._owners[token.given] = subscription.identifier

    def remove(self, identifier: str) -> Subscription | None:
        """Removes and returns a subscription; None if it is not in the table."""
        self._disown(identifier)
        return self._held.pop(identifier, None)

    def _disown(self, identifier: str) -> None:
        held = self._held.get(identifier)
        for token in held.tokens if held is not None else ():
            if self._owners.get(token.given) == identifier:
                del self._owners[token.given]

    def get(self, identifier: str) -> Subscription | None:
        """Returns the subscription with that identifier, even if it has expired and its end is not yet handled."""
        return self._held.get(identifier)

    def find(self, identifier: str | None, now: float) -> Subscription | None:
        """Returns the live subscription with that identifier."""
        held = self._held.get(identifier or "")
        return held if held is not None and held.expires_at > now else None

    def expired(self, now: float) -> list[Subscription]:
        """Returns the expired subscriptions."""
        return [held for held in self._held.values() if held.expires_at <= now]

    def next_expiry(self) -> float | None:
        """Returns the earliest expiry time; None if there are no subscriptions."""
        return min((held.expires_at for held in self._held.values()), default=None)

    def listening(self, action: str, now: float) -> list[Subscription]:
        """Returns the live subscriptions that want an event with that action."""
        return [held for held in self._held.values() if held.expires_at > now and held.wants(action)]

    def is_listening(self, action: str, now: float) -> bool:
        """True if a live subscription wants an event with that action."""
        return any(held.expires_at > now and held.wants(action) for held in self._held.values())

    def repeated(self, subscription: Subscription) -> Subscription | None:
        """Returns a panel subscription that this one repeats, so that the scanner need not be asked for another."""
        return next((held for held in self._held.values() if held.panel and subscription.repeats(held)), None)

    def superseded(self) -> Subscription | None:
        """Returns the oldest subscription that its own client has repeated since; None if there is none.

        Some clients repeat theirs every minute.
        """
        seen = set()
        found = None
        for held in reversed(self._held.values()):
            if held.likeness in seen:
                found = held
            seen.add(held.likeness)
        return found

    def tokens_for(self, fresh: Iterable[tuple[str, str]], new_token: Iterable[str]) -> tuple[Token, ...]:
        """Returns the scanner's new tokens for a client.

        A token that another client already has is given under another name.
        """
        names = iter(new_token)
        return tuple(Token(context, next(names) if token in self._owners else token, token)
                     for context, token in fresh)

    def token(self, given: str) -> tuple[Subscription, Token] | None:
        """Returns the subscription that was given this DestinationToken, and the token with its current value."""
        held = self._held.get(self._owners.get(given, ""))
        if held is None:
            return None
        return held, next(token for token in held.tokens if token.given == given)
