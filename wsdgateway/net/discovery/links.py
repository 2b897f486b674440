"""The links of this host that discovery uses: opens them, and passes datagrams to the target services or the client.

WS-Discovery 2005/04, sections 2 and 3. Announcements are sent only on client interfaces, Probes and Resolves only on
device interfaces. Datagrams that are malformed, oversize or too frequent are dropped and counted.
"""

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from wsdgateway.discovery.messages import MAX_ENVELOPE, read_message
from wsdgateway.discovery.versions import NAMES
from wsdgateway.net.discovery.client import ANSWERS, DiscoveryClient
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.targetservices import TargetServices
from wsdgateway.net.transport.interfaces import Interface, InterfaceWatch, read_interfaces
from wsdgateway.net.transport.localaddress import authority
from wsdgateway.soap.parsing import Malformed

LONGEST_PAUSE = 32  # in polls of the interfaces, between attempts to send on a link after a failure
WARN_PAUSE = 4
OnMessage = Callable[[str, str, str | None, str, bytes], None]
REQUESTS = frozenset(("Probe", "Resolve"))
ALL_NAMES = frozenset(NAMES)


class DiscoveryLinks(Service):
    """Keeps a link open on each of the interfaces while it exists; opens no socket if none are given.

    `is_own` tells whether a MessageID is one of this process. For each message received, `count(side, name)` and
    `on_message(name, action, message_id, client, data)` are called; for each one dropped, `on_dropped(reason)`.
    """

    logger = Logger()

    def __init__(self, reactor: Any, *, client_interfaces: tuple[str, ...], device_interfaces: tuple[str, ...],
                 is_own: Callable[[str], bool], count: Callable[[str, str], None], on_dropped: Callable[[str], None],
                 on_message: OnMessage = lambda *message: None, targets: TargetServices | None = None,
                 client: DiscoveryClient | None = None,
                 read: Callable[[], dict[str, Interface]] = read_interfaces) -> None:
        self._reactor = reactor
        self._client_interfaces = frozenset(client_interfaces)
        self._device_interfaces = frozenset(device_interfaces)
        self._targets = targets
        self._client = client
        self._is_own = is_own
        self._count = count
        self._on_dropped = on_dropped
        self._on_message = on_message
        self._links: dict[tuple[str, int], Link] = {}
        self._open_problems: dict[tuple[str, int], str] = {}
        self._pauses: dict[tuple[str, int], tuple[int, int]] = {}
        self._watch = InterfaceWatch(reactor, tuple(dict.fromkeys((*client_interfaces, *device_interfaces))),
                                     self._reconcile, read)
        self._missing: frozenset[str] = frozenset()

    def startService(self) -> None:
        super().startService()
        if self._client is not None:
            self._client.start()
        if self._client_interfaces or self._device_interfaces:
            self._watch.start()

    def _reconcile(self, current: dict[str, Interface]) -> None:
        """Open and close links to match the current interfaces."""
        missing = (self._client_interfaces | self._device_interfaces) - set(current)
        for name in sorted(missing - self._missing):
            self.logger.warn("[discovery] {name}: there is no such interface with an address yet; it is used as soon "
                             "as there is. Available: {others}", name=name, others=", ".join(self._watch.all) or "none")
        self._missing = missing
        wanted = {(name, version): interface for name, interface in current.items() for version in (4, 6)
                  if interface.speaks(version)}
        for key, link in list(self._links.items()):
            if key not in wanted or wanted[key].index != link.interface.index:
                self._close(key)
        for key, interface in wanted.items():
            known = self._links.get(key)
            if known is None:
                self._open(key, interface)
            elif known.interface != interface:
                known.interface = interface
                self._pauses.pop(key, None)
                self._use(known)
            elif known.failed:
                self._send_again(key, known)
        if self._targets is not None:
            self._targets.review()

    def _send_again(self, key: tuple[str, int], link: Link) -> None:
        """Announce and search again on a link where sending failed, after increasing pauses."""
        tried, pause = self._pauses.get(key, (0, 1))
        if tried + 1 < pause:
            self._pauses[key] = (tried + 1, pause)
            return
        self._pauses[key] = (0, min(pause * 2, LONGEST_PAUSE))
        if pause == WARN_PAUSE:
            self.logger.warn("[discovery] {link}: sending failed: {error}", link=str(link), error=link.problem)
        link.failed = False
        self._use(link)

    def _open(self, key: tuple[str, int], interface: Interface) -> None:
        name, version = key
        try:
            link = Link(self._reactor, interface, version, has_own_port=name in self._device_interfaces,
                        on_datagram=self._receive)
        except OSError as error:
            if self._open_problems.get(key) != str(error):
                self.logger.error("[discovery] {name} (IPv{version}): {error}; retrying every few seconds",
                                  name=name, version=version, error=str(error))
            self._open_problems[key] = str(error)
            return
        self._open_problems.pop(key, None)
        self._links[key] = link
        self.logger.info("[discovery] {link}: opened", link=str(link))
        self._use(link)

    def _use(self, link: Link) -> None:
        if self._targets is not None and link.interface.name in self._client_interfaces:
            self._targets.link_opened(link)
        if self._client is not None and link.interface.name in self._device_interfaces:
            self._client.link_opened(link)

    def _close(self, key: tuple[str, int]) -> Deferred[Any]:
        link = self._links.pop(key)
        self._pauses.pop(key, None)
        if self._targets is not None:
            self._targets.link_closed(link)
        if self._client is not None:
            self._client.link_closed(link)
        self.logger.info("[discovery] {link}: closed", link=str(link))
        return link.close()

    def _receive(self, link: Link, data: bytes, host: str, port: int, answer: bool) -> None:
        """Pass a datagram on, or drop it. `answer`: it came to the port that requests are sent from."""
        with_clients = link.interface.name in self._client_interfaces
        with_devices = link.interface.name in self._device_interfaces
        if not link.interface.holds(host):
            self._on_dropped("foreign")
            return
        if len(data) > MAX_ENVELOPE:
            self._on_dropped("oversize")
            return
        if not with_devices and self._targets is not None and not self._targets.may_answer(host):
            self._on_dropped("rate")
            return
        try:
            message = read_message(data, ALL_NAMES if with_devices else REQUESTS)
        except Malformed:
            self._on_dropped("malformed")
            return
        except Exception:  # one datagram must not prevent the reading of others
            self._on_dropped("malformed")
            self.logger.failure("Reading a datagram from {host} failed", host=host)
            return
        if message is None:
            return  # another device's announcement or answer, on an interface that only has clients
        if message.name not in ANSWERS and self._is_own(message.message_id or ""):
            return  # this process's own multicast; but some devices answer a Probe with its own MessageID
        side = "device" if answer or (with_devices and message.name not in REQUESTS) else "client"
        self._count(side, message.name)
        self._on_message(message.name, message.version.action(message.name), message.message_id,
                         authority(host, port), data)
        if message.name in REQUESTS:
            if self._targets is not None and with_clients and not answer:
                self._targets.receive(link, message, host, port)
        elif with_devices and self._client is not None:
            self._client.receive(link, message, host, answer=answer)

    async def _stop(self) -> None:
        self._watch.stop()
        if self._client is not None:
            self._client.stop()
        if self._targets is not None:
            await self._targets.stop()
        for key in list(self._links):
            await maybeDeferred(self._close, key)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())
