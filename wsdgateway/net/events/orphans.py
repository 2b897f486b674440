"""What earlier starts have left at a scanner: taken up again, or ended.

WS-Eventing 2004/08, section 3.4. It is ended one after the other, and not over the connections of today's scanner.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.scanners.address import ServiceLocation
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.scan.operations import Operation


class Orphans:
    """One scanner's. `ask` sends a request by a client that `make_client` makes; `side` is the scanner's at an address.

    `see_off` is told of each subscription that is being ended.
    """

    def __init__(self, reactor: Any, *, make_client: Callable[[], DeviceClient],
                 ask: Callable[[DeviceClient, str, Operation, bytes], Awaitable[Reply]],
                 side: Callable[[ServiceLocation], EventingClient],
                 see_off: Callable[[DeviceSubscription], None]) -> None:
        self._make_client = make_client
        self._ask = ask
        self._side = side
        self._see_off = see_off
        self._serial = SerialQueue(reactor)
        self._held: dict[str, Held] = {}
        self.client: DeviceClient | None = None

    def restore(self, held: Iterable[Held]) -> None:
        """What the store has."""
        self._held.update((one.identifier, one) for one in held)

    def take(self, identifier: str) -> Held | None:
        """What is held for a subscription; the gateway's own has an empty identifier."""
        return self._held.pop(identifier, None)

    def leave_all(self) -> list[Deferred[None]]:
        """End what the scanner still holds for clients that have gone, or for nobody any more.

        Each fires when that has been tried once.
        """
        leaving, self._held = list(self._held.values()), {}
        return [self._end(held) for held in leaving]

    def leave(self, held: Held) -> None:
        """End one of them."""
        self._end(held)

    def _end(self, held: Held) -> Deferred[None]:
        if self.client is None:
            self.client = self._make_client()
        client = self.client
        tried: Deferred[None] = Deferred(lambda _: None)

        async def own(url: str, operation: Operation, body: bytes) -> Reply:
            try:
                return await self._serial.run(lambda: self._ask(client, url, operation, body))
            finally:
                if not tried.called:
                    tried.callback(None)

        side = attrs.evolve(self._side(ServiceLocation(held.address)), own=own)
        leaving = DeviceSubscription(side, identifier=held.identifier)
        self._see_off(leaving)
        leaving.leave(held)
        return tried
