"""WS-Discovery on the links of this host: what comes in goes to the clients' side, the scanners' side, or nowhere.

WS-Discovery 2005/04, sections 2 and 3. Announcements go only to the interfaces with clients, questions only to those
with scanners; what is malformed, oversize or too much is dropped and counted.
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

LONGEST_PAUSE = 32  # looks at the interfaces
WARN_PAUSE = 4
Note = Callable[[str, str, str | None, str, bytes], None]
QUESTIONS = frozenset(("Probe", "Resolve"))
EVERYTHING = frozenset(NAMES)


class Discovery(Service):
    """Keeps a link open for each interface that is there. Opens no socket where there are no interfaces.

    `is_own` tells whether a MessageID is one of ours; `count(side, name)` is told of each message that came in,
    `dropped(why)` of each that was of no use; `note(name, action, message_id, client, data)` of what it said.
    """

    logger = Logger()

    def __init__(self, reactor: Any, *, clients: tuple[str, ...], devices: tuple[str, ...],
                 is_own: Callable[[str], bool], count: Callable[[str, str], None], dropped: Callable[[str], None],
                 note: Note = lambda *said: None, targets: TargetServices | None = None,
                 search: DiscoveryClient | None = None,
                 read: Callable[[], dict[str, Interface]] = read_interfaces) -> None:
        self._reactor = reactor
        self._clients = frozenset(clients)
        self._devices = frozenset(devices)
        self._targets = targets
        self._search = search
        self._is_own = is_own
        self._count = count
        self._dropped = dropped
        self._note = note
        self._links: dict[tuple[str, int], Link] = {}
        self._troubled: dict[tuple[str, int], str] = {}
        self._pauses: dict[tuple[str, int], tuple[int, int]] = {}
        self._watch = InterfaceWatch(reactor, tuple(dict.fromkeys((*clients, *devices))), self._reconcile, read)
        self._missing: frozenset[str] = frozenset()

    def startService(self) -> None:
        super().startService()
        if self._search is not None:
            self._search.start()
        if self._clients or self._devices:
            self._watch.start()

    def _reconcile(self, current: dict[str, Interface]) -> None:
        """Let the links be those of the interfaces as they are now."""
        missing = (self._clients | self._devices) - set(current)
        for name in sorted(missing - self._missing):
            self.logger.warn("[discovery] {name}: there is no such interface with an address; it is used once it is "
                             "there. There are {others}", name=name, others=", ".join(self._watch.all) or "none")
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
                self._linked(known)
            elif known.troubled:
                self._once_more(key, known)
        if self._targets is not None:
            self._targets.review()

    def _once_more(self, key: tuple[str, int], link: Link) -> None:
        """What could not be sent is sent again, after longer and longer pauses."""
        tried, pause = self._pauses.get(key, (0, 1))
        if tried + 1 < pause:
            self._pauses[key] = (tried + 1, pause)
            return
        self._pauses[key] = (0, min(pause * 2, LONGEST_PAUSE))
        if pause == WARN_PAUSE:
            self.logger.warn("[discovery] {link}: nothing can be sent: {error}", link=str(link), error=link.problem)
        link.troubled = False
        self._linked(link)

    def _open(self, key: tuple[str, int], interface: Interface) -> None:
        name, version = key
        try:
            link = Link(self._reactor, interface, version, asks=name in self._devices, heard=self._heard)
        except OSError as error:
            if self._troubled.get(key) != str(error):
                self.logger.error("[discovery] {name} (IPv{version}): {error}; tried again every few seconds",
                                  name=name, version=version, error=str(error))
            self._troubled[key] = str(error)
            return
        self._troubled.pop(key, None)
        self._links[key] = link
        self.logger.info("discovery on {link}", link=str(link))
        self._linked(link)

    def _linked(self, link: Link) -> None:
        if self._targets is not None and link.interface.name in self._clients:
            self._targets.linked(link)
        if self._search is not None and link.interface.name in self._devices:
            self._search.linked(link)

    def _close(self, key: tuple[str, int]) -> Deferred[Any]:
        link = self._links.pop(key)
        self._pauses.pop(key, None)
        if self._targets is not None:
            self._targets.unlinked(link)
        if self._search is not None:
            self._search.unlinked(link)
        self.logger.info("no discovery on {link} any more", link=str(link))
        return link.close()

    def _heard(self, link: Link, data: bytes, host: str, port: int, answer: bool) -> None:
        """A datagram."""
        with_clients, with_devices = link.interface.name in self._clients, link.interface.name in self._devices
        if not link.interface.holds(host):
            self._dropped("foreign")
            return
        if len(data) > MAX_ENVELOPE:
            self._dropped("oversize")
            return
        if not with_devices and self._targets is not None and not self._targets.may_answer(host):
            self._dropped("rate")
            return
        try:
            message = read_message(data, EVERYTHING if with_devices else QUESTIONS)
        except Malformed:
            self._dropped("malformed")
            return
        except Exception:  # what one datagram brings about must not end the others
            self._dropped("malformed")
            self.logger.failure("a datagram from {host}", host=host)
            return
        if message is None:
            return  # announced or answered where clients are: nothing of ours
        if message.name not in ANSWERS and self._is_own(message.message_id or ""):
            return  # what we have said to everybody; devices answer a Probe with its own MessageID at times
        side = "device" if answer or (with_devices and message.name not in QUESTIONS) else "client"
        self._count(side, message.name)
        self._note(message.name, message.version.action(message.name), message.message_id, authority(host, port), data)
        if message.name in QUESTIONS:
            if self._targets is not None and with_clients and not answer:
                self._targets.heard(link, message, host, port)
        elif with_devices and self._search is not None:
            self._search.heard(link, message, host, answer=answer)

    async def _stop(self) -> None:
        self._watch.stop()
        if self._search is not None:
            self._search.stop()
        if self._targets is not None:
            await self._targets.stop()
        for key in list(self._links):
            await maybeDeferred(self._close, key)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())
