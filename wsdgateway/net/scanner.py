"""One bridged scanner at work: its bridge, its connections, its subscription, its notifications.

The way of a request ends here in `exchanges`, the way of an event begins in `notify`.
"""

import random
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.intake import read_notification
from wsdgateway.bridge.jobtable import Job
from wsdgateway.bridge.routing import Rejected
from wsdgateway.bridge.scanner import BridgedScanner
from wsdgateway.metadata.messages import scan_service_addresses, write_get
from wsdgateway.metrics import ERROR, FAULT, OK, Metrics
from wsdgateway.net.devicecall import Call, address_of
from wsdgateway.net.deviceclient import DeviceClient
from wsdgateway.net.exchange import Exchanges, read_reply
from wsdgateway.net.failures import BadDevice, DeviceError
from wsdgateway.net.subscription import DeviceSubscription, reachable
from wsdgateway.net.turn import Turn
from wsdgateway.scan.operations import GET_METADATA, Operation
from wsdgateway.soap.envelope import CONTENT_TYPE, read
from wsdgateway.soap.faults import Fault, invalid_args, write_fault
from wsdgateway.soap.parsing import Malformed

LONGEST_RESOLVE_PAUSE = 60.0

Network = IPv4Network | IPv6Network


@attrs.frozen
class ScannerOptions:
    """What the configuration says of one scanner. Exactly one of `scan` and `device` is a URL, or neither."""

    name: str
    scan: str | None = None
    device: str | None = None
    subscribe: bool = True
    max_connections: int = 2
    timeout: float = 60.0
    idle_timeout: float = 60.0
    lenient: bool = False
    event_sources: tuple[Network, ...] = ()
    max_age: float = 30.0
    poll_interval: float = 1.0
    history: int = 1000
    expires: float = 3600.0
    authorities: frozenset[str] = frozenset()


@attrs.frozen
class Surroundings:
    """What a scanner needs of the process: the reactor, clocks, message ids, metrics.

    `events_base` gives the URL of this gateway as the device at a host and port reaches it.
    """

    reactor: Any
    seconds: Callable[[], float]
    wall: Callable[[], float]
    new_id: Callable[[], str]
    metrics: Metrics
    events_base: Callable[[str, int], Awaitable[str]]
    on_finished: Callable[[str, Job], None]


