"""Checks the statuses in a history: what each read returned beside what had been announced and shown before it began.
"""

from bisect import bisect_left
from collections import defaultdict

import attrs

from tests.cluster.history import FOREVER, PHASES, TERMINATING

READ = "GetJobElements"
POLL_SECONDS = 1.5  # a gateway alone asks for a job once a second at most; another one may have canceled it meanwhile


def _reads(history):
    """The reads, one for each status in a list of jobs."""
    for one in history.answers:
        if one.operation == READ and one.status is not None:
            yield one
        for status in one.statuses:
            yield attrs.evolve(one, status=status, statuses=())


@attrs.frozen
class _Shown:
    """A status that was announced or shown by `end`. `by` says how."""

    end: float
    status: object
    by: str


class _Statuses:
    """The statuses of one job, in the order in which they had been shown."""

    def __init__(self, shown):
        self._shown = sorted(shown, key=lambda one: one.end)
        self._ends = [one.end for one in self._shown]
        self._latest = []
        for one in self._shown:
            before = self._latest[-1] if self._latest else None
            self._latest.append(one if before is None or one.status.rank > before.status.rank else before)
        # The first status with each final state: there are three.
        self._ended = list({one.status.state: one for one in reversed(self._shown) if one.status.is_final}.values())

    def latest(self, moment):
        """Returns the most advanced status that was shown before that moment, or None."""
        place = bisect_left(self._ends, moment)
        return self._latest[place - 1] if place else None

    def other_end(self, state, moment):
        """Returns a status before that moment with which the job had ended otherwise, or None."""
        return next((one for one in self._ended if one.end < moment and one.status.state != state), None)


class _Jobs:
    """Which job had a JobId when: a JobId may be given again after the scanner's restart."""

    def __init__(self, history):
        self._first = defaultdict(dict)
        told = [(one.begin, status) for one in history.asked for status in one.statuses]
        told += [(one.begin, one.status) for one in history.announcements if one.status is not None]
        told += [(one.end, one.status) for one in history.answers if one.status is not None]
        for moment, status in told:
            if status.created is not None:
                known = self._first[status.job_id]
                known[status.created] = min(moment, known.get(status.created, FOREVER))

    def of(self, job_id, created, moment):
        """Returns the job as (JobId, JobCreatedTime); without `created` the last one that was known at the moment."""
        if created is None:
            known = [(first, one) for one, first in self._first[job_id].items() if first <= moment]
            created = max(known)[1] if known else None
        return job_id, created

    def later(self, job_id, created, moment):
        """Returns the time of a later job with that JobId that was known before the moment, or None."""
        return next((one for one, first in self._first[job_id].items()
                     if created is not None and one > created and first < moment), None)


def check_reads(history, verdict):
    """Checks every status that was read."""
    jobs = _Jobs(history)
    shown, shown_by = defaultdict(list), defaultdict(list)
    alone = [pause for pause in history.pauses if pause.alone]

    def is_alone(answer):
        return any(pause.gateway == answer.gateway and pause.begin < answer.end and answer.begin < pause.end
                   for pause in alone)

    for one in history.announcements:
        if one.status is not None and one.end is not None:
            job = jobs.of(one.status.job_id, one.status.created, one.begin)
            entry = _Shown(one.end, one.status, f"announced to {one.gateway}")
            if not is_alone(one):
                shown[job].append(entry)
            shown_by[job, one.gateway].append(entry)
    for one in history.deliveries:
        # One that is alone delivers what only it was told; which gateway delivers is not known.
        if one.status is not None and not any(pause.begin < one.at < pause.end for pause in alone):
            shown[jobs.of(one.status.job_id, one.status.created, one.at)].append(
                _Shown(one.at, one.status, f"delivered to {one.sink}"))
    reads = list(_reads(history))
    for one in reads:
        job = jobs.of(one.status.job_id, one.status.created, one.end)
        entry = _Shown(one.end, one.status, f"shown by {one.gateway}")
        shown_by[job, one.gateway].append(entry)
        if not is_alone(one):
            shown[job].append(entry)
    statuses = {job: _Statuses(entries) for job, entries in shown.items()}
    statuses_by = {key: _Statuses(entries) for key, entries in shown_by.items()}
    nothing = _Statuses(())
    told = _told(history)
    canceled = _canceled([one for one in history.answers if not is_alone(one)], jobs)
    for one in reads:
        job = jobs.of(one.status.job_id, one.status.created, one.end)
        compared = statuses_by[job, one.gateway] if is_alone(one) else statuses.get(job, nothing)
        canceled_before = one.begin - POLL_SECONDS if is_alone(one) else one.begin
        _check_read(one, compared, canceled.get(job), canceled_before, verdict)
        if one.job_id is not None and one.status.job_id != one.job_id:
            verdict.violated("invented", f"{_read(one)}: asked for job {one.job_id}")
        if told and one.status.state not in told[one.status.job_id]:
            verdict.violated("invented", f"{_read(one)}: the scanner never said so")
        later = jobs.later(one.status.job_id, one.status.created, one.begin)
        if later is not None and not is_alone(one):
            verdict.violated("old job", f"{_read(one)}, of the job created {one.status.created}, though the one "
                                        f"created {later} was known")


def _check_read(read, statuses, canceled, canceled_before, verdict):
    before, other = statuses.latest(read.begin), None
    if read.status.is_final:
        other = statuses.other_end(read.status.state, read.begin)
    if before is not None and read.status.rank < before.status.rank:
        kind = "final to active" if before.status.is_final and not read.status.is_final else "older"
        verdict.violated(kind, f"{_read(read)}, {read.begin - before.end:.3f} s after {before.status}, {before.by}")
    elif other is not None:
        verdict.violated("final changed", f"{_read(read)}, after {other.status}, {other.by}")
    if canceled is not None and canceled.end < canceled_before and PHASES[read.status.state] < TERMINATING:
        verdict.violated("before CancelJob", f"{_read(read)}, {read.begin - canceled.end:.3f} s after CancelJob was "
                                             f"answered by {canceled.gateway}")


def _read(read):
    return f"{read.operation} at {read.begin:.3f}: {read.gateway} said of job {read.status.job_id}: {read.status}"


def _told(history):
    """The states of each job that the scanner ever told, in an answer or in a notification."""
    told = defaultdict(set)
    for one in history.asked:
        for status in one.statuses:
            told[status.job_id].add(status.state)
    for one in history.announcements:
        if one.status is not None:
            told[one.status.job_id].add(one.status.state)
    return told


def _canceled(answers, jobs):
    """The first CancelJob of each job that was answered without a fault."""
    found = {}
    for one in sorted(answers, key=lambda one: one.end):
        if one.operation == "CancelJob" and one.is_good:
            found.setdefault(jobs.of(one.job_id, None, one.end), one)
    return found
