"""The coordination of several gateways on a Redis server: `ICoordination`."""

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from zope.interface import implementer

from wsdgateway.bridge.cluster.values import Acquired, Refused, Registration, View
from wsdgateway.storage.coordination import ICoordination
from wsdgateway.storage.redis import ownership
from wsdgateway.storage.redis.client import RedisClient

# A new era's grace is longer than any lease that was renewed on the former server. A master that was cut off with some
# gateways goes on renewing until it has missed its replicas for `min-replicas-max-lag`, which `checks` compares.
MAX_LAG = 10.0
MARGIN = 1.0


@implementer(ICoordination)
class RedisCoordination:
    """The coordination through a client. `draw_secret` returns 32 random bytes.

    All commands go through one connection, so they reach the server in the order of the calls.
    """

    def __init__(self, client: RedisClient, draw_secret: Callable[[], bytes]) -> None:
        self._client = client
        self._connection = client.connection("coordination")
        self._more_grace = MARGIN + (MAX_LAG if client.address.master_name is not None else 0.0)
        self._draw_secret = draw_secret
        self._secret: bytes | None = None
        self._identifier = b""

    def tick(self, registration: Registration, lease: float, renewals: Mapping[str, int],
             scanners: Iterable[str]) -> Deferred[View]:
        self._identifier = registration.identifier.encode()
        renewing, names, grace = dict(renewals), tuple(scanners), lease + self._more_grace
        return self._connection.run(
            lambda redis: ownership.tick(redis, registration, lease, grace, renewing, names))

    def acquire(self, scanner: str, identifier: str, lease: float, mine: int,
                still_valid: bool) -> Deferred[Acquired | Refused]:
        grace = lease + self._more_grace
        return self._connection.run(
            lambda redis: ownership.acquire(redis, scanner, identifier, lease, grace, mine, still_valid))

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
