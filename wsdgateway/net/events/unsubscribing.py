"""Ends subscriptions at a scanner that are no longer needed, however long that takes.

WS-Eventing 2004/08, section 3.4. A subscription that is not ended leaves a dead name on the panel, and makes some
scanners hang. Unsubscribe is therefore repeated, with growing pauses, until the scanner answers or the subscription has
expired.
"""

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.events.upstream import TEMPORARY
from wsdgateway.bridge.events.upstream_core import NO_MANAGER
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.eventing.messages import Granted
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.events.outstanding import Outstanding
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.soap.addressing import EndpointReference

FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0
# A stop waits this long for the scanner; hanging requests end when the scanner's client is closed afterwards.
LEAVE_SECONDS = 10.0


@attrs.frozen
class Ending:
    """A subscription to be ended, at the `address` that the scanner had when the subscription was made.

    `notify_to` is its NotifyTo address, `expires_at` its expiry time on the clock of the process.
    """

    manager: EndpointReference
    address: str
    notify_to: str
    expires_at: float = 0.0


class Unsubscribing:
    """Ends the subscriptions held for the client's subscription with that `identifier` (empty: for the gateway).

    A stop waits for the requests in `outstanding`. Each subscription is deleted from the store when the scanner has
    ended it::

                 answered
        sending ──────────────────────────────────► over
         ▲   │                                       ▲
         │   │ unreachable, busy                     │ expired, give_up (the store still lists it)
         │   ▼                                       │
        waiting ─────────────────────────────────────┘
         pause is over, hurry
    """

    log = Logger()

    def __init__(self, client: EventingClient, identifier: str, outstanding: Outstanding | None = None) -> None:
        self._client = client
        self.identifier = identifier
        self._outstanding = client.make_outstanding() if outstanding is None else outstanding
        self._pause = 0.0
        self._waiting: list[IDelayedCall] = []
        self._given_up = False

    @property
    def waits(self) -> bool:
        """True if an Unsubscribe is to be repeated."""
        return any(timer.active() for timer in self._waiting)

    @property
    def is_done(self) -> bool:
        """True if no request is outstanding or to be repeated."""
        return not self._outstanding and not self.waits

    def begin(self, ending: Ending) -> None:
        """Ends a subscription."""
        self._outstanding.run(self._end(ending))

    def end_held(self, held: Held) -> None:
        """Ends a subscription left by an earlier start, at the scanner's address of that time."""
        client = self._client
        left = held.expires_at - client.wall()
        self.begin(Ending(held.manager, held.address, held.notify_to, client.seconds() + left))

    def end_late_grant(self, granted: Granted, notify_to: str) -> None:
        """Ends a subscription that was granted after a stop.

        It is stored, so that the next start can end it if this one cannot.
        """
        client = self._client
        if granted.manager is None:
            return
        held = Held(client.scanner, self.identifier, client.address, notify_to, granted.manager,
                    client.wall() + (granted.expires or client.expires))
        if not client.owns():
            client.leave_behind(held)
            return
        client.hold(held)
        self.begin(Ending(granted.manager, client.address, notify_to))

    async def _end(self, ending: Ending) -> None:
        client = self._client
        if ending.manager == NO_MANAGER:
            client.release(self.identifier, ending.notify_to)
            return
        try:
            refusal = client.read(await client.unsubscribe(ending.manager, ending.address)).refusal
        except Exception as error:  # tried again after any error
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: Unsubscribe failed", scanner=client.scanner)
            refusal = str(error)
        else:
            if refusal not in TEMPORARY:
                client.release(self.identifier, ending.notify_to)
                return
        self.log.warn("{scanner}: Unsubscribe failed: {error}", scanner=client.scanner, error=refusal)
        if not self._given_up and client.seconds() < ending.expires_at:
            self._pause = min(self._pause * 2, LONGEST_RETRY) if self._pause else FIRST_RETRY
            self._waiting = [timer for timer in self._waiting if timer.active()]
            self._waiting.append(client.reactor.callLater(self._pause, self.begin, ending))

    def hurry(self) -> None:
        """Sends waiting requests immediately, because the scanner can be reached again."""
        for timer in self._waiting:
            if timer.active():
                timer.reset(0)

    def give_up(self) -> None:
        """Stops repeating requests; the next start finds in the store which subscriptions have not been ended."""
        self._given_up = True
        for timer in self._waiting:
            if timer.active():
                timer.cancel()
