"""The part of the Redis store that all gateways share: adopted scanners, MetadataVersions, the InstanceId, eSCL ports.

A copy in memory serves while the server is away. What is changed meanwhile is written when it answers again: numbers
only if they are larger than those of the server, names again by the rules for new ones. No eSCL port is assigned
meanwhile. A server that has lost its data gets the whole copy.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from twisted.logger import Logger

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.redis import keys, shareddata
from wsdgateway.storage.redis.client import RedisConnection
from wsdgateway.storage.redis.contents import check_schema
from wsdgateway.storage.store import StoreError

MAX_PENDING = 1000  # changes that wait for the server, of each kind; older ones are dropped

T = TypeVar("T")


class SharedStore:
    """Reads and writes the shared data. `begin` is called with the problem when the server is away.

    Methods raise `Unreadable` for damaged data and data of a newer version, which they leave unchanged.
    """

    log = Logger()

    def __init__(self, connection: RedisConnection, where: str, history: int, wall: Callable[[], float],
                 begin: Callable[[StoreError], None]) -> None:
        self._connection = connection
        self._where = where
        self._begin = begin
        # A stand-in whose last MetadataVersion is unknown starts with one that is larger than any counted so far.
        self._memory = MemoryStore(history, first_version=int(wall()))
        self._names: OrderedDict[str, Adopted | None] = OrderedDict()

    async def _run(self, command: Callable[[Any], T]) -> T:
        """Runs a command. A server without data, such as one that has lost it, gets that of memory before."""
        known = self._memory.content

        def run(redis: Any) -> T:
            schema = redis.get(keys.SCHEMA)
            check_schema(self._where, schema)
            if schema is None:
                shareddata.restore(redis, known)
            return command(redis)

        return await self._connection.run(run)

    async def next_instance(self, now: int) -> int:
        try:
            return await self.draw_instance(now)
        except NotNow as error:
            self._begin(error)
            return await self._memory.next_instance(now)

    async def draw_instance(self, now: int) -> int:
        """Like `next_instance`, but raises `NotNow` while the server is away."""
        least = max(now, (self._memory.content.instance or 0) + 1)  # the server may have lost the last one
        instance = await self._run(lambda redis: shareddata.next_instance(redis, least))
        self._memory.list_instead(attrs.evolve(self._memory.content, instance=instance))
        return instance

    async def metadata_version(self, endpoint: str, digest: str) -> int:
        try:
            version = await self._run(lambda redis: shareddata.metadata_version(redis, endpoint, digest, 1))
        except NotNow as error:
            self._begin(error)
            return await self._memory.metadata_version(endpoint, digest)
        known = self._memory.content
        self._memory.list_instead(attrs.evolve(known, versions=(
            *(one for one in known.versions if one[0] != endpoint), (endpoint, digest, version))))
        return version

    async def adopt(self, adopted: Adopted) -> None:
        """Raises `ValueError` if another scanner has the name."""
        try:
            is_free = await self._run(lambda redis: shareddata.adopt(redis, adopted))
        except NotNow as error:
            self._begin(error)
            await self._memory.adopt(adopted)
            _wait(self._names, adopted.uuid, adopted)
            return
        if not is_free:
            raise ValueError(f"the name {adopted.name} is in use")
        known = self._memory.content
        others = tuple(one for one in known.adopted if one.name != adopted.name or one.uuid == adopted.uuid)
        self._memory.list_instead(attrs.evolve(known, adopted=others))
        await self._memory.adopt(adopted)

    async def abandon(self, uuid: str) -> None:
        await self._memory.abandon(uuid)
        try:
            await self._run(lambda redis: shareddata.abandon(redis, uuid))
        except NotNow as error:
            self._begin(error)
            _wait(self._names, uuid, None)

    async def keep_escl_port(self, scanner: str, port: int, former: int | None, loser: str | None) -> bool:
        """Raises `NotNow` while the server is away, since another gateway may assign the port then."""
        is_kept = await self._run(lambda redis: shareddata.keep_port(redis, scanner, port, former, loser))
        if is_kept:
            await self._memory.keep_escl_port(scanner, port)
        return is_kept

    async def adopted(self) -> list[Adopted]:
        await self._read()
        return await self._memory.adopted()

    async def escl_ports(self) -> dict[str, int]:
        await self._read()
        return await self._memory.escl_ports()

    async def _read(self) -> None:
        """Reads the shared data into memory, if the server can be used and no change waits for it."""
        if self._names:
            return
        try:
            content = await self._run(lambda redis: shareddata.read(redis, self._where))
        except NotNow as error:
            self._begin(error)
            return
        self._memory.list_instead(content)

    async def restore(self) -> None:
        """Writes what waits, or everything if the server has lost its data. Raises `NotNow`."""
        known = self._memory.content
        await self._run(lambda redis: shareddata.restore(redis, known))
        while self._names:
            uuid, one = next(iter(self._names.items()))
            await self._restore_name(uuid, one)
            if self._names.get(uuid) is one:
                del self._names[uuid]

    async def _restore_name(self, uuid: str, adopted: Adopted | None) -> None:
        if adopted is None:
            await self._run(lambda redis: shareddata.abandon(redis, uuid))
        elif not await self._run(lambda redis: shareddata.adopt(redis, adopted)):
            self.log.warn("{name}: another gateway has adopted another scanner under this name meanwhile; after the "
                          "next start this one gets another name", name=adopted.name)


def _wait(pending: OrderedDict[str, Any], name: str, value: Any) -> None:
    pending[name] = value
    pending.move_to_end(name)
    if len(pending) > MAX_PENDING:
        pending.popitem(last=False)
