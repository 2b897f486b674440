"""Tells the shared server for how long jobs of this gateway's clients go on counting at the scanners of all gateways.

`net.scanners.jobintents` has a job counted before it is created. Nothing waits for what is written here: the end of a
job is written at once, other changes within `LATER_SECONDS`, and what comes while a write is under way with the next
one. While the server does not answer, changes are kept until it does not count their jobs any more by itself.
"""

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.access.quotas import FORGOTTEN_SECONDS, MAX_JOBS, CountedJob
from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.sharedevents import IJobCounts, JobChange

LATER_SECONDS = 3.0  # often a job ends so soon after its last image, so that one write tells both
RETRY_SECONDS = 1.0
AT_ONCE = 1000  # changes in one write

_Key = tuple[str, str]  # client, name of the job


@attrs.frozen
class _Change:
    """The time until which a job counts, 0 if it has ended, and the time after which the server counts it no longer."""

    until: float
    forgotten: float


class JobCounts:
    """The changes that wait to be written, at most `MAX_JOBS`; of more the oldest are left out."""

    log = Logger()

    def __init__(self, reactor: Any, shared: IJobCounts, *, seconds: Callable[[], float]) -> None:
        self._reactor = reactor
        self._shared = shared
        self._seconds = seconds
        self._waiting: OrderedDict[_Key, _Change] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._is_writing = self._is_silent = self._is_closed = False

    def changed(self, job: CountedJob) -> None:
        """Takes a change of a job that is counted at the server; see `Quotas.on_change`."""
        if not self._is_closed:
            self._wait((job.client, job.name), _Change(job.until, self._seconds() + FORGOTTEN_SECONDS))
            self._look()

    def close(self) -> None:
        """Sends what waits, without waiting for an answer, and nothing more."""
        self._is_closed = True
        self._cancel_timer()
        while self._waiting:
            self._send()

    def _wait(self, key: _Key, change: _Change) -> None:
        self._waiting[key] = change
        if len(self._waiting) > MAX_JOBS:
            self._waiting.popitem(last=False)

    def _look(self) -> None:
        """Writes what waits, now or later."""
        if self._is_writing or self._is_closed or not self._waiting:
            return
        now = self._seconds()
        if not self._is_silent and any(change.until <= now for change in self._waiting.values()):
            self._cancel_timer()
            self._send()
        elif self._timer is None:
            self._timer = self._reactor.callLater(RETRY_SECONDS if self._is_silent else LATER_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._seconds()
        for key in [key for key, change in self._waiting.items() if change.forgotten <= now]:
            del self._waiting[key]
        if self._waiting:
            self._send()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        now = self._seconds()
        sent = dict(islice(self._waiting.items(), AT_ONCE))
        for key in sent:
            del self._waiting[key]
        self._is_writing = True
        writing = self._shared.change([
            JobChange(*key, max(0.0, change.until - now)) for key, change in sent.items()])
        writing.addCallbacks(lambda _: self._written(), lambda failure: self._failed(failure, sent))
        writing.addErrback(lambda failure: self.log.failure("Changing the number of clients' jobs in Redis failed",
                                                            failure))

    def _written(self) -> None:
        self._is_writing = self._is_silent = False
        self._look()

    def _failed(self, failure: Failure, sent: dict[_Key, _Change]) -> None:
        self._is_writing, self._is_silent = False, True
        if not self._is_closed:
            for key, change in sent.items():
                if key not in self._waiting:
                    self._wait(key, change)
        self._look()
        failure.trap(NotNow)
