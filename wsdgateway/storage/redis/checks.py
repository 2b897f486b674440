"""Checks of a Redis server at the start of a gateway: settings under which data or leases could be lost.

Each warning says what is missing and what to do. A server that cannot work at all is refused.
"""

import re
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.connecting import ERRORS, NO_CLUSTER, Server
from wsdgateway.storage.redis.coordination import MAX_LAG
from wsdgateway.storage.store import StoreError

OLDEST = (6, 2)

_SETTINGS = ("maxmemory-policy", "appendonly", "min-replicas-to-write", "min-replicas-max-lag")


def check_server(redis: Any, address: ServerAddress) -> list[str]:
    """Returns the warnings about the server. Raises `StoreError` if it must not be used, and errors of redis-py."""
    info = supported(redis, address)
    return [f"{address.text}: {warning}" for warning in _warnings(redis, info, address.master_name is not None)]


def supported(redis: Any, address: ServerAddress) -> dict[str, Any]:
    """Returns what INFO tells. Raises `StoreError` if the server must not be used, and errors of redis-py."""
    try:
        info: dict[str, Any] = redis.info()
    except NoPermissionError as error:
        raise StoreError(f"{address.text}: the user must have the right to INFO (ACL SETUSER … +info)") from error
    version = str(info.get("redis_version", ""))
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        raise StoreError(f"{address.text}: Redis {version}: must be {'.'.join(map(str, OLDEST))} or newer")
    if info.get("cluster_enabled"):
        raise StoreError(f"{address.text}: {NO_CLUSTER}")
    return info


def check_sentinels(server: Server, address: ServerAddress, lease: float) -> list[str]:
    """Returns the warning about the Sentinels of the server, if there is one; `lease` is that of owners, in seconds.

    An owner whose master is cut off believes in its lease for less than `lease`. No other master may be chosen before.
    A Sentinel that does not answer is left out; if none answers, that is the warning.
    """
    if address.master_name is None:
        return []
    least = int(lease * 1000)
    wanted = (f"more than {least}, the lease of [cluster], or two gateways may own one scanner after a failover; at "
              f"each Sentinel: SENTINEL SET {address.master_name} down-after-milliseconds {least + 1000}")
    try:
        watches = server.every_watch()
    except ERRORS as error:
        return [f"{address.text}: it could not be checked that down-after-milliseconds is {wanted} ({error})"]
    quick = [f"{watched.down_after * 1000:.0f} at {place}" for place, watched in watches if watched.down_after <= lease]
    return [f"{address.text}: down-after-milliseconds is {', '.join(quick)}: must be {wanted}"] if quick else []


def _warnings(redis: Any, info: dict[str, Any], has_sentinel: bool) -> list[str]:
    has_replicas = has_sentinel or int(info.get("connected_slaves", 0)) > 0
    settings, hidden = _settings(redis)
    # INFO tells these, too.
    settings.setdefault("maxmemory-policy", str(info.get("maxmemory_policy", "")))
    settings.setdefault("appendonly", "yes" if info.get("aof_enabled") else "no")
    found = []
    if (policy := settings["maxmemory-policy"]) != "noeviction":
        found.append(f"maxmemory-policy is {policy}: must be noeviction, or the server may delete subscriptions and "
                     "owners of scanners")
    if settings["appendonly"] != "yes":
        found.append("appendonly is no: must be yes, or subscriptions and jobs are lost when the server is restarted")
    if has_replicas and hidden:
        found.append(f"{hidden}, so it could not be checked that min-replicas-to-write is at least 1 and "
                     f"min-replicas-max-lag from 1 to {MAX_LAG:g}; if they are not, two gateways may own one scanner "
                     "after a failover")
    elif has_replicas:
        wrong, lag = [], settings.get("min-replicas-max-lag", "0")
        if int(settings.get("min-replicas-to-write", 0)) < 1:
            wrong.append("min-replicas-to-write is 0: must be at least 1")
        if not 1 <= int(lag) <= MAX_LAG:
            wrong.append(f"min-replicas-max-lag is {lag}: must be from 1 to {MAX_LAG:g}")
        if wrong:
            found.append("; ".join(wrong) + ", or two gateways may own one scanner after a failover")
    return found


def _settings(redis: Any) -> tuple[dict[str, str], str]:
    """The settings, and why they cannot be read, empty if they can: CONFIG may be forbidden, or have another name."""
    settings = {}
    try:
        for name in _SETTINGS:  # one by one, since Redis 6.2 takes one pattern
            settings.update(redis.config_get(name))
    except NoPermissionError:
        return {}, "the user has no right to CONFIG GET"
    except ResponseError:
        return {}, "the server has no command CONFIG GET"
    return {str(name): str(value) for name, value in settings.items()}, ""
