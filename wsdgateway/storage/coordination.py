"""The interface of the shared server through which several gateways coordinate, and its errors.

`storage.redis` implements it. Each method is one command to the server with a deadline (`DEADLINE`); what it changes,
it changes at once and completely, or not at all.
"""

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from zope.interface import Interface

from wsdgateway.bridge.cluster.values import Acquired, Refused, Registration, View
from wsdgateway.storage.store import StoreError

DEADLINE = 1.0  # seconds for a command


class NotNow(StoreError):
    """The server gave no answer within the deadline, or cannot serve now. Whether a write was made is not known.

    It never means that the gateway has lost a scanner.
    """


class NotAdmitted(NotNow):
    """The server answers, and this gateway cannot use it, though others may.

    The password is wrong, the user lacks a right, the certificate is not trusted, only one side speaks TLS, the server
    demands a certificate, is in protected mode, is no Redis server or has as many clients as it may have, or the
    Sentinels do not know the name.
    """


class Unsupported(NotAdmitted):
    """The server answers, but lacks the database or a command, or is a Redis Cluster. No gateway can use it."""


def is_away(error: StoreError) -> bool:
    """True if the server cannot be used now, but this gateway may be able to use it later."""
    return isinstance(error, NotNow) and not isinstance(error, Unsupported)


class Fenced(StoreError):
    """The write was refused: the gateway no longer owns the scanner by that token. Nothing was written."""


class Unowned(Fenced):
    """The same, because no gateway owns the scanner. One that serves it alone may go on.

    Its lease has run out at a server that answers, but takes no writes, such as one whose memory is full or that has
    lost its replicas.
    """


class NameTaken(StoreError):
    """Another running gateway is registered under the same `[cluster] name`."""


class ICoordination(Interface):
    """The ownership of scanners at the server. The Deferreds fail with `NotNow` if the server cannot serve."""

    def tick(registration: Registration, lease: float, renewals: Mapping[str, int],
             scanners: Iterable[str]) -> Deferred[View]:
        """Registers this gateway for `lease` seconds, renews its leases, and returns the view.

        `renewals` maps each scanner to the token by which it is owned; a lease that is owned by another token, or has
        run out at the server, is not renewed. The view tells of `scanners`. A server that is not the one on which the
        era began starts a new era, in which nothing is owned. Fails with `NameTaken`.
        """

    def acquire(scanner: str, identifier: str, lease: float, mine: int,
                still_valid: bool) -> Deferred[Acquired | Refused]:
        """Makes this gateway the owner of a scanner for `lease` seconds, unless it has one, and then rings the bell.

        `still_valid` is true if the lease of an ownership of this process still runs by its own clock; then `mine` is
        the token of that ownership, else the largest token that this process knows of, 0 if none. In the grace only
        such a gateway gets the scanner, and only if `mine` is larger than the token of an owner that it has by now. The
        new token is larger than `mine` and every earlier one that the server knows of.
        """

    def release(scanner: str, identifier: str, token: int) -> Deferred[bool]:
        """Ends an ownership, and rings the bell.

        Returns False if the gateway does not own the scanner by that token.
        """

    def wish(scanner: str, gateway: str) -> Deferred[None]:
        """Records for a few seconds that the gateway of that name shall own the scanner, and rings the bell."""

    def leave(identifier: str) -> Deferred[None]:
        """Ends the registration of a gateway that stops, and rings the bell."""

    def listen(bell: Callable[[], None]) -> None:
        """Sets the function that is called when another gateway rings the bell. A ring may be lost."""

    def peer_secret() -> Deferred[bytes]:
        """Returns the secret that gateways show each other on the peer link. It is drawn once and kept."""
