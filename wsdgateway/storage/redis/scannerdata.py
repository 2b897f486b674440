"""The data of one scanner that its owner keeps in memory: the desired content of its keys in Redis.

Its state is one of::

                 NotNow, or the token has changed              Fenced
      WRITTEN ────────────────────────────────► UNWRITTEN ───────────────► FENCED
         ▲  ▲           rewritten                 │    ▲    another token    │
         │  └─────────────────────────────────────┘    └─────────────────────┘
         │ take                     take
      (new) ──────────────────────────────────► UNREADABLE

In UNWRITTEN, writes change memory alone, until the whole has been written. In FENCED they fail, unless the gateway goes
on alone. In UNREADABLE, Redis has values that this version cannot read; they are left unchanged, and writes change
memory alone. The same holds for UNREAD, from `take_nothing` to `drop`: Redis could not be asked for its values.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from enum import Enum, auto
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held, LeftBehind
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.redis import contents
from wsdgateway.storage.redis.batches import Batches
from wsdgateway.storage.redis.fencing import Command
from wsdgateway.storage.store import Content, FinishedJob

SPARE_LISTED = 100  # entries of `listed` whose subscriptions may have ended
MAX_SUPERSEDED = 1000  # JobIds of one scanner that were reused while the server was away

_NOTHING = contents.Read(Content(), {})


class State(Enum):
    """The comparison of the content in Redis with that in memory."""

    WRITTEN = auto()
    UNWRITTEN = auto()
    FENCED = auto()
    UNREADABLE = auto()
    UNREAD = auto()


class ScannerData:
    """The data of one scanner. Its methods change memory, and return the commands for the same change in Redis.

    `send` runs a list of commands, `next_number` returns larger numbers with each call, for the order of entries.
    `memory` also holds the finished jobs that wait to be written, and `superseded` the JobIds whose jobs in Redis must
    be marked before. `lock` is for changes of the finished jobs that read them first.
    """

    def __init__(self, scanner: str, history: int, send: Callable[[list[Command]], Deferred[Any]],
                 next_number: Callable[[], int], read: contents.Read = _NOTHING) -> None:
        self.scanner = scanner
        self.state = State.WRITTEN
        self.fenced_token: int | None = None
        self.memory = MemoryStore(history, read.content)
        self._numbers = dict(read.numbers)
        self.offer_number = read.offer_number
        self._next_number = next_number
        self.batches = Batches(send)
        self.superseded: OrderedDict[str, None] = OrderedDict()
        self.lock = DeferredLock()
        self._listed: dict[str, int | None] = {}  # by NotifyTo address: the era of the server that has listed it
        self._most_listed = SPARE_LISTED

    @property
    def content(self) -> Content:
        """Everything except the finished jobs."""
        return self.memory.content

    def has(self, identifier: str) -> bool:
        """True if it is the identifier of a client's subscription to this scanner."""
        return identifier in self._numbers

    def save(self, subscription: Subscription, held: Held | None, offset: float) -> list[Command]:
        self.memory.save(subscription, held)
        return [self._saving(subscription, offset), *([] if held is None else [contents.holding(held, offset)])]

    def _saving(self, subscription: Subscription, offset: float) -> Command:
        number = self._numbers.get(subscription.identifier)
        if number is None:
            number = self._numbers[subscription.identifier] = self._next_number()
        return contents.saving(subscription, number, offset)

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None,
                offset: float) -> list[Command]:
        self.memory.succeed(heir, held, former, left)
        self._numbers.pop(former, None)
        return [contents.releasing(self.scanner, former),
                contents.forgetting(self.scanner, former) if left is None else self._saving(left, offset),
                self._saving(heir, offset), *([] if held is None else [contents.holding(held, offset)])]

    def before_succession(self, heir: str, former: str) -> Callable[[], None]:
        """Returns a function that brings back the subscription `former` in place of its heir, as it is now."""
        kept = next((one for one in self.content.subscriptions if one.identifier == former), None)
        its_held = next((one for one in self.content.held if one.identifier == former), None)
        number = self._numbers.get(former)

        def undo() -> None:
            self.forget(heir)
            if kept is not None and number is not None:
                self.memory.succeed(kept, its_held, heir, None)
                self._numbers[former] = number

        return undo

    def forget(self, identifier: str) -> list[Command]:
        self.memory.forget(identifier)
        self._numbers.pop(identifier, None)
        return [contents.forgetting(self.scanner, identifier)]

    def hold(self, held: Held, offset: float) -> list[Command]:
        self.memory.hold(held)
        return [contents.holding(held, offset)]

    def release(self, identifier: str, notify_to: str) -> list[Command]:
        is_held = any((one.identifier, one.notify_to) == (identifier, notify_to) for one in self.content.held)
        self.memory.release(self.scanner, identifier, notify_to)
        return [contents.releasing(self.scanner, identifier)] if is_held else []

    def list_held(self, held: Iterable[Held], era: int | None) -> None:
        """Notes that the server has listed these subscriptions at the scanner, in that era."""
        self._listed.update((one.notify_to, era) for one in held)
        if len(self._listed) > self._most_listed:
            present = {one.notify_to for one in self.content.held}
            self._listed = {notify_to: era for notify_to, era in self._listed.items() if notify_to in present}
            self._most_listed = 2 * len(present) + SPARE_LISTED

    def left_behind(self) -> list[LeftBehind]:
        """Returns the subscriptions at the scanner, for a gateway that stops bridging it."""
        return [LeftBehind(one, self._listed.get(one.notify_to)) for one in self.content.held]

    def begin_job(self, job: OwnJob) -> list[Command]:
        self.memory.begin_job(job)
        return [contents.beginning(job)]

    def end_job(self, own_id: str) -> list[Command]:
        self.memory.end_job(self.scanner, own_id)
        return [contents.ending(self.scanner, own_id)]

    def keep_escl_offer(self, offer: KeptOffer) -> list[Command]:
        self.memory.keep_escl_offer(offer)
        self.offer_number = self._next_number()
        return [contents.offering(offer, self.offer_number)]

    def forget_escl_offer(self) -> list[Command]:
        self.memory.forget_escl_offer(self.scanner)
        return [contents.withdrawing(self.scanner)]

    def rewriting(self, offset: float) -> list[Command]:
        """Returns the commands that write the whole content, except for the finished jobs."""
        return contents.rewriting(self.scanner, self.content, self._numbers, self.offer_number, offset)

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
