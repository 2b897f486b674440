"""A clock that is never set, for how long subscriptions last, and its conversion to the wall clock.

A wall clock that is set, by hand or by NTP some time after the start, must not end every subscription at once.
WS-Eventing 2004/08, section 3.1: a duration is a duration.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.keeping import Listed

DRIFT = 1.0  # seconds that clocks differ by without having been set


class SubscriptionClock:
    """Seconds since 1970 by the wall clock at the start, and as many more as have passed since."""

    def __init__(self, seconds: Callable[[], float], wall: Callable[[], float]) -> None:
        self._seconds = seconds
        self._wall = wall
        self._start = wall() - seconds()

    def __call__(self) -> float:
        return self._start + self._seconds()

    def _set_by(self) -> float:
        """The seconds that the wall clock has been put forward since the start."""
        ahead = self._wall() - self()
        return ahead if abs(ahead) > DRIFT else 0.0

    def on_wall(self, moment: float) -> float:
        """A moment of this clock as the wall clock has it now: for the store, and for people."""
        return moment + self._set_by()

    def from_wall(self, moment: float) -> float:
        """A moment of the wall clock, from the store, as this clock has it."""
        return moment - self._set_by()


class WallTimeStore:
    """The store of clients' subscriptions, in which they end by the wall clock."""

    def __init__(self, store: Listed, subscription_clock: SubscriptionClock) -> None:
        self._store = store
        self._subscription_clock = subscription_clock

    def _by_wall(self, subscription: Subscription) -> Subscription:
        return attrs.evolve(subscription, expires_at=self._subscription_clock.on_wall(subscription.expires_at))

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        """Keep a client's subscription, in the place of its former self; together with what is held for it."""
        return self._store.save(self._by_wall(subscription), held)

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        """Another subscription takes a former one's place, all at once: the heir, what is held for it, what is left."""
        return self._store.succeed(self._by_wall(heir), held, former, None if left is None else self._by_wall(left))

    def forget(self, identifier: str) -> Deferred[None]:
        """A client's subscription is over."""
        return self._store.forget(identifier)
