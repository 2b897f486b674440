"""Finds out why a scanner sends no image or accepts no job, from its faults, its conditions and the job's status.

WS-Scan, "Common WSD Scan Service operation error codes", JobState, ScannerStatus, ActiveConditions.
"""

import re
from collections.abc import Callable, Iterable

import attrs

from wsdgateway.bridge.health.causes import STOPPING, condition_cause
from wsdgateway.cli.scan.bounded import BoundedScanner
from wsdgateway.cli.scan.calls import TimeOver
from wsdgateway.cli.scan.outcomes import ATTENTION, BUSY, FAILED, NO_PAPER, UNREACHABLE, ScanError, plain
from wsdgateway.cli.scan.scanner import ScannerRefusal
from wsdgateway.scan.conditions import in_words, listed
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstates import ABORTED, CANCELED
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.refusals import NO_IMAGES, NOT_ACCEPTING, OPERATION_FAILED
from wsdgateway.scan.scannerstatus import (
    ATTENTION_REQUIRED,
    IDLE,
    INPUT_TRAY_EMPTY,
    REASONS,
    STOPPED,
    ScannerStatus,
    words_of,
)

END_TRIES = 3
IDLE_CHECKS = 2  # in a row that find an idle scanner which refuses a job; one that has just become ready may do so once

# In the text of a fault, these words name a condition; "paused" or "attention" may mean anything.
_NAMED = {words_of(name): re.compile(rf"\b(?:{name}|{words_of(name)})\b", re.IGNORECASE)
          for name in sorted(STOPPING.difference(REASONS))}


class Diagnosis:
    """Queries the scanner for the cause of a failure. `feeder`: pages come from the feeder; `pause` waits a moment."""

    def __init__(self, scanner: BoundedScanner, *, feeder: bool, pause: Callable[[], None]) -> None:
        self._scanner = scanner
        self._feeder = feeder
        self._pause = pause
        self._refused_idle = 0

    def last_status(self, job: CreatedJob) -> JobStatus | None:
        """The final status of the job; None if the scanner does not report it."""
        status: JobStatus | None = None
        for attempt in range(END_TRIES):
            if attempt:
                # The gateway learns it from an event, which may arrive a moment after the fault.
                self._pause()
            try:
                status = self._scanner.status(job)
            except TimeOver:
                raise
            except (ScanError, ScannerRefusal):
                return None
            if status is None or status.final:
                break
        return status

    def judge(self, status: JobStatus | None, refusal: ScannerRefusal, pages: int) -> None:
        """Raise `ScanError`, unless the refusal after so many pages is the regular end of the job."""
        if status is not None and status.state in (ABORTED, CANCELED):
            self._check(self._condition(), pages, status.reasons)
            cause = listed(status.reasons) or in_words(status.state)
            raise ScanError(f"The scanner ended the job: {plain(cause)}")
        if pages and (refusal.over or (status is not None and status.is_complete(pages))):
            if self._feeder and refusal.code == NO_IMAGES:
                # A feeder that is jammed has no images either.
                self._check(self._condition(), pages)
            return
        if pages and self._feeder and status is None and refusal.code == OPERATION_FAILED:
            _check_text(refusal)
            condition = self._condition()
            self._check(condition, pages)
            if condition.state == IDLE:
                return  # some scanners end a feeder's job so, and do not tell its status
        raise self.error_for(refusal, pages)

    def check(self, refusal: ScannerRefusal) -> str:
        """Raise `ScanError` if the scanner refused because it needs attention, or because the feeder is empty.

        There is no job yet. Returns the other conditions that the scanner reports, in words.
        """
        condition = self._checked(refusal, 0)
        self._refused_idle = self._refused_idle + 1 if self._suggests_empty(refusal, condition) else 0
        if self._refused_idle == IDLE_CHECKS:
            raise _empty_feeder()
        return _passing(condition)

    def check_attention(self, refusal: ScannerRefusal) -> str:
        """Raise `ScanError` if the scanner refused because it needs attention.

        An empty feeder is no cause here, because it may have drawn its last sheet. Returns the other conditions that
        the scanner reports, in words.
        """
        return _passing(self._checked(refusal, 1))

    def check_stopped(self) -> None:
        """Raise `ScanError` if the scanner is stopped until somebody goes there; some do not answer meanwhile."""
        condition = self._condition()
        if condition.state == STOPPED:
            self._check(condition, 1)

    def _checked(self, refusal: ScannerRefusal, pages: int) -> ScannerStatus:
        _check_text(refusal)
        condition = self._condition()
        self._check(condition, pages)
        return condition

    def _suggests_empty(self, refusal: ScannerRefusal, condition: ScannerStatus) -> bool:
        """Whether an idle scanner accepts no job from its feeder: some tell an empty one so (Brother DCP-L2540DW)."""
        return (self._feeder and refusal.code == NOT_ACCEPTING and condition.state == IDLE
                and not condition.reasons)

    def _check(self, condition: ScannerStatus, pages: int, of_job: Iterable[str] = ()) -> None:
        """Raise `ScanError` for the condition, or for one that the reasons of a job's state name."""
        named = tuple(reason for reason in of_job if reason in STOPPING)
        cause = condition_cause(attrs.evolve(condition, state_reasons=(*condition.state_reasons, *named)))
        if cause is not None:
            raise _attention(cause.words)
        if self._feeder and not pages and INPUT_TRAY_EMPTY in condition.reasons:
            raise _empty_feeder()

    def _condition(self) -> ScannerStatus:
        """The state and the problems that the scanner reports."""
        try:
            return self._scanner.condition() or ScannerStatus(None)
        except TimeOver:
            raise
        except (ScanError, ScannerRefusal):
            return ScannerStatus(None)

    def error_for(self, refusal: ScannerRefusal, pages: int = 0) -> ScanError:
        """The error for a refusal that ends the scan after so many pages."""
        if refusal.unreachable:
            return ScanError(refusal.cause(), UNREACHABLE)
        condition = self._condition()
        try:
            _check_text(refusal)
            self._check(condition, pages)
        except ScanError as error:
            return error
        if not pages and ((self._feeder and refusal.code == NO_IMAGES) or self._suggests_empty(refusal, condition)):
            return _empty_feeder()
        told = _passing(condition)
        if refusal.temporary:
            return ScanError(f"{refusal.cause(told)} ({plain(refusal.code)})", BUSY)
        told = f"; it reports {plain(told)}" if told else ""
        return ScanError(f"The scanner refused the request: {refusal}{told}", FAILED)


def _passing(condition: ScannerStatus) -> str:
    """The conditions in words. An empty feeder is left out: where it matters, it has been reported before."""
    return listed(reason for reason in condition.reasons if reason != INPUT_TRAY_EMPTY)


def _check_text(refusal: ScannerRefusal) -> None:
    named = [words for words, pattern in _NAMED.items() if pattern.search(f"{refusal.code} {refusal.reason}")]
    if named:
        raise _attention(", ".join(named))


def _empty_feeder() -> ScanError:
    return ScanError("The feeder is empty", NO_PAPER)


def _attention(words: str) -> ScanError:
    cause = "its panel says why" if words == words_of(ATTENTION_REQUIRED) else plain(words)
    return ScanError(f"The scanner needs attention: {cause}. Scan again when this is put right", ATTENTION)
