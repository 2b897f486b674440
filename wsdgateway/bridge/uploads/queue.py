"""The upload queue: which file is sent next, when a failed one is sent again, and when the queue is full.

Trouble of a server pauses all files for it, and after the pause one of them is tried; other trouble pauses only its
file. Files are sent in the order in which they were queued, except that one after `PATIENCE` failed attempts lets the
others go first, so that a file that the server cannot take holds up nothing.

Times are in seconds since 1970, because pauses and ages continue over a restart, on a clock that a change to the system
time does not affect.
"""

from collections.abc import Callable, Hashable, Iterable

import attrs

from wsdgateway.bridge.uploads.answers import MAX_RETRY_AFTER, Again
from wsdgateway.bridge.uploads.pauses import LONGEST, pause_after
from wsdgateway.bridge.uploads.upload import FAILED, SENT, Upload

MAX_AT_ONCE = 2  # requests to a server
MAX_FILES = 10000  # that wait
PATIENCE = 5
_LONGEST_PAUSE = max(LONGEST, MAX_RETRY_AFTER)


@attrs.frozen
class Limits:
    """The section `[uploads]`: `size` in bytes, `age` in seconds."""

    size: int
    age: float


@attrs.define
class _Server:
    """The state of a server: failed attempts in a row, and the end of the pause."""

    failures: int = 0
    not_before: float = 0.0


