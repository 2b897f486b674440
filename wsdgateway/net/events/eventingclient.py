"""Sends Subscribe, Renew and Unsubscribe to one scanner, and holds what all subscriptions there share.

WS-Eventing 2004/08, sections 3.1, 3.2 and 3.4.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstreamanswers import UpstreamAnswer, is_other_service, read_answer
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.config.sections import Events
from wsdgateway.eventing.messages import write_renew, write_subscribe, write_unsubscribe
from wsdgateway.net.events.outstanding import Outstanding
from wsdgateway.net.scanners.address import ServiceLocation, reachable
from wsdgateway.net.scanners.soapclient import SendRequest
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.scan.operations import RENEW, SUBSCRIBE, UNSUBSCRIBE, Operation
from wsdgateway.soap.addressing import EndpointReference, is_placeless
from wsdgateway.soap.seen import Seen
from wsdgateway.storage.store import IStore

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # a URI's scheme. RFC 3986, section 3.1


class NotifiedSubscription(Protocol):
    """A subscription at the scanner, as whatever takes the scanner's notifications sees it."""

    identifier: str  # of the client's subscription that it is held for; empty for the gateway's
    seen: Seen

    def notified(self) -> None:
        """The scanner has notified us at the address of this subscription."""

    def ended(self) -> None:
        """The scanner has sent SubscriptionEnd."""

    def doubted(self) -> None:
        """Something suggests that the scanner no longer holds it."""


@attrs.frozen(eq=False)
class EventingClient:
    """Requests, clocks and store for all subscriptions at one scanner. `where` is its scan service.

    `events` is the configuration's section, with the `expires` to ask for; `notify_base` gives the URL under which the
    scanner reaches us, without the secret; `addresses` leads from each secret to the subscription that notifies there;
    `end_elsewhere` ends what is held at a former address of the scanner. `random` gives 0 to 1, `secret` that many
    random bytes.
    """

    log = Logger()

    reactor: Any
    scanner: str
    where: ServiceLocation
    events: Events
    send: SendRequest
    notify_base: Callable[[], Awaitable[str]]
    seconds: Callable[[], float]
    wall: Callable[[], float]
    random: Callable[[], float]
    secret: Callable[[int], bytes]
    new_id: Callable[[], str]
    store: IStore
    addresses: dict[str, NotifiedSubscription]
    end_elsewhere: Callable[[Held], None]

    @property
    def expires(self) -> float:
        """The seconds for which the scanner is asked to hold a subscription."""
        return self.events.expires

    @property
    def address(self) -> str:
        """Where the scan service is now."""
        return self.where.address

    def make_outstanding(self) -> Outstanding:
        """For requests of a subscription, which a stop waits for."""
        return Outstanding(self.reactor, lambda failure: self.log.failure(
            "{scanner}: subscription", failure, scanner=self.scanner))

    # Requests.

    async def subscribe(self, notify_to: str, actions: tuple[str, ...], extension: str) -> Reply:
        """Ask for these events, sent to that address. `extension` is XML for the Subscribe. Raises `DeviceError`."""
        return await self.send(self.address, SUBSCRIBE, write_subscribe(
            to=self.address, message_id=self.new_id(), notify_to=notify_to, actions=actions, expires=self.expires,
            extension=extension))

    async def renew(self, manager: EndpointReference) -> Reply:
        """Ask for more time. Raises `DeviceError`."""
        return await self._manage(RENEW, manager, self.address, lambda manager: write_renew(
            manager=manager, message_id=self.new_id(), expires=self.expires))

    async def unsubscribe(self, manager: EndpointReference, address: str = "") -> Reply:
        """End a subscription, at the scanner as it was known when it had that `address`. Raises `DeviceError`."""
        return await self._manage(UNSUBSCRIBE, manager, address or self.address, lambda manager: write_unsubscribe(
            manager=manager, message_id=self.new_id()))

    async def _manage(self, operation: Operation, manager: EndpointReference, scan: str,
                      write: Callable[[EndpointReference], bytes]) -> Reply:
        """Ask the subscription's manager; the scan service, if nothing at the manager's address speaks SOAP."""
        url, manager = managed_at(manager, scan)
        if url == scan:
            return await self.send(url, operation, write(manager))
        try:
            reply = await self.send(url, operation, write(manager))
        except DeviceError as error:
            if error.sent or urlsplit(url).netloc == urlsplit(scan).netloc:
                raise
        else:
            if not is_other_service(reply):
                return reply
        return await self.send(scan, operation, write(attrs.evolve(manager, address=scan)))

    def read(self, reply: Reply) -> UpstreamAnswer:
        """What the reply to one of these says."""
        return read_answer(reply, self.wall())

    # The store.

    def hold(self, held: Held) -> None:
        """Have the store keep a subscription at the scanner, in the place of its former self."""
        self._stored(self.store.hold(held))

    def release(self, identifier: str, notify_to: str) -> None:
        """Have the store forget the subscription that notified us there."""
        self._stored(self.store.release(self.scanner, identifier, notify_to))

    def _stored(self, storing: Deferred[None]) -> None:
        storing.addErrback(lambda failure: self.log.failure(
            "{scanner}: the store does not keep the subscription at the scanner", failure, scanner=self.scanner))


def managed_at(manager: EndpointReference, scan: str) -> tuple[str, EndpointReference]:
    """The URL to ask for a subscription manager of the scanner whose scan service is at `scan`, and its reference.

    Both are the scan service's where the address cannot be asked: a placeholder of WS-Addressing's, none, or a part.
    """
    address = manager.address
    if is_placeless(address) or not _ABSOLUTE.match(address):
        return scan, attrs.evolve(manager, address=scan)
    return reachable(address, scan), manager
