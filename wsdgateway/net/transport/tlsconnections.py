"""TLS connections of clients that tell how they were closed.

Twisted reports the end of the data without close_notify (RFC 8446, section 6.1) as a lost connection, but many clients
send none. Those that have read everything end with FIN, and those that have not with a reset.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure


class ClientTLS(TLSMemoryBIOFactory.protocol):  # type: ignore[misc, valid-type]
    """A TLS connection. `is_ended` is true once the client has ended its side, and nothing was reset."""

    is_ended = False

    def connectionLost(self, reason: Failure) -> None:
        self.is_ended = reason.check(ConnectionDone) is not None
        super().connectionLost(reason)


def tls_factory(identity: IOpenSSLServerConnectionCreator, factory: IProtocolFactory) -> Any:
    """The factory of TLS connections of clients, around the one of their protocol."""
    made = TLSMemoryBIOFactory(identity, False, factory)
    made.protocol = ClientTLS
    return made
