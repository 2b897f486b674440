"""The AppSequence of the gateway's discovery messages: an InstanceId, and a number for each message.

WS-Discovery 2005/04, section 7: the InstanceId grows with each start; clients ignore messages with an older one.
"""

from collections.abc import Callable
from itertools import count

from wsdgateway.discovery.messages import Sequence
from wsdgateway.storage.store import IStore


class AppSequences:
    """Calling it returns the AppSequence of the next message. `wall` returns seconds since 1970."""

    def __init__(self, store: IStore, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self._numbers = count(1)
        self.instance_id = int(wall())

    def __call__(self) -> Sequence:
        return Sequence(self.instance_id, next(self._numbers))

    async def begin_instance(self) -> None:
        """Draw an InstanceId that is larger than any that this gateway, or another one on the same store, has used."""
        self.instance_id = await self._store.next_instance(int(self._wall()))
