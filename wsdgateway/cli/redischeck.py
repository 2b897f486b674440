"""The check of the Redis server that several gateways share, for `wsdgateway check`."""

import attrs

from wsdgateway.config.cluster import absolute_state, redis_of
from wsdgateway.config.sections import Config
from wsdgateway.storage.opening import require_redis
from wsdgateway.storage.store import NotOurs, StoreError


@attrs.frozen
class RedisCheck:
    """The result: what is there, the warnings, and the reason why the gateway could not use the server, if any."""

    said: str | None = None
    warnings: tuple[str, ...] = ()
    problem: StoreError | None = None


def check_redis(config: Config) -> RedisCheck:
    """Connects to the server of a configuration that has one, and looks at its version and settings.

    It takes a few seconds at most. `problem` is `NotOurs` if the gateway would not start with that server.
    """
    try:
        require_redis(config.gateway.state)
    except StoreError as missing:
        return RedisCheck(problem=NotOurs(str(missing)))
    from wsdgateway.storage.coordination import is_away
    from wsdgateway.storage.redis.address import parse
    from wsdgateway.storage.redis.inspecting import inspect_server

    url = redis_of(config)
    assert url is not None
    address = parse(absolute_state(config), url.password)
    try:
        facts = inspect_server(address, config.cluster.lease)
    except StoreError as problem:
        return RedisCheck(problem=problem if is_away(problem) else NotOurs(str(problem)))
    return RedisCheck(f"{address.text}: {facts.software}", facts.warnings)
