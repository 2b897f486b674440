"""Opens the store given by `[gateway] state`: `memory:`, or `sqlite:FILE` with memory as its fallback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.recovery import Restore
from wsdgateway.storage.store import IStore


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
