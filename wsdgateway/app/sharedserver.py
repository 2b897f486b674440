"""Opens the server that several gateways share, if `[gateway] state` names one: the store, and the coordination."""

import secrets
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.config.checks import without_password
from wsdgateway.config.cluster import absolute_state
from wsdgateway.config.redisurl import read_redis_url
from wsdgateway.config.sections import Config
from wsdgateway.storage.coordination import ICoordination
from wsdgateway.storage.opening import is_redis, open_redis

SECRET_BYTES = 32


# Seconds of the boot clock, which also counts while the process or the host is stopped. Each status read asks for them.
boot_time: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


@attrs.define(eq=False)
class SharedServer:
    """The server as one run of a gateway uses it. `identifier` is that of this run.

    `leases` are the leases by which this gateway owns scanners. `events` has what `storage.sharedevents` describes.
    `close` ends the connections, after the store has been closed. `check` is given the seconds of a lease, returns the
    server's version and warnings about its settings (`storage.redis.inspecting.ServerFacts`), and fails with
    `StoreError` if it must not be used. `text` names the server, without a password; `place` is its host and port, None
    on a local socket.
    """

    identifier: str
    leases: Leases
    text: str
    place: tuple[str, int] | None
    boot_time: Callable[[], float]
    store: Any
    coordination: ICoordination
    events: Any
    check: Callable[[float], Deferred[Any]]
    close: Callable[[], Deferred[None]]


def open_shared_server(reactor: Any, config: Config, wall: Callable[[], float], *, observe: Callable[[float], None],
                       on_return: Callable[[], None]) -> SharedServer | None:
    """Opens the server; returns None for a gateway without others. Nothing is sent to it yet.

    `observe` is called with the seconds that each command took, in any thread, `on_return` when the server is used
    again after it was away. Raises `StoreError`.
    """
    state, password_file = config.gateway.state, config.gateway.password_file
    if not is_redis(state):
        return None
    hosts = read_redis_url(state).hosts
    identifier, leases = str(uuid.uuid4()), Leases(boot_time)
    parts = open_redis(
        reactor, absolute_state(config), None if password_file is None else config.folder / password_file,
        leases=leases, identifier=identifier, history=config.cache.history, wall=wall,
        draw_secret=lambda: secrets.token_bytes(SECRET_BYTES), observe=observe, on_return=on_return)
    return SharedServer(identifier, leases, str(without_password(state)), hosts[0] if hosts else None, boot_time,
                        parts.store, parts.coordination, parts.events, parts.check, parts.client.close)
