"""The store of clients' subscriptions, as seen by code that measures their time with a clock of its own."""

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.storage.store import IClientSubscriptions


@implementer(IClientSubscriptions)
class WallTimeStore:
    """The store of clients' subscriptions, with expiry times converted to the wall clock."""

    def __init__(self, store: IClientSubscriptions, clock: SteadyClock) -> None:
        self._store = store
        self._clock = clock

    def _by_wall(self, subscription: Subscription) -> Subscription:
        return attrs.evolve(subscription, expires_at=self._clock.on_wall(subscription.expires_at))

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        return self._store.save(self._by_wall(subscription), held)

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        return self._store.succeed(self._by_wall(heir), held, former, None if left is None else self._by_wall(left))

    def forget(self, identifier: str) -> Deferred[None]:
        return self._store.forget(identifier)