class Scanner:
    """One bridged scanner. `start` and `stop` are its life."""

    log = Logger()

    def __init__(self, options: ScannerOptions, around: Surroundings) -> None:
        self.options = options
        self.name = options.name
        self._around = around
        self.bridge = BridgedScanner(
            options.name, max_age=options.max_age, poll_interval=options.poll_interval, history=options.history,
            new_id=around.new_id, authorities=options.authorities)
        self.device = DeviceClient(
            around.reactor, seconds=around.seconds, max_connections=options.max_connections, timeout=options.timeout,
            idle_timeout=options.idle_timeout, lenient=options.lenient, on_recovered=self._recovered)
        self._exchanges = Exchanges(self.bridge, self.device, around.metrics, seconds=around.seconds,
                                    new_id=around.new_id, after_learning=self._learnt,
                                    on_trouble=self._check)
        self.serve = self._exchanges.serve
        self.subscription: DeviceSubscription | None = None
        self._resolving: IDelayedCall | None = None
        self._resolve_pause = 1.0
        self._stopping = False
        around.metrics.scanners.append(self)

    # The way of a request.

    async def own(self, url: str, operation: Operation, body: bytes) -> Reply:
        """Send a request of our own to the device. Raises `DeviceError`."""
        metrics = self._around.metrics
        try:
            address = address_of(url)
        except ValueError as error:
            raise BadDevice(url, str(error)) from None
        call = Call(address, operation, body, [(b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway")])
        try:
            reply = await read_reply(await self.device.request(call))
        except DeviceError:
            if call.sent:
                metrics.device_request(self.name, operation.name, ERROR)
            raise
        metrics.device_request(self.name, operation.name, OK if reply.status < 400 else FAULT)
        return reply

    # The way of an event.

    def expects(self, secret: str) -> bool:
        """Whether notifications of the current subscription arrive under this secret."""
        return self.subscription is not None and bool(self.subscription.secret) and compare_digest(
            secret.encode(), self.subscription.secret.encode())

    def notify(self, turn: Turn) -> None:
        """Take a notification of the device's.

        Envelope and action are checked, then the sender, then 202 goes out; the rest follows.
        """
        notification = read_notification(turn.request.body)
        if isinstance(notification, Rejected):
            self._refuse(turn, notification.fault, notification.relates_to)
        elif not self._may_notify(turn.client):
            self.log.warn("{scanner}: a notification from {client} is refused", scanner=self.name, client=turn.client)
            self._refuse(turn, invalid_args(
                f"Notifications are not taken from {turn.client}; add its network to event_sources of the scanner."),
                notification.message_id)
        else:
            turn.answer(202, b"", b"")
            if not self.bridge.notified(notification, self._around.seconds()):
                return
            self._around.metrics.event(self.name, notification.event or "other")
            self._store_finished()
            if notification.event is None and self.subscription is not None:
                self.subscription.ended()

    def _refuse(self, turn: Turn, fault: Fault, relates_to: str | None) -> None:
        turn.answer(fault.status, write_fault(fault, relates_to=relates_to, message_id=self._around.new_id()))

    def _may_notify(self, client: str) -> bool:
        if client in self.device.peers or client == urlsplit(self.bridge.device or "").hostname:
            return True
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None and str(mapped) in self.device.peers:
            return True
        return any(candidate in network for network in self.options.event_sources
                   for candidate in (address, mapped) if candidate is not None)

    def _store_finished(self) -> None:
        finished = self.bridge.table.newly_finished
        while finished:
            self._around.on_finished(self.name, finished.pop(0))

    # The life of it.

    def start(self) -> None:
        """Find the scan service, and subscribe."""
        if self.options.scan is not None:
            self._found(self.options.scan)
        elif self.options.device is not None:
            self._resolve()

    def _found(self, address: str) -> None:
        self.bridge.device = address
        if not self.options.subscribe:
            return
        around = self._around
        host, port = urlsplit(address).hostname or "", urlsplit(address).port or 80

        async def notify_base() -> str:
            return f"{await around.events_base(host, port)}/{self.name}/events"

        self.subscription = DeviceSubscription(
            around.reactor, scanner=self.name, address=address, expires=self.options.expires, own=self.own,
            notify_base=notify_base, seconds=around.seconds, wall=around.wall, random=random.random,
            new_id=around.new_id, on_lost=self.bridge.rebooted, on_change=self._listening)
        self.subscription.start()

    def _listening(self, listening: bool) -> None:
        self.bridge.table.listening = listening

    def _recovered(self, was_open: bool) -> None:
        """The device was away. A subscription tells whether it forgot us; without one it may have started again."""
        if was_open and not self.bridge.table.listening:
            self.bridge.rebooted()
        if self.subscription is not None:
            self.subscription.recovered(was_away=was_open)

    def _learnt(self) -> None:
        self._store_finished()
        if self.bridge.suspects_reboot:
            self.bridge.suspects_reboot = False
            self._check()

    def _check(self) -> None:
        """See whether the device still holds our subscription; by itself, since clients may all have gone."""
        if self.subscription is not None:
            self.subscription.doubted()

    def _resolve(self) -> None:
        self._resolving = None
        resolving: Deferred[None] = Deferred.fromCoroutine(self._read_metadata())
        resolving.addErrback(lambda failure: self.log.failure("{scanner}: metadata", failure, scanner=self.name))

    async def _read_metadata(self) -> None:
        url = self.options.device
        assert url is not None
        try:
            reply = await self.own(url, GET_METADATA, write_get(to=endpoint_of(url), message_id=self._around.new_id()))
            addresses = scan_service_addresses(read(reply.body))
            why = "its metadata names no scan service"
        except DeviceError as error:
            addresses, why = (), str(error)
        except Malformed as error:
            addresses, why = (), f"its metadata can't be read: {error}"
        if self._stopping:
            return
        if addresses:
            self._found(reachable(addresses[0], url))
            self.log.info("{scanner}: its scan service is {url}", scanner=self.name, url=self.bridge.device)
            return
        self.log.warn("{scanner}: the scan service is not known: {why}; next try in {pause:g} s",
                      scanner=self.name, why=why, pause=self._resolve_pause)
        self._resolving = self._around.reactor.callLater(self._resolve_pause, self._resolve)
        self._resolve_pause = min(self._resolve_pause * 2, LONGEST_RESOLVE_PAUSE)

    async def stop(self) -> None:
        """Leave the device in peace: end the subscription, close every connection."""
        self._stopping = True
        if self._resolving is not None:
            self._resolving.cancel()
        if self.subscription is not None:
            await self.subscription.stop()
        await self.device.stop()

    # For the gauges and the admin site.

    def subscriptions(self) -> dict[str, int]:
        """Live subscriptions by side."""
        return {"device": int(self.bridge.table.listening), "client": 0}

    def job_states(self) -> list[str]:
        """The state of every job that is kept."""
        table = self.bridge.table
        return [job.status.state for job in table.jobs() if job.status is not None and not table.is_lost(job)]


def endpoint_of(url: str) -> str:
    """The endpoint reference's address of the device at that URL: the uuid in its path, else the URL itself."""
    last = urlsplit(url).path.rpartition("/")[2]
    parts = last.split("-")
    if [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(c in "0123456789abcdefABCDEF-" for c in last):
        return f"urn:uuid:{last}"
    return url
