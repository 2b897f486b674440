"""Sends Subscribe, Renew and Unsubscribe to one scanner, and holds the state shared by all subscriptions there.

WS-Eventing 2004/08, sections 3.1, 3.2 and 3.4.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstreamanswers import UpstreamAnswer, is_other_service, read_answer
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.config.sections import Events
from wsdgateway.eventing.messages import write_renew, write_subscribe, write_unsubscribe
from wsdgateway.net.events.outstanding import Outstanding
from wsdgateway.net.scanners.address import ServiceLocation, reachable
from wsdgateway.net.scanners.soapclient import SendRequest
from wsdgateway.net.transport.errors import DeviceError, Unavailable
from wsdgateway.scan.operations import RENEW, SUBSCRIBE, UNSUBSCRIBE, Operation
from wsdgateway.soap.addressing import EndpointReference, is_placeless
from wsdgateway.soap.seen import Seen
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import IStore

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # a URI's scheme. RFC 3986, section 3.1


class NotifiedSubscription(Protocol):
    """The interface of a subscription at the scanner for the code that receives the scanner's notifications."""

    identifier: str  # identifier of the client's subscription that it is held for; empty for the gateway's own
    seen: Seen

    def notified(self) -> None:
        """Handles a notification sent to the address of this subscription."""

    def ended(self) -> None:
        """Handles a SubscriptionEnd from the scanner."""

    def doubted(self) -> None:
        """Handles a sign that the scanner no longer holds the subscription."""


@attrs.frozen(eq=False)
class EventingClient:
    """Requests, clocks and store for all subscriptions at one scanner. `where` is the location of its scan service.

    `events` is the configuration's section, with the `expires` to request; `notify_base` returns the URL at which the
    scanner reaches the gateway, without the secret; `addresses` maps each secret to the subscription notified there;
    `end_elsewhere` ends a subscription held at a former address of the scanner. `random` returns 0 to 1, `secret` the
    given number of random bytes. While `may_subscribe` returns False, subscriptions are only renewed and ended.
    `owns` tells whether this gateway owns the scanner; `leave_behind` is called with a subscription that was granted
    when it no longer did, because nothing may be sent to the scanner then.
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
    may_subscribe: Callable[[], bool] = always
    owns: Callable[[], bool] = always
    leave_behind: Callable[[Held], None] = lambda held: None

    @property
    def expires(self) -> float:
        """The requested duration of a subscription, in seconds."""
        return self.events.expires

    @property
    def address(self) -> str:
        """The current address of the scan service."""
        return self.where.address

    def make_outstanding(self) -> Outstanding:
        """Creates a container for requests of a subscription that a stop has to wait for."""
        return Outstanding(self.reactor, lambda failure: self.log.failure(
            "{scanner}: handling the subscription failed", failure, scanner=self.scanner))

    # Requests.

    def check(self) -> None:
        """Raises `DeviceError` if no subscription may be made or replaced now."""
        if not self.may_subscribe():
            raise Unavailable(urlsplit(self.address).netloc,
                              "no subscription is made while the gateway serves the scanner alone")

    async def subscribe(self, notify_to: str, actions: tuple[str, ...], extension: str) -> Reply:
        """Subscribes to events, which are sent to `notify_to`. Raises `DeviceError`.

        `extension` is XML for the Subscribe.
        """
        self.check()
        return await self.send(self.address, SUBSCRIBE, write_subscribe(
            to=self.address, message_id=self.new_id(), notify_to=notify_to, actions=actions, expires=self.expires,
            extension=extension))

    async def renew(self, manager: EndpointReference) -> Reply:
        """Renews a subscription. Raises `DeviceError`."""
        return await self._manage(RENEW, manager, self.address, lambda manager: write_renew(
            manager=manager, message_id=self.new_id(), expires=self.expires))

    async def unsubscribe(self, manager: EndpointReference, address: str = "") -> Reply:
        """Ends a subscription that was made when the scanner had that `address`. Raises `DeviceError`."""
        return await self._manage(UNSUBSCRIBE, manager, address or self.address, lambda manager: write_unsubscribe(
            manager=manager, message_id=self.new_id()))

    async def _manage(self, operation: Operation, manager: EndpointReference, scan: str,
                      write: Callable[[EndpointReference], bytes]) -> Reply:
        """Sends a request to the subscription's manager.

        If nothing at the manager's address speaks SOAP, it is sent to the scan service.
        """
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
        """Parses the reply to one of these requests."""
        return read_answer(reply, self.wall())

    # The store.

    def hold(self, held: Held) -> None:
        """Stores a subscription at the scanner; replaces its former version."""
        self._stored(self.store.hold(held))

    def release(self, identifier: str, notify_to: str) -> None:
        """Deletes from the store the subscription with that NotifyTo address."""
        self._stored(self.store.release(self.scanner, identifier, notify_to))

    def _stored(self, storing: Deferred[None]) -> None:
        storing.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: writing the subscription at the scanner to the store failed",
            scanner=self.scanner))


def managed_at(manager: EndpointReference, scan: str) -> tuple[str, EndpointReference]:
    """Returns the URL for requests to a subscription manager, and the manager's reference.

    `scan` is the address of the scanner's scan service. Both results are those of the scan service if the manager's
    address is unusable: a placeholder of WS-Addressing, empty, or relative.
    """
    address = manager.address
    if is_placeless(address) or not _ABSOLUTE.match(address):
        return scan, attrs.evolve(manager, address=scan)
    return reachable(address, scan), manager
