"""Makes what a gateway uses of a Redis server: client, store, coordination and events."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.storage.redis.address import parse, read_password
from wsdgateway.storage.redis.client import RedisClient
from wsdgateway.storage.redis.coordination import RedisCoordination
from wsdgateway.storage.redis.events import RedisEvents
from wsdgateway.storage.redis.inspecting import ServerFacts, read_facts
from wsdgateway.storage.redis.store import RedisStore


@attrs.frozen
class RedisParts:
    """The objects with which a gateway uses a Redis server. The store must be closed first, the client last."""

    client: RedisClient
    store: RedisStore
    coordination: RedisCoordination
    events: RedisEvents

    def check(self, lease: float) -> Deferred[ServerFacts]:
        """Returns the version of the server, and warnings about its settings; `lease` is in seconds.

        Fails with `StoreError` if the server must not be used, and with `NotNow` if it does not answer.
        """
        address = self.client.address
        return self.client.connection("store").run(lambda redis: read_facts(redis, address, lease))


def make_parts(reactor: Any, url: str, password_file: Path | None, *, leases: Leases, identifier: str, history: int,
               wall: Callable[[], float], draw_secret: Callable[[], bytes],
               observe: Callable[[float], None]) -> RedisParts:
    """See `storage.opening.open_redis`."""
    address = parse(url, None if password_file is None else read_password(password_file))
    client = RedisClient(reactor, address, observe)
    return RedisParts(client, RedisStore(reactor, client, leases, identifier, history, wall),
                      RedisCoordination(client, draw_secret), RedisEvents(client, identifier))
