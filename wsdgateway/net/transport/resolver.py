"""Resolves host names in its own threads, so that an unresponsive name server delays nothing else.

Such a server blocks a thread for half a minute. The reactor's pool has ten threads, which the exchange log also uses: a
few names would block everything that needs a thread, and keep the process from ending.
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
MAX_LOOKUPS = 64  # threads, one for each name, shared by the requests for it

_KINDS: dict[int, Any] = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing, as in Twisted's own resolver: the number of lookups is limited."""


@implementer(IHostnameResolver)
class Resolver:
    """The reactor's name resolver. A name that is not resolved within `LOOKUP_SECONDS` has no addresses.

    Requests for a name whose lookup is in progress share it.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._former: IHostnameResolver | None = None
        self._asked: dict[str, list[Deferred[list[Any]]]] = {}

    def start(self) -> None:
        """Install it as the reactor's resolver."""
        self._former = self._reactor.installNameResolver(self)

    def resolveHostName(self, resolutionReceiver: IResolutionReceiver, hostName: str, portNumber: int = 0,
                        addressTypes: Sequence[type[IAddress]] | None = None,
                        transportSemantics: str = "TCP") -> IHostResolution:
        """Pass the addresses of a name to the receiver, then complete the resolution (`IHostnameResolver`)."""
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
        """The result of getaddrinfo; fails after `LOOKUP_SECONDS`, or if `MAX_LOOKUPS` lookups are in progress."""
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
            except RuntimeError:  # the system cannot start more threads
                self._found(name, [])
        return looking

    def _leave(self, waiting: list[Deferred[list[Any]]], looking: Deferred[list[Any]], result: Any) -> Any:
        """Forget a request that timed out before the name server answered."""
        if looking in waiting:
            waiting.remove(looking)
        return result

    def _ask(self, name: str) -> None:
        """Run the lookup, in its own thread."""
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        self._reactor.callFromThread(self._found, name, found)

    def _found(self, name: str, found: list[Any]) -> None:
        for looking in list(self._asked.pop(name)):
            looking.callback(found)

    def stop(self) -> None:
        """Cancel the lookups in progress and restore the reactor's former resolver."""
        for waiting in list(self._asked.values()):
            for looking in list(waiting):
                looking.cancel()
        if self._former is not None:
            self._reactor.installNameResolver(self._former)
            self._former = None
