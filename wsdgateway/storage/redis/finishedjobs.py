"""The finished jobs of scanners, which are read from the server when they are needed, and not kept in memory.

Those that cannot be written now wait in memory, at most as many as the history has.
"""

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.redis import contents, keys, values
from wsdgateway.storage.redis.owned import OwnedScanners
from wsdgateway.storage.redis.scannerdata import ScannerData, merge_jobs
from wsdgateway.storage.store import FinishedJob, StoreError, Unreadable

MAX_COMPLAINED = 1000  # scanners with finished jobs that cannot be read, named in the log


class FinishedJobs:
    """Reads and writes finished jobs. The public methods but `merge` are those of `IStore`."""

    log = Logger()

    def __init__(self, owned: OwnedScanners) -> None:
        self._owned = owned
        self._complained: set[str] = set()
        owned.merge_jobs = self.merge

    def add(self, job: FinishedJob) -> Deferred[None]:
        data = self._owned.of(job.scanner)
        commands = contents.adding(job.scanner, [job], self._owned.history)
        return self._owned.send(data, lambda: data.lock.run(data.batches.write, commands),
                          lambda: data.memory.add(job))

    def limit(self, history: int) -> Deferred[None]:
        self._owned.history = history
        return DeferredList([self._limit(data) for data in self._owned]).addCallback(lambda _: None)

    def _limit(self, data: ScannerData) -> Deferred[None]:
        data.memory.limit(self._owned.history)
        limiting = [contents.limiting(data.scanner, self._owned.history)]
        return self._owned.send(data, lambda: data.lock.run(data.batches.write, limiting)).addErrback(
            lambda failure: failure.trap(Fenced) and None)

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        data = self._owned.of(scanner)
        data.supersede(job_id)
        return self._owned.send(data, lambda: data.lock.run(self.merge, data))

    async def merge(self, data: ScannerData) -> None:
        """Marks and appends on the server what waits in memory. Only for a holder of the lock."""
        marks, waiting = tuple(data.superseded), data.memory.take_jobs()
        if not marks and not waiting:
            return
        try:
            replies = await self._owned.run([contents.reading_finished(data.scanner, None)])
            merging = merge_jobs(self._read_jobs(data.scanner, replies[0]), waiting, marks)
            await data.batches.write([
                *(contents.marking(data.scanner, place, job) for place, job in merging.marked),
                *contents.adding(data.scanner, merging.added, self._owned.history)])
        except StoreError:
            newer = data.memory.take_jobs()
            for job in (*waiting, *newer):
                data.memory.add(job)
            raise
        for job_id in marks:
            data.superseded.pop(job_id, None)

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        data = self._owned.get(scanner)
        if data is None:
            return Deferred.fromCoroutine(self._finished(scanner, most, None))
        return data.lock.run(self._finished, scanner, most, data)

    async def _finished(self, scanner: str, most: int | None, data: ScannerData | None) -> list[FinishedJob]:
        limit = self._owned.history if most is None else min(most, self._owned.history)
        if limit <= 0:
            return []
        listed: list[FinishedJob | None] = []
        if self._owned.outage.problem is None:
            try:
                replies = await self._owned.run([contents.reading_finished(scanner, limit)])
                listed = self._read_jobs(scanner, replies[0])
            except NotNow as error:
                self._owned.outage.begin(error)
            except Unreadable as error:
                self._complain(keys.done(scanner), "Finished jobs are left out: {error}", error)
        waiting = [] if data is None else await data.memory.finished(scanner)
        merging = merge_jobs(listed, waiting, () if data is None else data.superseded)
        marked = dict(merging.marked)
        kept = [marked.get(place, job) for place, job in enumerate(listed)]
        return [job for job in (*kept, *merging.added) if job is not None][-limit:]

    def _read_jobs(self, scanner: str, listed: Any) -> list[FinishedJob | None]:
        """Returns the finished jobs in a reply, with None for each that cannot be read, which stays as it is."""
        name = keys.done(scanner)
        jobs: list[FinishedJob | None] = []
        for value in contents.checked(self._owned.where, name, listed):
            try:
                with contents.explained(self._owned.where, name):
                    jobs.append(values.read_finished(scanner, value))
            except Unreadable as error:
                jobs.append(None)
                self._complain(name, "A finished job is left out: {error}", error)
        return jobs

    def _complain(self, name: str, text: str, error: Unreadable) -> None:
        if name not in self._complained and len(self._complained) < MAX_COMPLAINED:
            self._complained.add(name)
            self.log.warn(text, error=str(error))
