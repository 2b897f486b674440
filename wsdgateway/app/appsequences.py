"""Draws the InstanceIds of the gateway's discovery messages from the store.

WS-Discovery 2005/04, section 7: an InstanceId is larger than all before. `bridge.discovery.appsequences` has the rules.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from wsdgateway.bridge.discovery.appsequences import GATEWAY, AppSequences
from wsdgateway.storage.coordination import NotNow


class Store(Protocol):
    """The part of the store that counts InstanceIds."""

    def next_instance(self, now: int) -> Awaitable[int]:
        """Returns the next InstanceId: `now`, or the last one plus one, whichever is larger."""


class Instances:
    """The InstanceIds of one gateway. `wall` returns seconds since 1970.

    `shared` draws an InstanceId among several gateways, at whose server it is `shared_time`. It raises `NotNow` if the
    server cannot be reached.
    """

    def __init__(self, store: Store, wall: Callable[[], float], *,
                 shared: Callable[[int], Awaitable[int]] | None = None,
                 shared_time: Callable[[], float] | None = None) -> None:
        self._store = store
        self._wall = wall
        self._shared = shared
        self._shared_time = shared_time or wall
        self._is_drawn = False
        self.sequences = AppSequences(int(wall()), each_begins=shared is not None)

    async def start(self) -> None:
        """Draw the InstanceId of this start."""
        if self._shared is None:
            self.sequences.drawn(await self._store.next_instance(int(self._wall())))
        else:
            await self.draw()
            if self._is_drawn:
                self.sequences.begin(GATEWAY)

    async def draw(self) -> None:
        """Draw an InstanceId that no gateway has used, for the stand-ins that begin next."""
        assert self._shared is not None
        try:
            self.sequences.drawn(await self._shared(int(self._shared_time())))
        except NotNow:
            self._is_drawn = False
        else:
            self._is_drawn = True

    def begin(self, name: str) -> bool:
        """Begin the sequence of a stand-in after `draw`. False if none was drawn: then it has none, and is silent."""
        if self._is_drawn:
            self.sequences.begin(name)
        else:
            self.sequences.end(name)
        return self._is_drawn
