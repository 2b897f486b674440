"""Looks names up in threads of its own: a name server that does not answer keeps nobody else waiting.

Such a one holds a thread for half a minute. In the reactor's pool, which has ten and is the exchange log's too, two or
three names would be enough to stop everything that needs a thread, and the end of the process would wait for them.
"""

import socket
import threading
from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

LOOKUP_SECONDS = 5.0
MAX_LOOKUPS = 64  # threads; each does one name, for however many ask

_KINDS: dict[int, Any] = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Twisted's own resolver can't be stopped either; what waits is bounded."""


@implementer(IHostnameResolver)
class Resolver:
    """The reactor's resolver of names. What has not been found within `LOOKUP_SECONDS` has no addresses.

    A name that is still being looked up is not asked for twice.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._former: IHostnameResolver | None = None
        self._asked: dict[str, list[Deferred[list[Any]]]] = {}

    def start(self) -> None:
        """From now on this is how the reactor looks names up."""
        self._former = self._reactor.installNameResolver(self)

    def resolveHostName(self, resolutionReceiver: IResolutionReceiver, hostName: str, portNumber: int = 0,
                        addressTypes: Sequence[type[IAddress]] | None = None,
                        transportSemantics: str = "TCP") -> IHostResolution:
        """Tell the receiver the name's addresses, and that these were all. `IHostnameResolver`."""
        resolution = _Resolution(hostName)
        receiver: Any = resolutionReceiver
        receiver.resolutionBegan(resolution)

        def tell(found: list[Any]) -> None:
            for family, _, _, _, address in found:
                kind = _KINDS.get(family)
                if kind is not None and (addressTypes is None or kind in addressTypes):
                    receiver.addressResolved(kind(transportSemantics, address[0], portNumber, *address[2:]))
            receiver.resolutionComplete()

        self._look_up(hostName).addCallbacks(tell, lambda _: receiver.resolutionComplete())
        return resolution

    def _look_up(self, name: str) -> Deferred[list[Any]]:
        """What getaddrinfo says; fails after `LOOKUP_SECONDS`, or if too many names are being looked up."""
        looking: Deferred[list[Any]] = Deferred()
        looking.addTimeout(LOOKUP_SECONDS, self._reactor)
        is_new = name not in self._asked
        if is_new and len(self._asked) >= MAX_LOOKUPS:
            looking.cancel()
            return looking
        waiting = self._asked.setdefault(name, [])
        waiting.append(looking)
        looking.addBoth(lambda result: self._leave(waiting, looking, result))
        if is_new:
            try:
                threading.Thread(target=self._ask, args=(name,), daemon=True).start()
            except RuntimeError:  # the system has no more
                self._found(name, [])
        return looking

    def _leave(self, waiting: list[Deferred[list[Any]]], looking: Deferred[list[Any]], result: Any) -> Any:
        """Whoever has waited long enough is not kept until the name server has."""
        if looking in waiting:
            waiting.remove(looking)
        return result

    def _ask(self, name: str) -> None:
        """In a thread of its own."""
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        self._reactor.callFromThread(self._found, name, found)

    def _found(self, name: str, found: list[Any]) -> None:
        for looking in list(self._asked.pop(name)):
            looking.callback(found)

    def stop(self) -> None:
        """Nobody waits any more, and the reactor looks names up as it did before."""
        for waiting in list(self._asked.values()):
            for looking in list(waiting):
                looking.cancel()
        if self._former is not None:
            self._reactor.installNameResolver(self._former)
            self._former = None
