"""The store of one of several gateways on a Redis server.

Memory holds the content of the scanners that this gateway owns, from `take` to `drop`, so that no read of a status and
no event waits for the server. Each write of a scanner's data is fenced: the server refuses it once another gateway owns
the scanner. While the server is away, writes change memory alone; when it answers again, the whole content of each
scanner that was changed is written. Data that all gateways share is in `storage.redis.shared`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import MAX_KEPT, KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.redis import contents, keys, values
from wsdgateway.storage.redis.client import RedisClient
from wsdgateway.storage.redis.fencing import Command, run_fenced
from wsdgateway.storage.redis.outage import Outage
from wsdgateway.storage.redis.scannerdata import ScannerData, State, merge_jobs
from wsdgateway.storage.redis.shared import SharedStore
from wsdgateway.storage.store import Content, FinishedJob, IStore, StoreError, Unreadable

MAX_COMPLAINED = 1000  # scanners with finished jobs that cannot be read, named in the log



@implementer(IStore)
class RedisStore:
    """The store of the gateway that is registered as `identifier`.

    `leases` has the tokens of its ownerships. `history` is the number of finished jobs kept for each scanner; `wall`
    returns seconds since 1970. `offset` is the server's time minus that, in seconds; each tick sets it. `on_fenced` is
    called with the name of a scanner when the server has refused a write because another gateway owns it.

    Deferreds of writes fail with `Fenced`, and then nothing was written. They fire without the server having the value
    while it is away, as `warning` says, and while the gateway goes on alone with a scanner.
    """

    log = Logger()

    def __init__(self, reactor: Any, client: RedisClient, leases: Leases, identifier: str, history: int,
                 wall: Callable[[], float]) -> None:
        self._where = client.address.text
        self._connection = client.connection("store")
        self._leases = leases
        self._identifier = identifier
        self._history = history
        self._wall = wall
        self._scanners: dict[str, ScannerData] = {}
        self._unreadable: dict[str, StoreError] = {}
        self._last_number = 0
        self._complained: set[str] = set()
        self.offset = 0.0
        self.on_fenced: Callable[[str], None] = lambda scanner: None
        self._outage = Outage(reactor, self._where, self._write_all)
        self._shared = SharedStore(self._connection, self._where, history, wall, self._outage.begin)

    def set_on_return(self, on_return: Callable[[], None]) -> None:
        """Sets the function that is called when the server is used again."""
        self._outage.on_return = on_return

    def _next_number(self) -> int:
        """A number that is larger than those of earlier entries: the server's time in milliseconds, if possible."""
        self._last_number = max(self._last_number + 1, int((self._wall() + self.offset) * 1000))
        return self._last_number

    # The scanners that this gateway owns.

    def take(self, scanner: str) -> Deferred[Content]:
        """Reads the data of a scanner that this gateway has begun to own; from then on memory holds it.

        Fails with `NotNow`, or with `Unreadable` if a value is damaged or from a newer version: then the scanner starts
        with nothing, its data in Redis stays unchanged, and `warning` says so.
        """
        return Deferred.fromCoroutine(self._take(scanner))

    async def _take(self, scanner: str) -> Content:
        try:
            read = await self._read(scanner)
        except Unreadable as error:
            self.drop(scanner)
            self._unreadable[scanner] = error
            self.log.error("{scanner}: {error}", scanner=scanner, error=str(error))
            self._of(scanner).state = State.UNREADABLE
            raise
        self.drop(scanner)
        self._last_number = max(self._last_number, read.offer_number, *read.numbers.values())
        self._scanners[scanner] = self._made(scanner, read)
        return read.content

    async def _read(self, scanner: str) -> contents.Read:
        def read(redis: Any) -> tuple[bool, contents.Read]:
            replies = _replies(redis, contents.reading(scanner))
            # In the thread, since a thousand subscriptions take some time.
            return replies[0] is None, contents.read(self._where, scanner, replies, offset)

        offset = self.offset
        is_new, found = await self._connection.run(read)
        if is_new:  # no gateway has used the server yet, or it has lost its data
            await self._shared.restore()
        return found

    def _made(self, scanner: str, *read: contents.Read) -> ScannerData:
        return ScannerData(scanner, self._history, partial(self._fenced, scanner), self._next_number, *read)

    def drop(self, scanner: str) -> None:
        """Forgets the data of a scanner that this gateway no longer owns; the server keeps it for the next owner."""
        self._unreadable.pop(scanner, None)
        data = self._scanners.pop(scanner, None)
        if data is not None:
            data.batches.end(_no_longer_owned(scanner))

    def rewrite(self, scanner: str) -> Deferred[None]:
        """Writes the whole data of a scanner, and what all gateways share.

        For a gateway that has acquired again a scanner that it has not stopped to serve, alone or over the beginning of
        a new era: the server may have lost its data, and memory is newer. Fires when done, or when the server is away.
        """
        data = self._scanners.get(scanner)
        if data is not None and data.state is not State.UNREADABLE:
            data.state = State.UNWRITTEN
        return self._outage.retry()

    def remove(self, scanner: str) -> Deferred[None]:
        """Deletes everything of an owned scanner that no gateway is configured for, and forgets it."""
        removing = self._of(scanner).batches.write(contents.removing(scanner))
        return removing.addBoth(self._removed, scanner)

    def _removed(self, result: Any, scanner: str) -> Any:
        self.drop(scanner)
        return result

    def scanners(self) -> Deferred[list[str]]:
        """Returns the names of all scanners with subscriptions or with jobs of a gateway's own, whoever owns them.

        One that no registered gateway is configured for must be acquired and taken by any gateway, which ends what is
        left at the scanner.
        """
        def names(redis: Any) -> list[str]:
            found = sorted(name.decode() for name in redis.smembers(keys.SCANNERS))
            pipeline = redis.pipeline(transaction=False)
            for name in found:
                pipeline.exists(keys.subscriptions(name), keys.held(name), keys.own_jobs(name))
            return [name for name, some in zip(found, pipeline.execute(), strict=True) if some]

        return self._connection.run(names)

    def _of(self, scanner: str) -> ScannerData:
        data = self._scanners.get(scanner)
        if data is None:
            data = self._scanners[scanner] = self._made(scanner)
        return data

    # Writing.

    def _write(self, data: ScannerData, commands: list[Command]) -> Deferred[None]:
        """Makes on the server the changes that were made in memory."""
        return self._send(data, lambda: data.batches.write(commands))

    def _send(self, data: ScannerData, write: Callable[[], Deferred[Any]],
              wait: Callable[[], object] = lambda: None) -> Deferred[None]:
        """Calls `write`; if nothing can be written now, `wait`, which keeps in memory what memory does not have yet."""
        token = self._leases.of(data.scanner).token
        if data.state is State.FENCED:
            if token == data.fenced_token:
                wait()
                return self._refused(data, _no_longer_owned(data.scanner))
            data.state = State.UNWRITTEN
        if data.state is State.WRITTEN and self._outage.problem is None:
            return write().addCallbacks(lambda _: None, self._missed, errbackArgs=(data, token, wait))
        wait()
        if data.state is State.UNREADABLE:
            return succeed(None)
        data.state = State.UNWRITTEN
        return succeed(None) if self._outage.problem is not None else self._outage.retry()

    def _fenced(self, scanner: str, commands: Sequence[Command]) -> Deferred[Any]:
        return run_fenced(self._connection, scanner, self._leases.of(scanner).token, self._identifier,
                          [contents.registering(scanner), *commands])

    def _missed(self, failure: Failure, data: ScannerData, token: int, wait: Callable[[], object]) -> Any:
        """Keeps in memory what the server did not take. Returns the failure if the write was fenced."""
        failure.trap(NotNow, Fenced)
        if self._scanners.get(data.scanner) is not data:  # dropped meanwhile
            return failure if failure.check(Fenced) else None
        wait()
        if failure.check(NotNow):
            data.state = State.UNWRITTEN
            self._outage.begin(failure.value)
            return None
        if token != self._leases.of(data.scanner).token:  # owned again since
            data.state = State.UNWRITTEN
            return self._outage.retry()
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
            await self._shared.restore()
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
        try:
            await data.batches.write(data.rewriting(self.offset))
            await data.lock.run(self._merge_jobs, data)
        except NotNow:
            data.state = State.UNWRITTEN
            raise
        except Fenced:
            if token == self._leases.of(data.scanner).token:
                self._is_fenced(data, token)
            else:
                data.state = State.UNWRITTEN

    def _run(self, commands: Sequence[Command]) -> Deferred[list[Any]]:
        return self._connection.run(lambda redis: _replies(redis, commands))

    # Finished jobs.

    def add(self, job: FinishedJob) -> Deferred[None]:
        data = self._of(job.scanner)
        commands = contents.adding(job.scanner, [job], self._history)
        return self._send(data, lambda: data.lock.run(data.batches.write, commands),
                          lambda: data.memory.add(job))

    def limit(self, history: int) -> Deferred[None]:
        self._history = history
        return DeferredList([self._limit(data) for data in self._scanners.values()]).addCallback(lambda _: None)

    def _limit(self, data: ScannerData) -> Deferred[None]:
        data.memory.limit(self._history)
        limiting = [contents.limiting(data.scanner, self._history)]
        return self._send(data, lambda: data.lock.run(data.batches.write, limiting)).addErrback(
            lambda failure: failure.trap(Fenced) and None)

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        data = self._of(scanner)
        data.supersede(job_id)
        return self._send(data, lambda: data.lock.run(self._merge_jobs, data))

    async def _merge_jobs(self, data: ScannerData) -> None:
        """Marks and appends on the server what waits in memory. Only for a holder of the lock."""
        marks, waiting = tuple(data.superseded), data.memory.take_jobs()
        if not marks and not waiting:
            return
        try:
            replies = await self._run([contents.reading_finished(data.scanner, None)])
            merging = merge_jobs(self._read_jobs(data.scanner, replies[0]), waiting, marks)
            await data.batches.write([
                *(contents.marking(data.scanner, place, job) for place, job in merging.marked),
                *contents.adding(data.scanner, merging.added, self._history)])
        except StoreError:
            newer = data.memory.take_jobs()
            for job in (*waiting, *newer):
                data.memory.add(job)
            raise
        for job_id in marks:
            data.superseded.pop(job_id, None)

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        data = self._scanners.get(scanner)
        if data is None:
            return Deferred.fromCoroutine(self._finished(scanner, most, None))
        return data.lock.run(self._finished, scanner, most, data)

    async def _finished(self, scanner: str, most: int | None, data: ScannerData | None) -> list[FinishedJob]:
        limit = self._history if most is None else min(most, self._history)
        if limit <= 0:
            return []
        listed: list[FinishedJob | None] = []
        if self._outage.problem is None:
            try:
                replies = await self._run([contents.reading_finished(scanner, limit)])
                listed = self._read_jobs(scanner, replies[0])
            except NotNow as error:
                self._outage.begin(error)
        waiting = [] if data is None else await data.memory.finished(scanner)
        merging = merge_jobs(listed, waiting, () if data is None else data.superseded)
        marked = dict(merging.marked)
        kept = [marked.get(place, job) for place, job in enumerate(listed)]
        return [job for job in (*kept, *merging.added) if job is not None][-limit:]

    def _read_jobs(self, scanner: str, listed: Any) -> list[FinishedJob | None]:
        """Returns the finished jobs in a reply, with None for each that cannot be read, which stays as it is."""
        name = keys.done(scanner)
        jobs: list[FinishedJob | None] = []
        for value in contents.checked(self._where, name, listed):
            try:
                with contents.explained(self._where, name):
                    jobs.append(values.read_finished(scanner, value))
            except Unreadable as error:
                jobs.append(None)
                if name not in self._complained and len(self._complained) < MAX_COMPLAINED:
                    self._complained.add(name)
                    self.log.warn("A finished job is left out: {error}", error=str(error))
        return jobs

    # Subscriptions, jobs of the gateway's own, eSCL offers.

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        data = self._of(subscription.scanner)
        return self._write(data, data.save(subscription, held, self.offset))

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        data = self._of(heir.scanner)
        return self._write(data, data.succeed(heir, held, former, left, self.offset))

    def forget(self, identifier: str) -> Deferred[None]:
        data = next((one for one in self._scanners.values() if one.has(identifier)), None)
        return succeed(None) if data is None else self._write(data, data.forget(identifier))

    def hold(self, held: Held) -> Deferred[None]:
        data = self._of(held.scanner)
        return self._write(data, data.hold(held, self.offset))

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        data = self._of(scanner)
        return self._write(data, data.release(identifier, notify_to))

    def begin_job(self, job: OwnJob) -> Deferred[None]:
        data = self._of(job.scanner)
        return self._write(data, data.begin_job(job))

    def end_job(self, scanner: str, job_id: str) -> Deferred[None]:
        data = self._of(scanner)
        return self._write(data, data.end_job(job_id))

    def keep_escl_offer(self, offer: KeptOffer) -> Deferred[None]:
        data = self._of(offer.scanner)
        keeping = self._write(data, data.keep_escl_offer(offer))
        kept = self._offering()
        if len(kept) > MAX_KEPT:
            self.forget_escl_offer(kept[0].scanner).addErrback(lambda failure: failure.trap(Fenced) and None)
        return keeping

    def forget_escl_offer(self, scanner: str) -> Deferred[None]:
        data = self._of(scanner)
        return self._write(data, data.forget_escl_offer())

    def _offering(self) -> list[ScannerData]:
        """The scanners with an eSCL offer, that with the oldest offer first."""
        return sorted((data for data in self._scanners.values() if data.content.escl_offers),
                      key=lambda data: data.offer_number)

    def subscriptions(self) -> Deferred[list[Subscription]]:
        return succeed([one for data in self._scanners.values() for one in data.content.subscriptions])

    def held(self) -> Deferred[list[Held]]:
        return succeed([one for data in self._scanners.values() for one in data.content.held])

    def own_jobs(self) -> Deferred[list[OwnJob]]:
        return succeed([one for data in self._scanners.values() for one in data.content.own_jobs])

    def escl_offers(self) -> Deferred[list[KeptOffer]]:
        return succeed([one for data in self._offering() for one in data.content.escl_offers])

    # What all gateways share.

    def next_instance(self, now: int) -> Deferred[int]:
        return Deferred.fromCoroutine(self._shared.next_instance(now))

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        return Deferred.fromCoroutine(self._shared.metadata_version(endpoint, digest))

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        return Deferred.fromCoroutine(self._shared.adopt(adopted))

    def abandon(self, uuid: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._shared.abandon(uuid))

    def adopted(self) -> Deferred[list[Adopted]]:
        return Deferred.fromCoroutine(self._shared.adopted())

    def keep_escl_port(self, scanner: str, port: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self._shared.keep_escl_port(scanner, port))

    def escl_ports(self) -> Deferred[dict[str, int]]:
        return Deferred.fromCoroutine(self._shared.escl_ports())

    # The server.

    def retry(self) -> Deferred[None]:
        return self._outage.retry() if self._is_waiting() else succeed(None)

    def _is_waiting(self) -> bool:
        return self._outage.problem is not None or any(map(self._is_unwritten, self._scanners.values()))

    def _is_unwritten(self, data: ScannerData) -> bool:
        return data.state is State.UNWRITTEN or (
            data.state is State.FENCED and data.fenced_token != self._leases.of(data.scanner).token)

    def warning(self) -> str | None:
        parts = [self._outage.warning(), *(f"{name}: {error}" for name, error in sorted(self._unreadable.items()))]
        return " ".join(part for part in parts if part is not None) or None

    def close(self) -> Deferred[None]:
        """Finishes pending writes, tries once more to write what waits, and stops. It does not close the client."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        await self._run([("PING",)]).addErrback(self._unanswered)
        await self._outage.close(self._is_waiting())
        lost = [data for data in self._scanners.values() if self._is_unwritten(data)]
        if lost:
            self.log.error("{problem}. Lost from memory: changes of {scanners}", problem=str(self._outage.problem),
                           scanners=", ".join(sorted(data.scanner for data in lost)))

    def _unanswered(self, failure: Failure) -> None:
        failure.trap(NotNow)
        self._outage.begin(failure.value)


def _replies(redis: Any, commands: Sequence[Command]) -> list[Any]:
    """Runs commands that only read, in one round trip; an error reply is among the results."""
    pipeline = redis.pipeline(transaction=True)
    for command in commands:
        pipeline.execute_command(*command)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def _no_longer_owned(scanner: str) -> Fenced:
    return Fenced(f"{scanner}: another gateway owns the scanner")
