"""Opens the store given by `[gateway] state`: `memory:`, `sqlite:FILE` with memory as its fallback, or a Redis server.

The package `storage.redis` is imported only for a Redis server, because it needs the optional package `redis`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.recovery import Restore
from wsdgateway.storage.store import IStore, NotOurs

if TYPE_CHECKING:
    from wsdgateway.storage.redis.parts import RedisParts

REDIS = ("redis:", "rediss:", "redis+", "rediss+")  # the schemes of its URLs begin like this


def open_store(reactor: Any, state: str, folder: Path, *, history: int, wall: Callable[[], float], restore: Restore,
               on_return: Callable[[], None]) -> IStore:
    """Opens the store. Raises `NotOurs` if the gateway must not start with it.

    A relative FILE is relative to `folder`. `history` is the number of finished jobs kept for each scanner, `wall`
    returns seconds since 1970. `restore` and `on_return` are used if the file becomes usable only later: see
    `FallbackStore.set_callbacks`.
    """
    kind, _, where = state.partition(":")
    if kind == "memory":
        return MemoryStore(history)
    if kind != "sqlite":
        raise ValueError(f"{state!r} has not been checked: must be memory: or sqlite:FILE")
    store = FallbackStore(reactor, folder / where, history, wall)
    store.set_callbacks(restore, on_return)
    return store


def is_redis(state: str) -> bool:
    """True if `[gateway] state` names a Redis server, which `open_redis` opens, and not `open_store`."""
    return state.startswith(REDIS)


def require_redis(state: str) -> None:
    """Raises `NotOurs` if the package `redis` is not installed; `state` is what needs it."""
    try:
        import redis  # noqa: F401
    except ImportError:
        raise NotOurs(f"{state.partition(':')[0]}: the Python package redis is missing; install it with pip install "
                      "'wsdgateway[redis]', or the Debian package python3-redis") from None


def open_redis(reactor: Any, state: str, password_file: Path | None = None, *, leases: Leases, identifier: str,
               history: int, wall: Callable[[], float], draw_secret: Callable[[], bytes],
               observe: Callable[[float], None] = lambda seconds: None,
               on_return: Callable[[], None] = lambda: None) -> "RedisParts":
    """Opens a Redis server; no connection is made before the first command.

    `leases` has the tokens of the scanners that this gateway owns; `identifier` is that of its registration.
    `draw_secret` returns 32 random bytes, `observe` is called with the seconds that each command took, `on_return` when
    the server is used again after it was away. Raises `NotOurs` if the package `redis` is missing, and `StoreError` for
    a URL or a password file that is wrong.
    """
    require_redis(state)
    from wsdgateway.storage.redis.parts import make_parts

    parts = make_parts(reactor, state, password_file, leases=leases, identifier=identifier, history=history, wall=wall,
                       draw_secret=draw_secret, observe=observe)
    parts.store.set_on_return(on_return)
    return parts
