"""Checks the addresses for clients' notifications: looks up names, and recognizes this machine's own addresses.

`bridge.events.sinks` decides which sinks are allowed, and how many names are looked up at once.
"""

import socket
import threading
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as LookupTimeout

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.events.sinks import (
    BadSink,
    IPAddress,
    Lookups,
    Network,
    Sink,
    admit,
    is_listener,
    literal,
    parse_sink,
    refuse_listener,
    sink_refused,
    still_admits,
)
from wsdgateway.net.transport.localaddress import is_own_address
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.faults import Refused, temporary_error

LOOKUP_SECONDS = 5.0


@attrs.define(eq=False)
class SinkPolicy:
    """The policy for sinks of notifications. `listeners` returns interface and port of the gateway's listeners.

    `is_local` tells whether an address belongs to this machine. It may raise `OSError`.
    """

    reactor: Any
    networks: tuple[Network, ...]
    listeners: Callable[[], list[tuple[str, int]]]
    lookups: Lookups = attrs.field(factory=Lookups)
    is_local: Callable[[IPAddress], bool] = is_own_address

    async def check(self, name: str, reference: EndpointReference, client: str) -> Sink:
        """Returns the sink for a NotifyTo or EndTo (`name`) of the subscriber at that IP address. Raises `Refused`."""
        try:
            address = parse_sink(reference.address)
            refuse_listener(address, self.listeners())
            found = [address.host] if literal(address.host) is not None else (
                await self._look_up(address.host, client))
            return Sink(reference, admit(found, address, client=client, networks=self.networks, is_own=self._is_own))
        except BadSink as bad:
            raise sink_refused(name, bad) from None
        except OSError as error:  # no file descriptor left for the check against this machine's addresses
            raise Refused(temporary_error(f"{name} cannot be checked at the moment: {error.strerror}. Try again "
                                          "later.")) from None

    async def _look_up(self, host: str, client: str) -> list[str]:
        """Looks up a name's addresses. A name server may be slow, so the threads are daemons and few per client."""
        client = client_of(client)
        self.lookups.check(host, client)
        looking: Deferred[list[str]] = Deferred()
        try:
            threading.Thread(target=self._ask, args=(host, client, looking), daemon=True).start()
        except RuntimeError:
            raise BadSink(f"too many host names are being looked up, {host} not yet; send an IP address, or try "
                          "again later") from None
        self.lookups.begun(client)
        looking.addTimeout(LOOKUP_SECONDS, self.reactor)
        try:
            return await looking
        except (OSError, LookupTimeout, UnicodeError):
            raise BadSink(f"the host name {host} cannot be looked up; send an IP address") from None

    def _ask(self, host: str, client: str, looking: Deferred[list[str]]) -> None:
        """Looks up a name, in a thread."""
        found: list[str] | Exception
        try:
            found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            found = error
        self.reactor.callFromThread(self._asked, client, looking, found)

    def _asked(self, client: str, looking: Deferred[list[str]], found: list[str] | Exception) -> None:
        self.lookups.ended(client)
        if looking.called:
            return
        if isinstance(found, Exception):
            looking.errback(found)
        else:
            looking.callback(found)

    def still_allows(self, sink: Sink, client: str) -> bool:
        """True if a sink that was accepted at an earlier start would be accepted now, too."""
        return still_admits(sink, client=client, networks=self.networks, is_own=self._is_own)

    def _is_own(self, ip: IPAddress, port: int) -> bool:
        return is_listener(ip, port, listeners=self.listeners(), is_local=self.is_local)
