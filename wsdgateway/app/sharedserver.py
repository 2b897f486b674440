"""Opens the server that several gateways share, if `[gateway] state` names one: the store, and the coordination."""

import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.config.cluster import redis_of
from wsdgateway.config.redisurl import is_redis
from wsdgateway.config.sections import Config
from wsdgateway.storage.coordination import ICoordination
from wsdgateway.storage.store import StoreError
from wsdgateway.tls.files import BadFile

SECRET_BYTES = 32


def boot_time() -> float:
    """Seconds of the boot clock, which also counts while the process or the host is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@attrs.frozen
class SharedServer:
    """The server as one run of a gateway uses it. `identifier` is that of this run.

    `leases` are the leases by which this gateway owns scanners. `close` ends the connections, after the store has been
    closed.
    """

    identifier: str
    leases: Leases
    store: Any
    coordination: ICoordination
    close: Callable[[], Deferred[None]]
    text: str
    place: tuple[str, int] | None = None
    boot_time: Callable[[], float] = boot_time


def open_shared_server(reactor: Any, config: Config, wall: Callable[[], float],
                       observe: Callable[[float], None]) -> SharedServer | None:
    """Opens the server; returns None for a gateway without others. Nothing is sent to it yet.

    `observe` is called with the seconds that each command took. Raises `StoreError`.
    """
    if not is_redis(config.gateway.state):
        return None
    try:
        from wsdgateway.storage.redis.address import parse
        from wsdgateway.storage.redis.client import RedisClient
        from wsdgateway.storage.redis.coordination import RedisCoordination
        from wsdgateway.storage.redis.store import RedisStore
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise StoreError("the Python package redis is missing; install wsdgateway[redis]") from None
    try:
        url = redis_of(config)
    except BadFile as bad:
        raise StoreError(f"password_file must be {bad}") from None
    assert url is not None
    address = parse(config.gateway.state, url.password)
    if address.ca is not None:
        address = attrs.evolve(address, ca=str(config.folder / address.ca))
    client = RedisClient(reactor, address, observe)
    leases, identifier = Leases(boot_time), str(uuid.uuid4())
    store = RedisStore(reactor, client, leases, identifier, config.cache.history, wall)
    coordination = RedisCoordination(client, lambda: secrets.token_bytes(SECRET_BYTES))
    return SharedServer(identifier, leases, store, coordination, client.close, address.text,
                        address.hosts[0] if address.hosts else None)
