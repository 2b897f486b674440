"""The scanners that this gateway owns: their data in memory, in front of fenced writes to the server.

A write that the server does not take now is kept in memory, and the whole data of its scanner is written when the
server answers again (`storage.redis.outage`). `storage.redis.scannerdata` draws the states.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.events.upstreamcommands import Held, LeftBehind
from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.redis import contents, keys
from wsdgateway.storage.redis.client import RedisClient
from wsdgateway.storage.redis.fencing import Command, run_fenced
from wsdgateway.storage.redis.outage import Outage
from wsdgateway.storage.redis.scannerdata import ScannerData, State
from wsdgateway.storage.redis.shared import SharedStore
from wsdgateway.storage.store import Content, StoreError, Unreadable


class OwnedScanners:
    """The data of the owned scanners. See `RedisStore` for the arguments.

    `merge_jobs` writes the finished jobs of a scanner that wait in memory.
    """

    log = Logger()

    def __init__(self, reactor: Any, client: RedisClient, leases: Leases, identifier: str, history: int,
                 wall: Callable[[], float]) -> None:
        self.where = client.address.text
        self._connection = client.connection("store")
        self._leases = leases
        self._identifier = identifier
        self.history = history
        self._wall = wall
        self._scanners: dict[str, ScannerData] = {}
        self._unreadable: dict[str, StoreError] = {}
        self._last_number = 0
        self.offset = 0.0
        self.era: int | None = None
        self.on_fenced: Callable[[str], None] = lambda scanner: None
        self.merge_jobs: Callable[[ScannerData], Coroutine[Any, Any, None]]
        self.outage = Outage(reactor, self.where, self._write_all)
        self.shared = SharedStore(self._connection, self.where, history, wall, self.outage.begin)

    def __iter__(self) -> Iterator[ScannerData]:
        return iter(tuple(self._scanners.values()))

    def get(self, scanner: str) -> ScannerData | None:
        """Returns the data of a scanner; None if it is not in memory."""
        return self._scanners.get(scanner)

    def of(self, scanner: str) -> ScannerData:
        """Returns the data of a scanner, which begins empty if it is not in memory."""
        data = self._scanners.get(scanner)
        if data is None:
            data = self._scanners[scanner] = self._made(scanner)
        return data

    def _next_number(self) -> int:
        """A number that is larger than those of earlier entries: the server's time in milliseconds, if possible."""
        self._last_number = max(self._last_number + 1, int((self._wall() + self.offset) * 1000))
        return self._last_number

    # From `take` to `drop`.

    async def take(self, scanner: str) -> Content:
        """See `RedisStore.take`."""
        try:
            read = await self._read(scanner)
        except Unreadable as error:
            self.drop(scanner)
            self._unreadable[scanner] = error
            self.log.error("{scanner}: {error}", scanner=scanner, error=str(error))
            self.of(scanner).state = State.UNREADABLE
            raise
        self.drop(scanner)
        self._last_number = max(self._last_number, read.offer_number, *read.numbers.values())
        data = self._scanners[scanner] = self._made(scanner, read)
        data.list_held(read.content.held, self.era)
        return read.content

    def take_nothing(self, scanner: str) -> None:
        """See `RedisStore.take_nothing`."""
        self.drop(scanner)
        self.of(scanner).state = State.UNREAD

    async def _read(self, scanner: str) -> contents.Read:
        def read(redis: Any) -> tuple[bool, contents.Read]:
            answers = replies(redis, contents.reading(scanner))
            # In the thread, since a thousand subscriptions take some time.
            return answers[0] is None, contents.read(self.where, scanner, answers, offset)

        offset = self.offset
        is_new, found = await self._connection.run(read)
        if is_new:  # no gateway has used the server yet, or it has lost its data
            await self.shared.restore()
        return found

    def _made(self, scanner: str, *read: contents.Read) -> ScannerData:
        return ScannerData(scanner, self.history, partial(self._fenced, scanner), self._next_number, *read)

    def drop(self, scanner: str) -> None:
        """See `RedisStore.drop`."""
        self._unreadable.pop(scanner, None)
        data = self._scanners.pop(scanner, None)
        if data is not None:
            data.batches.end(_no_longer_owned(scanner))

    def flush(self, scanner: str) -> Deferred[None]:
        """See `RedisStore.flush`."""
        data = self._scanners.get(scanner)
        if data is None:
            return succeed(None)
        written: Deferred[Any] = data.lock.run(data.batches.write, [])  # sent after all earlier ones
        return written.addErrback(lambda failure: failure.trap(StoreError)).addCallback(lambda _: None)

    def rewrite(self, scanner: str) -> Deferred[None]:
        """See `RedisStore.rewrite`."""
        data = self._scanners.get(scanner)
        if data is not None and data.state not in (State.UNREADABLE, State.UNREAD):
            data.state = State.UNWRITTEN
        return self.outage.retry()

    def remove(self, scanner: str) -> Deferred[None]:
        """See `RedisStore.remove`."""
        removing = self.of(scanner).batches.write(contents.removing(scanner))
        return removing.addBoth(self._removed, scanner)

    def _removed(self, result: Any, scanner: str) -> Any:
        self.drop(scanner)
        return result

    def names(self) -> Deferred[list[str]]:
        """See `RedisStore.scanners`."""
        def names(redis: Any) -> list[str]:
            found = sorted(name.decode() for name in redis.smembers(keys.SCANNERS))
            pipeline = redis.pipeline(transaction=False)
            for name in found:
                pipeline.exists(keys.subscriptions(name), keys.held(name), keys.own_jobs(name))
            return [name for name, some in zip(found, pipeline.execute(), strict=True) if some]

        return self._connection.run(names)

    def left_behind(self, scanner: str) -> list[LeftBehind]:
        """See `RedisStore.left_behind`."""
        data = self._scanners.get(scanner)
        return [] if data is None else data.left_behind()

    def unlisted(self, scanner: str, left: Sequence[LeftBehind]) -> Deferred[list[Held]]:
        """See `RedisStore.unlisted`."""
        def unlisted(redis: Any) -> list[Held]:
            listed, era = replies(redis, [("HVALS", keys.held(scanner)), ("HGET", keys.ERA, "number")])
            values = listed if isinstance(listed, list) else []
            present = int(era) if isinstance(era, bytes) and era.isdigit() else None
            return [one.held for one in left
                    if (one.era is None or one.era != present) and not _is_among(one.held, values)]

        return self._connection.run(unlisted)

    # Writing.

    def write(self, data: ScannerData, commands: list[Command], held: Held | None = None) -> Deferred[None]:
        """Makes on the server the changes that were made in memory. `held` is what they list at the scanner."""
        def write() -> Deferred[Any]:
            era, writing = self.era, data.batches.write(commands)
            return writing if held is None else writing.addCallback(lambda _: data.list_held([held], era))

        return self.send(data, write)

    def write_at_once(self, data: ScannerData, commands: list[Command], held: Held | None,
                      undo: Callable[[], object]) -> Deferred[None]:
        """Makes on the server a change that must not be kept in memory only. `held` is as for `write`.

        While the server is away, an attempt is made at once. If the server does not take the change, `undo` takes it
        back in memory, and the Deferred fails with `NotNow` or `Fenced`. The server may have the change nevertheless,
        until the whole data of the scanner is written.
        """
        writing = self.write(data, commands, held)
        if data.state is State.UNWRITTEN and self.outage.problem is not None:
            writing.addCallback(lambda _: self.outage.retry())
        writing.addCallback(lambda _: self._look_written(data))

        def refused(failure: Failure) -> Failure:
            undo()
            return failure

        return writing.addErrback(refused)

    def _look_written(self, data: ScannerData) -> None:
        if self._scanners.get(data.scanner) is not data:
            raise _no_longer_owned(data.scanner)
        if data.state not in (State.WRITTEN, State.UNREADABLE):
            raise NotNow(str(self.outage.problem or f"{self.where} refuses writes of {data.scanner}"))

    def send(self, data: ScannerData, write: Callable[[], Deferred[Any]],
              wait: Callable[[], object] = lambda: None) -> Deferred[None]:
        """Calls `write`; if nothing can be written now, `wait`, which keeps in memory what memory does not have yet."""
        token = self._leases.of(data.scanner).token
        if data.state is State.FENCED:
            if token == data.fenced_token:
                wait()
                return self._refused(data, _no_longer_owned(data.scanner))
            data.state = State.UNWRITTEN
        if data.state is State.WRITTEN and self.outage.problem is None:
            return write().addCallbacks(lambda _: None, self._missed, errbackArgs=(data, token, wait))
        wait()
        if data.state in (State.UNREADABLE, State.UNREAD):
            return succeed(None)
        data.state = State.UNWRITTEN
        return succeed(None) if self.outage.problem is not None else self.outage.retry()

    def _fenced(self, scanner: str, commands: Sequence[Command]) -> Deferred[Any]:
        return run_fenced(self._connection, scanner, self._leases.of(scanner).token, self._identifier,
                          [contents.registering(scanner), *commands])

    def _missed(self, failure: Failure, data: ScannerData, token: int, wait: Callable[[], object]) -> Any:
        """Keeps a write in memory that the server did not take. Returns the failure if it was fenced."""
        failure.trap(NotNow, Fenced)
        if self._scanners.get(data.scanner) is not data:  # dropped meanwhile
            return failure if failure.check(Fenced) else None
        wait()
        if failure.check(NotNow):
            data.state = State.UNWRITTEN
            self.outage.begin(failure.value)
            return None
        if token != self._leases.of(data.scanner).token:  # owned again since
            data.state = State.UNWRITTEN
            return self.outage.retry()
        self._is_fenced(data, token)
        return self._refused(data, failure)

    def _is_fenced(self, data: ScannerData, token: int) -> None:
        if data.state is not State.FENCED or data.fenced_token != token:
            data.state, data.fenced_token = State.FENCED, token
            if not self._is_alone(data):
                self.on_fenced(data.scanner)

    def _refused(self, data: ScannerData, error: Fenced | Failure) -> Deferred[None]:
        """Returns the result of a write that was fenced.

        A gateway that goes on alone has lost its lease because it could not be renewed. Its writes are kept in memory:
        it gets the scanner back by a new token, or learns of another owner by the next tick.
        """
        return succeed(None) if self._is_alone(data) else fail(error)

    def _is_alone(self, data: ScannerData) -> bool:
        return self._leases.of(data.scanner).is_alone

    async def _write_all(self) -> None:
        """Writes everything that waits. Raises `NotNow`, or `Unreadable` after the rest has been written."""
        unreadable = None
        try:
            await self.shared.restore()
        except Unreadable as error:
            unreadable = error
        while waiting := [one for one in self._scanners.values() if self._is_unwritten(one)]:
            for data in waiting:
                await self._rewrite(data)
        if unreadable is not None:
            raise unreadable

    async def _rewrite(self, data: ScannerData) -> None:
        token = self._leases.of(data.scanner).token
        data.state = State.WRITTEN  # a change meanwhile sets it to UNWRITTEN again
        held, era = data.content.held, self.era
        try:
            await data.batches.write(data.rewriting(self.offset))
            data.list_held(held, era)
            await data.lock.run(self.merge_jobs, data)
        except Unreadable as error:  # its finished jobs wait in memory; that must not keep others from being written
            self._unreadable[data.scanner] = error
        except NotNow:
            data.state = State.UNWRITTEN
            raise
        except Fenced:
            if token == self._leases.of(data.scanner).token:
                self._is_fenced(data, token)
            else:
                data.state = State.UNWRITTEN

    def run(self, commands: Sequence[Command]) -> Deferred[list[Any]]:
        """Runs commands that only read, in one round trip; an error reply is among the results."""
        return self._connection.run(lambda redis: replies(redis, commands))

    def is_waiting(self) -> bool:
        """True if the server is away, or something waits to be written."""
        return self.outage.problem is not None or any(map(self._is_unwritten, self._scanners.values()))

    def _is_unwritten(self, data: ScannerData) -> bool:
        return data.state is State.UNWRITTEN or (
            data.state is State.FENCED and data.fenced_token != self._leases.of(data.scanner).token)

    def warning(self) -> str | None:
        """See `IStore.warning`."""
        parts = [self.outage.warning(), *(f"{name}: {error}" for name, error in sorted(self._unreadable.items()))]
        return " ".join(part for part in parts if part is not None) or None

    async def close(self) -> None:
        """Finishes pending writes, tries those that wait once more, and logs the scanners whose data are lost."""
        await self.run([("PING",)]).addErrback(self._unanswered)
        await self.outage.close(self.is_waiting())
        lost = [data for data in self._scanners.values() if self._is_unwritten(data)]
        if lost:
            self.log.error("{problem}. Lost from memory: changes of {scanners}", problem=str(self.outage.problem),
                           scanners=", ".join(sorted(data.scanner for data in lost)))

    def _unanswered(self, failure: Failure) -> None:
        failure.trap(NotNow)
        self.outage.begin(failure.value)


def replies(redis: Any, commands: Sequence[Command]) -> list[Any]:
    """Runs commands that only read, in one round trip; an error reply is among the results."""
    pipeline = redis.pipeline(transaction=True)
    for command in commands:
        pipeline.execute_command(*command)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def _is_among(held: Held, values: Iterable[bytes]) -> bool:
    """True if a value has the secret of the NotifyTo address, also if this version cannot read the value."""
    secret = held.notify_to.rpartition("/")[2].encode()
    return secret != b"" and any(secret in value for value in values)


def _no_longer_owned(scanner: str) -> Fenced:
    return Fenced(f"{scanner}: another gateway owns the scanner")
