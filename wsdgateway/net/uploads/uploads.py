"""Uploads of scanned files: takes them over from destinations, and sends them until their servers accept them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from wsdgateway.bridge.uploads.answers import Accepted, Again, Outcome, Rejected
from wsdgateway.bridge.uploads.queue import Limits, UploadQueue
from wsdgateway.bridge.uploads.upload import Upload
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.net.transport.timeouts import within
from wsdgateway.net.uploads.request import Target
from wsdgateway.storage.uploads import Found, UploadFolder

TargetOf = Callable[[str, str], Target | None]
STOP_SECONDS = 5.0  # for requests that are running, so that no server gets a file twice
GONE = "the scan that was to be sent is gone"


class Uploads:
    """The upload queue at work.

    `target_of` returns the server for a destination and a scanner, None without one; the scanner is "" for a scan that
    was complete when the process ended.

    `send` sends a file to a target under a name, `clock` measures ages and pauses, `new_id` returns 32 random hex
    digits, and `failed` is called with the name of the destination for each file that is given up.
    """

    log = Logger()

    def __init__(self, reactor: Any, folder: UploadFolder, limits: Limits, target_of: TargetOf,
                 send: Callable[[Target, Path, str], Awaitable[Outcome]], clock: SteadyClock,
                 new_id: Callable[[], str], failed: Callable[[str], None]) -> None:
        self._reactor = reactor
        self.folder = folder
        self._target_of = target_of
        self._queue = UploadQueue(limits, self._target)
        self._send = send
        self._clock = clock
        self._new_id = new_id
        self._failed = failed
        self._failed_sizes: list[int] = folder.failed.sizes()
        self._tasks = Tasks("Work on the upload queue failed")
        self._requests: set[Deferred[Any]] = set()
        self._timer: IDelayedCall | None = None
        self._running = False

    def start(self, found: Found) -> None:
        """Send what an earlier start has left."""
        self._running = True
        for remark in found.remarks:
            self.log.error("Upload queue: {remark}", remark=remark)
        uploads = [_shifted(one, self._clock.from_wall) for one in found.uploads]
        self._queue.restore(one for one in uploads if self.folder.path_of(one).exists())
        waiting = len(self._queue.waiting)
        for one in uploads:
            if not self.folder.path_of(one).exists():
                self._tasks.run(self._take(one))
        for destination, path in found.scans:
            if self._target_of(destination, "") is None:
                self._give_up_scan(path)
            else:
                self.put(path, "", destination, 0)
        if waiting:
            self.log.info("Upload queue: {count} file(s) of an earlier start wait", count=waiting)
        self._report_without_server()
        self._run()

    def configure(self, limits: Limits, target_of: TargetOf) -> None:
        """Use another configuration: files for servers that have changed are sent at once."""
        self._queue.configure(limits, lambda upload: target_of(upload.destination, upload.scanner))
        self._target_of = target_of
        self._report_without_server()
        self._run()

    def _report_without_server(self) -> None:
        for name, count in self._queue.without_server().items():
            self.log.warn("{destination}: {count} file(s) wait for its upload server, but no [[destination]] of this "
                          "name has upload now; they are sent once it has again, and go to {folder} when they are "
                          "older than [uploads] age", destination=name, count=count,
                          folder=str(self.folder.failed.folder))

    # For the destinations and the admin site.

    def refusal(self) -> str | None:
        """Returns why no scan may begin, as a clause; None if one may."""
        refusal = self._queue.refusal(sum(self._failed_sizes))
        if refusal is not None:
            self._failed_sizes = self.folder.failed.sizes()  # the user may have made room
            refusal = self._queue.refusal(sum(self._failed_sizes))
        return refusal

    def waiting(self, destination: str) -> int:
        """The number of files that wait for the server of a destination, or are being sent."""
        return sum(one.destination == destination for one in self._queue.waiting)

    @property
    def given_up(self) -> int:
        """The number of files in `failed/`, as last read."""
        return len(self._failed_sizes)

    # Taking over.

    def put(self, path: Path, scanner: str, destination: str, pages: int) -> Deferred[None]:
        """Take over a complete file. It is kept even if the process ends at once.

        Fires when the file at `path` is not needed any more.
        """
        taken: Deferred[None] = Deferred()
        try:
            upload = Upload(self._new_id(), destination, scanner, path.name, str(path), pages, path.stat().st_size,
                            self._clock())
            self.folder.write(self._as_recorded(upload))
        except OSError as error:
            self._not_taken(destination, path, str(error.strerror))
            taken.callback(None)
            return taken
        self._tasks.run(self._take(upload, taken))
        return taken

    async def _take(self, upload: Upload, taken: Deferred[None] | None = None) -> None:
        try:
            source = self.folder.take(upload)
            await self._in_thread(self.folder.secure, upload, source)
        except OSError as error:
            self.folder.forget(upload)
            self._not_taken(upload.destination, Path(upload.source),
                            GONE if isinstance(error, FileNotFoundError) else str(error.strerror))
        else:
            self._queue.add(upload)
            if self._target(upload) is None:
                self._report_without_server()
            self._run()
        finally:
            if taken is not None:
                taken.callback(None)

    def _not_taken(self, destination: str, path: Path, problem: str) -> None:
        self._failed(destination)
        self.log.error("{destination}: {path} is not uploaded: {problem}", destination=destination, path=str(path),
                       problem=problem)

    def _give_up_scan(self, path: Path) -> None:
        try:
            moved = self.folder.give_up_scan(path)
        except OSError as error:
            self.log.error("Upload queue: {path} cannot be moved: {problem}", path=str(path), problem=error.strerror)
            return
        self.log.error("Upload queue: a scan of an earlier start is not uploaded, because its destination is not in "
                       "the configuration any more, or is there twice; the file is {path} now", path=str(moved))

    # Sending.

    def _run(self) -> None:
        """Send the files that are due, give up those that are too old, and set the timer for the next time."""
        if not self._running:
            return
        now = self._clock()
        for expired in self._queue.take_expired(now):
            self._tasks.run(self._give_up(expired))
        for due in self._queue.take_due(now):
            self._tasks.run(self._upload(due))
        following = self._queue.next_time(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if following is not None:
            self._timer = self._reactor.callLater(max(following - now, 0.0), self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._run()

    def _as_recorded(self, upload: Upload) -> Upload:
        return _shifted(upload, self._clock.on_wall)

    def _target(self, upload: Upload) -> Target | None:
        return self._target_of(upload.destination, upload.scanner)

    async def _upload(self, upload: Upload) -> None:
        target = self._target(upload)
        assert target is not None, "the queue sends nothing without a server"
        request: Deferred[Outcome] = Deferred.fromCoroutine(self._request(upload, target))
        self._requests.add(request)
        try:
            outcome = await request
        except CancelledError:
            self._queue.cancelled(upload.id)
            return
        finally:
            self._requests.discard(request)
        host = urlsplit(target.url).netloc
        if isinstance(outcome, Accepted):
            await self._finish(self._queue.accepted(upload.id))
            self.log.info("{destination}: {name} was uploaded to {host}", destination=upload.destination,
                          name=upload.name, host=host)
        elif isinstance(outcome, Rejected):
            await self._give_up(self._queue.rejected(upload.id, f"{host}: {outcome.reason}"))
        else:
            await self._again(upload, outcome, host)
        self._run()

    async def _request(self, upload: Upload, target: Target) -> Outcome:
        try:
            return await self._send(target, self.folder.path_of(upload), upload.name)
        except CancelledError:
            raise
        except Exception:
            self.log.failure("{destination}: uploading {name} failed", destination=upload.destination, name=upload.name)
            return Again("the gateway failed")

    async def _again(self, upload: Upload, outcome: Again, host: str) -> None:
        now = self._clock()
        outcome = attrs.evolve(outcome, reason=f"{host}: {outcome.reason}")
        waiting = self._queue.failed(upload.id, outcome, now)
        self.log.warn("{destination}: {name} was not uploaded, and is kept; attempt {attempts}: {reason}; next attempt "
                      "in {pause:.0f} s", destination=upload.destination, name=upload.name, attempts=waiting.attempts,
                      reason=outcome.reason, pause=waiting.not_before - now)
        await self._record(waiting, self.folder.update)

    async def _record(self, upload: Upload, write: Callable[[Upload], None]) -> None:
        try:
            await self._in_thread(write, self._as_recorded(upload))
        except OSError as error:
            self.log.error("Upload queue: the record of {name} cannot be written: {problem}", name=upload.name,
                           problem=error.strerror)

    async def _give_up(self, upload: Upload) -> None:
        self._failed(upload.destination)
        moved = await self._finish(upload)
        self._failed_sizes = self.folder.failed.sizes()
        self.log.error("{destination}: {name} was not uploaded, and is not tried again: {reason}; the file is {path}",
                       destination=upload.destination, name=upload.name, reason=upload.reason,
                       path=str(moved or self.folder.failed.folder))

    async def _finish(self, upload: Upload) -> Path | None:
        try:
            return await self._in_thread(self.folder.finish, self._as_recorded(upload))
        except OSError as error:
            self.log.error("Upload queue: {path} cannot be removed from the queue, and is sent again after a restart: "
                           "{problem}", path=str(self.folder.path_of(upload)), problem=error.strerror)
            return self.folder.path_of(upload)

    def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *arguments)

    async def stop(self) -> None:
        """Stop. Running requests have `STOP_SECONDS` to end; files that wait are sent after the next start."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await within(self._reactor, STOP_SECONDS, [self._tasks.idle()])
        for request in list(self._requests):
            request.cancel()
        await self._tasks.idle()
        if self._clock.set_by:
            for waiting in self._queue.waiting:  # the next start knows only the system time
                await self._record(waiting, self.folder.write)
        self.folder.close()


def _shifted(upload: Upload, convert: Callable[[float], float]) -> Upload:
    """Convert the times of an upload between the clock of the queue and the wall clock of its record."""
    return attrs.evolve(upload, queued=convert(upload.queued), not_before=convert(upload.not_before))
