"""What `net` needs of the store: that clients' subscriptions, and those at scanners, outlive the process."""

from typing import Protocol

from twisted.internet.defer import Deferred

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held


class Listed(Protocol):
    """Clients' subscriptions as they are written down."""

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        """Keep a client's subscription, in the place of its former self; together with what is held for it."""

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        """Another subscription takes a former one's place, all at once: the heir, what is held for it, what is left."""

    def forget(self, identifier: str) -> Deferred[None]:
        """A client's subscription is over."""


class Keeping(Listed, Protocol):
    """Writes happen in the order in which they are asked for; their Deferreds fire when they are kept, or fail."""

    def hold(self, held: Held) -> Deferred[None]:
        """Keep what is held at a scanner, in the place of its former self."""

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        """What notifies us there is held no more."""

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        """The MetadataVersion of a stand-in whose metadata has this digest: one more than before if it has changed."""

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        """Keep the name of a scanner that was found, in the place of its former one."""

    def abandon(self, uuid: str) -> Deferred[None]:
        """A scanner that was adopted is none of ours any more."""
