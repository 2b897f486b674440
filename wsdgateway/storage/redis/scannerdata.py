"""What one scanner's owner keeps of the scanner in memory: the desired content of its keys in Redis.

Its state is one of::

                 NotNow, or the token has changed              Fenced
      WRITTEN ────────────────────────────────► UNWRITTEN ───────────────► FENCED
         ▲  ▲           rewritten                 │    ▲    another token    │
         │  └─────────────────────────────────────┘    └─────────────────────┘
         │ take                     take
      (new) ──────────────────────────────────► UNREADABLE

In UNWRITTEN, writes change memory alone, until the whole has been written. In FENCED they fail. In UNREADABLE, Redis
has values that this version cannot read; they are left unchanged, and writes change memory alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from enum import Enum, auto
from itertools import zip_longest
from typing import Any

import attrs
from twisted.internet.defer import DeferredLock

from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.redis import contents
from wsdgateway.storage.redis.contents import Numbering
from wsdgateway.storage.redis.fencing import Command
from wsdgateway.storage.store import Content, FinishedJob

MAX_SUPERSEDED = 1000  # JobIds of one scanner that were reused while the server was away


class State(Enum):
    """How the content in Redis compares with that in memory."""

    WRITTEN = auto()
    UNWRITTEN = auto()
    FENCED = auto()
    UNREADABLE = auto()


class ScannerData:
    """The data of one scanner. `next_number` returns larger numbers with each call, for the order of entries.

    `memory` also holds the finished jobs that wait to be written, and `superseded` the JobIds whose jobs in Redis must
    be marked before. `lock` is for changes of the finished jobs that read them first.
    """

    def __init__(self, scanner: str, history: int, next_number: Callable[[], int],
                 read: contents.Read | None = None) -> None:
        self.scanner = scanner
        self.state = State.WRITTEN
        self.fenced_token: int | None = None
        read = read or contents.Read(Content(), {})
        self.memory = MemoryStore(history, read.content)
        self._numbers = dict(read.numbers)
        self._offer_number = read.offer_number
        self._next_number = next_number
        self.superseded: OrderedDict[str, None] = OrderedDict()
        self.lock = DeferredLock()

    @property
    def content(self) -> Content:
        """Everything except the finished jobs."""
        return self.memory.content

    def has(self, identifier: str) -> bool:
        """True if it is the identifier of a client's subscription to this scanner."""
        return identifier in self._numbers

    def change(self, write: Callable[[MemoryStore], Any], offset: float) -> list[Command]:
        """Changes the content in memory, and returns the commands that make the same change in Redis."""
        before = self.content
        write(self.memory)
        after = self.content
        if any(offer is not one for offer, one in zip_longest(after.escl_offers, before.escl_offers)):
            self._offer_number = self._next_number()
        self._numbers = {one.identifier: self._numbers.get(one.identifier) or self._next_number()
                         for one in after.subscriptions}
        return contents.differences(self.scanner, before, after, self._numbering(offset))

    def _numbering(self, offset: float) -> Numbering:
        return Numbering(self._numbers, self._offer_number, offset)

    @property
    def offer_number(self) -> int:
        """The number that gives the place of the scanner's eSCL offer among those of all scanners."""
        return self._offer_number

    def rewriting(self, offset: float) -> list[Command]:
        """Returns the commands that write the whole content, except for the finished jobs."""
        return contents.rewriting(self.scanner, self.content, self._numbering(offset))

    # Finished jobs that wait.

    def supersede(self, job_id: str) -> None:
        """Marks the finished jobs with that JobId, those in Redis later."""
        self.superseded[job_id] = None
        self.superseded.move_to_end(job_id)
        if len(self.superseded) > MAX_SUPERSEDED:
            self.superseded.popitem(last=False)
        self.memory.supersede(self.scanner, job_id)


@attrs.frozen
class Merging:
    """The changes that bring the list of finished jobs up to date: places of jobs to mark, and jobs to append."""

    marked: tuple[tuple[int, FinishedJob], ...]
    added: tuple[FinishedJob, ...]


def merge_jobs(listed: list[FinishedJob | None], waiting: list[FinishedJob], superseded: Container[str],
               ) -> Merging:
    """Compares the jobs in Redis with those that wait. None stands for one that cannot be read.

    A waiting job may be in Redis already, if no answer to its write arrived. It is newer than the marks, unless it is
    marked itself.
    """
    places = {_without_mark(job): place for place, job in enumerate(listed) if job is not None}
    known = {place: job for job in waiting if (place := places.get(_without_mark(job))) is not None}
    marked = [(place, attrs.evolve(job, superseded=True)) for place, job in enumerate(listed)
              if job is not None and not job.superseded and (
                  known[place].superseded if place in known else job.job_id in superseded)]
    return Merging(tuple(marked), tuple(job for job in waiting if _without_mark(job) not in places))


def _without_mark(job: FinishedJob) -> FinishedJob:
    return attrs.evolve(job, superseded=False)
