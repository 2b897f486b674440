"""The interface by which the deliveries of one scanner are recorded for the gateway that owns the scanner next."""

from typing import Protocol

from twisted.internet.defer import Deferred

from wsdgateway.bridge.events.eventlog import EventID
from wsdgateway.bridge.events.fanout import Event


class DeliveryRecord(Protocol):
    """A record of what subscriptions, by their identifiers, were given. `net.events.eventrecord` implements it."""

    def opened(self, subscription: str) -> None:
        """Records that a subscription gets events from now on, or goes on to get them."""

    def handed_over(self, former: str, heir: str) -> None:
        """Records that a subscription goes on in place of another one."""

    def closed(self, subscription: str) -> None:
        """Records that a subscription has ended."""

    def given(self, subscription: str, event: Event) -> None:
        """Records that a subscription was given an event, or will not be given it."""

    def skipped(self, subscription: str, event: Event) -> None:
        """Records that a subscription will not be given an event, since it gets the same by an event made before."""

    def permit(self, subscription: str, event: Event) -> "Deferred[bool] | None":
        """Returns None if an event may be sent now; else fires when that is known, with False if it must not be."""

    def made(self, event: Event) -> EventID | None:
        """Records an event that the gateway made. Returns its identifier, None if it is not recorded."""


class NotRecorded:
    """The record of a gateway without others: it records nothing."""

    def opened(self, subscription: str) -> None: ...
    def handed_over(self, former: str, heir: str) -> None: ...
    def closed(self, subscription: str) -> None: ...
    def given(self, subscription: str, event: Event) -> None: ...
    def skipped(self, subscription: str, event: Event) -> None: ...
    def permit(self, subscription: str, event: Event) -> "Deferred[bool] | None": ...
    def made(self, event: Event) -> EventID | None: ...


NOT_RECORDED = NotRecorded()
