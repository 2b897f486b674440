"""Selects the recorded answer to a request by operation, job and details, each in recorded order.

A new job replays the first unplayed recorded job with the same source and format, else the first unplayed one. When all
have been played, they start over with new JobIds. The last answer of a kind is repeated, except for images.
"""

from itertools import count

import attrs

from wsdgateway.replay.recording import Event, Exchange, Recording, creations
from wsdgateway.scan.operations import CREATE_SCAN_JOB, RETRIEVE_IMAGE
from wsdgateway.soap.faults import Fault, Refused

MAX_JOBS = 10000
NO_IMAGES = Fault("Sender", "wscn:ClientErrorNoImagesAvailable", "The recording contains no more images of this job.",
                                                                 400)


@attrs.frozen(eq=False)
class Played:
    """The selected answer. `jobs` maps recorded JobIds to those that clients know; `events` follow the answer."""

    exchange: Exchange
    jobs: dict[str, str]
    events: tuple[Event, ...] = ()


@attrs.define(eq=False)
class _Run:
    """One playing of a recorded job, or of the requests that belong to no job."""

    recorded: str | None
    live: str | None
    played: dict[tuple[str, tuple[str, ...]], int] = attrs.field(factory=dict)
    begun: set[int] = attrs.field(factory=set)

    @property
    def jobs(self) -> dict[str, str]:
        return {self.recorded: self.live} if self.recorded is not None and self.live is not None else {}


class Script:
    """The state of a recording while it is replayed."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._creations = creations(recording)
        self._unplayed = list(self._creations)
        self._runs: dict[str | None, _Run] = {None: _Run(None, None)}
        known = [one.created or one.job_id or "" for one in recording.exchanges]
        numbers = [int(one) for one in known if one.isascii() and one.isdigit() and len(one) < 10]
        self._free = count(max(numbers, default=0) + 1)

    def answer(self, operation: str, job_id: str | None, asked: tuple[str, ...]) -> Played:
        """The recorded answer to such a request. Raises `Refused` if no request of that kind was recorded."""
        if operation == CREATE_SCAN_JOB.name and self._creations:
            return self._create(asked)
        run = self._runs.get(job_id) or self._unknown_job(job_id)
        candidates = [one for one in self._recording.exchanges
                      if one.operation == operation and one.job_id == run.recorded]
        # Prefer the scanner's own answers to those of the gateway.
        candidates = [one for one in candidates if not one.second_hand] or candidates
        alike = [one for one in candidates if one.asked == asked]
        if not (alike or candidates):
            where = "" if job_id is None else f" for the job {job_id[:100]}"
            raise Refused(Fault("Sender", "wsa:ActionNotSupported",
                                f"The recording contains no {operation[:200]}{where}.", 400))
        return self._next(run, operation, asked if alike else (), alike or candidates)

    def _next(self, run: _Run, operation: str, asked: tuple[str, ...], candidates: list[Exchange]) -> Played:
        position = run.played.get((operation, asked), 0)
        if position >= len(candidates):
            if operation == RETRIEVE_IMAGE.name and candidates[-1].fault is None:
                raise Refused(NO_IMAGES)
            position = len(candidates) - 1
        run.played[operation, asked] = position + 1
        return self._play(run, candidates[position])

    def _create(self, asked: tuple[str, ...]) -> Played:
        """Play the next job with this source and format, else the next one; start over when all have been played."""
        if not self._unplayed:
            self._unplayed = list(self._creations)
        exchange = next((one for one in self._unplayed if one.asked == asked), self._unplayed[0])
        self._unplayed.remove(exchange)
        if exchange.created is None:
            return Played(exchange, {})
        live = str(next(self._free)) if exchange.created in self._runs else exchange.created
        return self._play(self._remember(_Run(exchange.created, live)), exchange)

    def _unknown_job(self, job_id: str | None) -> _Run:
        """A job that was not created in the recording: an earlier one, or one unknown to the scanner."""
        return self._remember(_Run(job_id, job_id))

    def _remember(self, run: _Run) -> _Run:
        self._runs[run.live] = run
        if len(self._runs) > MAX_JOBS:
            del self._runs[next(key for key in self._runs if key is not None)]
        return run

    def _play(self, run: _Run, exchange: Exchange) -> Played:
        """Play an answer. Its events follow only the first time."""
        if id(exchange) in run.begun:
            return Played(exchange, run.jobs)
        run.begun.add(id(exchange))
        return Played(exchange, run.jobs, tuple(one for one in self._recording.events if one.anchor is exchange))

    def without_anchor(self) -> tuple[Event, ...]:
        """The events that follow no recorded request; they are sent after the first Subscribe."""
        return tuple(one for one in self._recording.events if one.anchor is None)
