"""Subscriptions that earlier starts have left at a scanner: resumes or ends them.

WS-Eventing 2004/08, section 3.4. They are ended one after the other, over connections other than those of the scanner
at its current address.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.events.unsubscribing import Unsubscribing
from wsdgateway.net.scanners.address import ServiceLocation
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.scan.operations import Operation


class Orphans:
    """The subscriptions left at one scanner. `request` sends a request by a client made with `make_client`.

    `eventing_client` returns the scanner's client for a location; `on_ending` is called for each subscription that is
    being ended.
    """

    def __init__(self, reactor: Any, *, make_client: Callable[[], DeviceClient],
                 request: Callable[[DeviceClient, str, Operation, bytes], Awaitable[Reply]],
                 eventing_client: Callable[[ServiceLocation], EventingClient],
                 on_ending: Callable[[Unsubscribing], None]) -> None:
        self._make_client = make_client
        self._request = request
        self._eventing_client = eventing_client
        self._on_ending = on_ending
        self._serial = SerialQueue(reactor)
        self._held: dict[str, Held] = {}
        self.client: DeviceClient | None = None

    def restore(self, held: Iterable[Held]) -> None:
        """Adds subscriptions from the store."""
        self._held.update((one.identifier, one) for one in held)

    def identifiers(self) -> list[str]:
        """The identifiers for which a subscription is held."""
        return list(self._held)

    def address_of(self, identifier: str) -> str | None:
        """The scan service at which a subscription is held for a client's, or for the gateway; None if none is."""
        held = self._held.get(identifier)
        return None if held is None else held.address

    def take(self, identifier: str) -> Held | None:
        """Removes and returns the subscription held for a client's, or with an empty identifier for the gateway."""
        return self._held.pop(identifier, None)

    def end_all(self) -> list[Deferred[None]]:
        """Ends the subscriptions at the scanner that are no longer needed.

        Each Deferred fires after the first attempt.
        """
        ending, self._held = list(self._held.values()), {}
        return [self._end(held) for held in ending]

    def end(self, held: Held) -> None:
        """Ends one subscription."""
        self._end(held)

    def _end(self, held: Held) -> Deferred[None]:
        if self.client is None:
            self.client = self._make_client()
        client = self.client
        tried: Deferred[None] = Deferred(lambda _: None)

        async def send(url: str, operation: Operation, body: bytes) -> Reply:
            try:
                return await self._serial.run(lambda: self._request(client, url, operation, body))
            finally:
                if not tried.called:
                    tried.callback(None)

        eventing_client = attrs.evolve(self._eventing_client(ServiceLocation(held.address)), send=send)
        unsubscribing = Unsubscribing(eventing_client, held.identifier)
        self._on_ending(unsubscribing)
        unsubscribing.end_held(held)
        return tried
