"""What all subscriptions at one scanner share: how it is asked, and what its answers say.

WS-Eventing 2004/08, sections 3.1, 3.2 and 3.4.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import attrs

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.eventing.messages import Granted, read_granted, write_renew, write_subscribe, write_unsubscribe
from wsdgateway.http.messages import first
from wsdgateway.net.scanners.address import ServiceLocation, reachable
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.scan.operations import RENEW, SUBSCRIBE, UNSUBSCRIBE, Operation
from wsdgateway.soap.addressing import EndpointReference, is_placeless
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed
from wsdgateway.storage.store import IStore

if TYPE_CHECKING:
    from wsdgateway.net.events.devicesubscription import DeviceSubscription

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # a URI's scheme. RFC 3986, section 3.1


class Own(Protocol):
    """Sends a request of the gateway's own to the device."""

    def __call__(self, url: str, operation: Operation, body: bytes) -> Awaitable[Reply]:
        """The whole answer. Raises `DeviceError`."""


@attrs.frozen(eq=False)
class Said:
    """A device's answer: its grant, or the name of its refusal (the fault's, or a bare answer's status).

    Neither is there if it answered with a success that grants nothing that can be read.
    """

    granted: Granted | None
    name: str
    envelope: Envelope | None


@attrs.frozen(eq=False)
class EventingClient:
    """What all subscriptions at one scanner share. `where` is its scan service, `expires` in seconds is asked for.

    `notify_base` gives the URL under which the scanner reaches us, without the secret; `addresses` leads from each
    secret to the subscription that notifies there; `leave` ends what is held at an address of former times.
    """

    reactor: Any
    scanner: str
    where: ServiceLocation
    expires: float
    own: Own
    notify_base: Callable[[], Awaitable[str]]
    seconds: Callable[[], float]
    wall: Callable[[], float]
    random: Callable[[], float]
    new_id: Callable[[], str]
    store: IStore
    addresses: dict[str, "DeviceSubscription"]
    leave: Callable[[Held], None]

    @property
    def address(self) -> str:
        """Where the scan service is now."""
        return self.where.address

    async def subscribe(self, notify_to: str, actions: tuple[str, ...], extension: str) -> Reply:
        """Ask for these events, told at that address. `extension` is XML for the Subscribe. Raises `DeviceError`."""
        return await self.own(self.address, SUBSCRIBE, write_subscribe(
            to=self.address, message_id=self.new_id(), notify_to=notify_to, actions=actions, expires=self.expires,
            extension=extension))

    async def renew(self, manager: EndpointReference) -> Reply:
        """Ask for more time. Raises `DeviceError`."""
        return await self._manage(RENEW, manager, self.address, lambda manager: write_renew(
            manager=manager, message_id=self.new_id(), expires=self.expires))

    async def unsubscribe(self, manager: EndpointReference, address: str = "") -> Reply:
        """Say goodbye, at the scanner as it was known when it had that `address`. Raises `DeviceError`."""
        return await self._manage(UNSUBSCRIBE, manager, address or self.address, lambda manager: write_unsubscribe(
            manager=manager, message_id=self.new_id()))

    async def _manage(self, operation: Operation, manager: EndpointReference, scan: str,
                      write: Callable[[EndpointReference], bytes]) -> Reply:
        """Ask the subscription's manager; the scan service, if nothing at the manager's address speaks SOAP."""
        url, manager = managed_at(manager, scan)
        if url == scan:
            return await self.own(url, operation, write(manager))
        try:
            reply = await self.own(url, operation, write(manager))
        except DeviceError as error:
            if error.sent or urlsplit(url).netloc == urlsplit(scan).netloc:
                raise
        else:
            if not _is_astray(reply):
                return reply
        return await self.own(scan, operation, write(attrs.evolve(manager, address=scan)))

    def hear(self, reply: Reply) -> Said:
        """What an answer to one of these says."""
        is_success = reply.status < 300
        try:
            envelope = read(reply.body, reply.charset)
            fault = fault_of(envelope)
            if fault is not None or not is_success:
                return Said(None, fault or str(reply.status), envelope)
            return Said(read_granted(envelope, self._device_time(reply)), "", envelope)
        except Malformed:
            return Said(None, "" if is_success else str(reply.status), None)

    def _device_time(self, reply: Reply) -> datetime:
        """The device's clock where it tells it, else ours: a point in time in Expires is on the device's."""
        date = first(list(reply.headers), b"date")
        if date is not None:
            try:
                told = parsedate_to_datetime(date.decode("latin-1"))
                return told if told.tzinfo else told.replace(tzinfo=UTC)
            except (ValueError, OverflowError):
                pass  # a clock that nobody can read
        return datetime.fromtimestamp(self.wall(), UTC)


def managed_at(manager: EndpointReference, scan: str) -> tuple[str, EndpointReference]:
    """The URL for a subscription manager of the scanner whose scan service is at `scan`, and whom it is addressed to.

    Both are the scan service where the address cannot be asked: a placeholder of WS-Addressing's, none, or a part.
    """
    address = manager.address
    if is_placeless(address) or not _ABSOLUTE.match(address):
        return scan, attrs.evolve(manager, address=scan)
    return reachable(address, scan), manager


def _is_astray(reply: Reply) -> bool:
    """Whether an answer is no SOAP, and no sign of success or of being busy either: nobody reads SOAP there."""
    if reply.status == 503 or (reply.status < 300 and not reply.body):
        return False
    try:
        read(reply.body, reply.charset)
    except Malformed:
        return True
    return False


