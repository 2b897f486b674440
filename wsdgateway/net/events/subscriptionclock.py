"""A clock for the duration of subscriptions that is unaffected by changes to the system time.

If the wall clock is set, by hand or by NTP some time after the start, subscriptions must not all end at once.
WS-Eventing 2004/08, section 3.1: a duration is a duration. The store has wall-clock times, so times are converted.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.storage.store import IClientSubscriptions

DRIFT = 1.0  # seconds by which the clocks may differ without having been set


class SubscriptionClock:
    """A clock that starts with the wall clock's time and then counts elapsed seconds."""

    def __init__(self, seconds: Callable[[], float], wall: Callable[[], float]) -> None:
        self._seconds = seconds
        self._wall = wall
        self._start = wall() - seconds()

    def __call__(self) -> float:
        return self._start + self._seconds()

    def _set_by(self) -> float:
        """Returns the seconds by which the wall clock has been set forward since the start."""
        ahead = self._wall() - self()
        return ahead if abs(ahead) > DRIFT else 0.0

    def on_wall(self, moment: float) -> float:
        """Converts a time of this clock to the current wall clock: for the store, and for people."""
        return moment + self._set_by()

    def from_wall(self, moment: float) -> float:
        """Converts a time of the wall clock, as found in the store, to this clock."""
        return moment - self._set_by()


@implementer(IClientSubscriptions)
class WallTimeStore:
    """The store of clients' subscriptions, with expiry times converted to the wall clock."""

    def __init__(self, store: IClientSubscriptions, subscription_clock: SubscriptionClock) -> None:
        self._store = store
        self._subscription_clock = subscription_clock

    def _by_wall(self, subscription: Subscription) -> Subscription:
        return attrs.evolve(subscription, expires_at=self._subscription_clock.on_wall(subscription.expires_at))

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        return self._store.save(self._by_wall(subscription), held)

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        return self._store.succeed(self._by_wall(heir), held, former, None if left is None else self._by_wall(left))

    def forget(self, identifier: str) -> Deferred[None]:
        return self._store.forget(identifier)
