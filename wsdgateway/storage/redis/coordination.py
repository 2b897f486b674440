"""The coordination of several gateways on a Redis server: `ICoordination`."""

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.cluster.values import Acquired, Refused, Registration, View
from wsdgateway.storage.coordination import ICoordination, NotAdmitted
from wsdgateway.storage.redis import ownership
from wsdgateway.storage.redis.client import RedisClient

# A new era's grace is longer than any lease that was renewed on the former server. A master that was cut off with some
# gateways goes on renewing until it has missed its replicas for `min-replicas-max-lag`, which `checks` compares.
MAX_LAG = 10.0
MARGIN = 1.0


@implementer(ICoordination)
class RedisCoordination:
    """The coordination through a client. `draw_secret` returns 32 random bytes.

    All commands go through one connection, so they reach the server in the order of the calls. A tick fails with
    `NotAdmitted`, and registers nothing, if the user lacks a right that gateways need: one that is registered, and can
    own nothing, would keep the scanners from others, and one that cannot write jobs would lose them at a takeover.
    """

    def __init__(self, client: RedisClient, draw_secret: Callable[[], bytes]) -> None:
        self._client = client
        self._connection = client.connection("coordination")
        self._more_grace = MARGIN + (MAX_LAG if client.address.master_name is not None else 0.0)
        self._draw_secret = draw_secret
        self._secret: bytes | None = None
        self._identifier = b""
        self._has_rights = False  # the user, as far as is known

    def tick(self, registration: Registration, lease: float, renewals: Mapping[str, int],
             scanners: Iterable[str]) -> Deferred[View]:
        self._identifier = registration.identifier.encode()
        renewing, names, grace = dict(renewals), tuple(scanners), lease + self._more_grace

        def send(_: object) -> Deferred[View]:
            self._has_rights = True
            return self._connection.run(
                lambda redis: ownership.tick(redis, registration, lease, grace, renewing, names))

        if self._has_rights:
            return send(None)
        return self._connection.run(ownership.check_rights).addCallback(
            lambda _: self._connection.run(ownership.check_transactions)).addCallback(send)

    def acquire(self, scanner: str, identifier: str, lease: float, mine: int,
                still_valid: bool) -> Deferred[Acquired | Refused]:
        grace = lease + self._more_grace
        return self._connection.run(
            lambda redis: ownership.acquire(redis, scanner, identifier, lease, grace, mine, still_valid),
        ).addErrback(self._not_acquired)

    def _not_acquired(self, failure: Failure) -> Failure:
        if failure.check(NotAdmitted):
            self._has_rights = False  # so that the next tick tells what is lacking
        return failure

    def release(self, scanner: str, identifier: str, token: int) -> Deferred[bool]:
        return self._connection.run(lambda redis: ownership.release(redis, scanner, identifier, token))

    def wish(self, scanner: str, gateway: str) -> Deferred[None]:
        return self._connection.run(lambda redis: ownership.wish(redis, scanner, gateway))

    def leave(self, identifier: str) -> Deferred[None]:
        return self._connection.run(lambda redis: ownership.leave(redis, identifier))

    def listen(self, bell: Callable[[], None]) -> None:
        def rung(identifier: bytes) -> None:
            if not identifier or identifier != self._identifier:
                bell()

        self._client.listen(rung)

    def peer_secret(self) -> Deferred[bytes]:
        # A server that has lost its data gets back the secret that the other gateways still use.
        self._secret = proposed = self._secret or self._draw_secret()

        def keep(secret: bytes) -> bytes:
            self._secret = secret
            return secret

        return self._connection.run(lambda redis: ownership.peer_secret(redis, proposed)).addCallback(keep)