class UploadQueue:
    """The files that wait or are being sent. `server_of` names the server for a file, None if it has none now."""

    def __init__(self, limits: Limits, server_of: Callable[[Upload], Hashable]) -> None:
        self.limits = limits
        self._server_of = server_of
        self._uploads: dict[str, Upload] = {}
        self._sending: set[str] = set()
        self._tried: set[str] = set()
        self._servers: dict[Hashable, _Server] = {}

    # What waits.

    @property
    def waiting(self) -> list[Upload]:
        """Every file that has not been sent, in the order in which they were queued."""
        return sorted(self._uploads.values(), key=lambda one: (one.queued, one.id))

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(one.size for one in self._uploads.values())

    def refusal(self, other_bytes: int = 0) -> str | None:
        """Returns why no more files are accepted, as a clause; None while they are.

        `other_bytes` is the size of the files that were given up and still lie in the folder.
        """
        if len(self._uploads) >= MAX_FILES:
            return f"{MAX_FILES} files wait for their upload servers"
        if self.bytes + other_bytes < self.limits.size:
            return None
        given_up = f", of which {other_bytes} bytes were given up and lie in failed/" if other_bytes else ""
        return (f"the upload queue is full ({self.bytes + other_bytes} bytes{given_up}; [uploads] size = "
                f"{self.limits.size})")

    def without_server(self) -> dict[str, int]:
        """Returns how many files wait for each destination that has no upload server now."""
        counts: dict[str, int] = {}
        for one in self._uploads.values():
            if self._server_of(one) is None:
                counts[one.destination] = counts.get(one.destination, 0) + 1
        return counts

    # Changes.

    def restore(self, uploads: Iterable[Upload]) -> None:
        """Add the files of an earlier start; their pauses continue."""
        for one in uploads:
            self._uploads[one.id] = one
            if one.server_trouble:
                server = self._server(one)
                server.failures = max(server.failures, one.attempts)
                server.not_before = max(server.not_before, one.not_before)

    def add(self, upload: Upload) -> None:
        """Add a file."""
        self._uploads[upload.id] = upload

    def configure(self, limits: Limits, server_of: Callable[[Upload], Hashable]) -> None:
        """Use another configuration; a file whose server is another one is sent without waiting for its pause."""
        for one in list(self._uploads.values()):
            if self._server_of(one) != server_of(one):
                self._uploads[one.id] = attrs.evolve(one, not_before=0.0, server_trouble=False)
        self.limits = limits
        self._server_of = server_of

    def take_due(self, now: float) -> list[Upload]:
        """Returns the files to send now; each counts as being sent until its outcome is reported."""
        due = [one for one in self._uploads.values() if self._may_send(one) and self._due_at(one, now) <= now]
        taken: list[Upload] = []
        for one in sorted(due, key=lambda one: (one.attempts // PATIENCE, one.queued, one.id)):
            if self._has_room(one):
                self._sending.add(one.id)
                self._tried.add(one.id)
                taken.append(one)
        return taken

    def take_expired(self, now: float) -> list[Upload]:
        """Returns the files that are too old, and removes them. A file is tried once after a start all the same."""
        expired = [self._given_up(one, f"it has waited for more than {self.limits.age:g} s"
                                  + (f"; last: {one.reason}" if one.reason else ""))
                   for one in self._uploads.values() if self._may_expire(one) and now >= one.queued + self.limits.age]
        for one in expired:
            self._remove(one.id)
        return expired

    def next_time(self, now: float) -> float | None:
        """Returns when `take_due` or `take_expired` should be called again; None if only after a change."""
        times = [self._due_at(one, now) for one in self._uploads.values()
                 if self._may_send(one) and self._has_room(one)]
        times += [one.queued + self.limits.age for one in self._uploads.values() if self._may_expire(one)]
        return min(times, default=None)

    # Outcomes of requests.

    def accepted(self, upload_id: str) -> Upload:
        """Remove a file that the server has accepted; returns it as it is recorded until it is deleted."""
        upload = self._remove(upload_id)
        self._servers.pop(self._server_of(upload), None)
        return attrs.evolve(upload, state=SENT)

    def rejected(self, upload_id: str, reason: str) -> Upload:
        """Remove a file that the server does not want; returns it as it is recorded until it is in `failed/`."""
        upload = self._remove(upload_id)
        self._servers.pop(self._server_of(upload), None)
        return self._given_up(attrs.evolve(upload, attempts=upload.attempts + 1), reason)

    def failed(self, upload_id: str, outcome: Again, now: float) -> Upload:
        """Record a failed attempt; returns the file as it waits now."""
        upload = self._uploads[upload_id]
        attempts = upload.attempts + 1
        pause = max(outcome.pause, pause_after(attempts))
        if outcome.of_server:
            server = self._server(upload)
            if self._end(server.not_before, now) <= now:  # else another request has counted already
                server.failures += 1
                server.not_before = now + max(outcome.pause, pause_after(server.failures))
            pause = server.not_before - now
        else:
            self._servers.pop(self._server_of(upload), None)
        self._sending.discard(upload_id)
        upload = attrs.evolve(upload, attempts=attempts, not_before=now + pause, server_trouble=outcome.of_server,
                              reason=outcome.reason)
        self._uploads[upload_id] = upload
        return upload

    def cancelled(self, upload_id: str) -> None:
        """Let a file wait as before, since its request was ended by the gateway itself."""
        self._sending.discard(upload_id)

    # Details.

    def _server(self, upload: Upload) -> _Server:
        return self._servers.setdefault(self._server_of(upload), _Server())

    def _due_at(self, upload: Upload, now: float) -> float:
        """The end of the pause. The file's own one counts only if it was not caused by the server's trouble."""
        server = self._end(self._server(upload).not_before, now)
        return server if upload.server_trouble else max(server, self._end(upload.not_before, now))

    def _end(self, not_before: float, now: float) -> float:
        """The end of a pause; one that would be too long is over, since the clock must have been set back."""
        return not_before if not_before <= now + _LONGEST_PAUSE else now

    def _has_room(self, upload: Upload) -> bool:
        most = 1 if self._server(upload).failures else MAX_AT_ONCE
        server = self._server_of(upload)
        return sum(self._server_of(self._uploads[one]) == server for one in self._sending) < most

    def _may_send(self, upload: Upload) -> bool:
        return upload.id not in self._sending and self._server_of(upload) is not None

    def _may_expire(self, upload: Upload) -> bool:
        return upload.id not in self._sending and (
            upload.id in self._tried or self._server_of(upload) is None)

    def _remove(self, upload_id: str) -> Upload:
        self._sending.discard(upload_id)
        self._tried.discard(upload_id)
        return self._uploads.pop(upload_id)

    def _given_up(self, upload: Upload, reason: str) -> Upload:
        return attrs.evolve(upload, state=FAILED, reason=reason)
