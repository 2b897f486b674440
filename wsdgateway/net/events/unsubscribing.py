"""Ends subscriptions at a scanner that nobody needs any more, however long that takes.

WS-Eventing 2004/08, section 3.4. A subscription that is not ended leaves a dead name on the panel, and hangs some
scanners. So Unsubscribe is sent again, after growing pauses, until the scanner answers or the subscription has expired.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.events.upstream import NO_MANAGER, TEMPORARY
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.soap.addressing import EndpointReference

FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0


@attrs.frozen
class Ending:
    """A subscription that is to be ended, at the scanner as it was known when it had that `address`.

    `notify_to` is where it notifies us, `expires_at` its end on the clock of the process.
    """

    manager: EndpointReference
    address: str
    notify_to: str
    expires_at: float = 0.0


class Unsubscribing:
    """Sends Unsubscribe for one purpose. `run` runs what a stop waits for.

    `ended` is called with the `notify_to` of each subscription that is over.
    """

    log = Logger()

    def __init__(self, side: EventingClient, run: Callable[[Coroutine[Any, Any, None]], None],
                 ended: Callable[[str], None]) -> None:
        self._side = side
        self._run = run
        self._ended = ended
        self._pause = 0.0
        self._waiting: set[IDelayedCall] = set()
        self._given_up = False

    @property
    def waits(self) -> bool:
        """Whether an Unsubscribe is to be sent again."""
        return any(timer.active() for timer in self._waiting)

    def begin(self, ending: Ending) -> None:
        """End a subscription."""
        self._run(self._end(ending))

    async def _end(self, ending: Ending) -> None:
        side = self._side
        if ending.manager == NO_MANAGER:
            self._ended(ending.notify_to)
            return
        try:
            refusal = side.hear(await side.unsubscribe(ending.manager, ending.address)).name
        except Exception as error:  # whatever happens, it is to be tried again
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: Unsubscribe", scanner=side.scanner)
            refusal = str(error)
        else:
            if refusal not in TEMPORARY:
                self._ended(ending.notify_to)
                return
        self.log.warn("{scanner}: Unsubscribe failed: {error}", scanner=side.scanner, error=refusal)
        if not self._given_up and side.seconds() < ending.expires_at:
            self._pause = min(self._pause * 2, LONGEST_RETRY) if self._pause else FIRST_RETRY
            self._waiting = {timer for timer in self._waiting if timer.active()}
            self._waiting.add(side.reactor.callLater(self._pause, self.begin, ending))

    def hurry(self) -> None:
        """The scanner can be reached again: what waits is sent now."""
        for timer in self._waiting:
            if timer.active():
                timer.reset(0)

    def give_up(self) -> None:
        """Send nothing again: the next start has from the store what has not been ended."""
        self._given_up = True
        for timer in self._waiting:
            if timer.active():
                timer.cancel()
