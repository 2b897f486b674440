"""Finds out why a scanner sends no image or accepts no job, from its faults, its conditions and the job's status.

WS-Scan, "Common WSD Scan Service operation error codes", JobState, ScannerStatus, ActiveConditions.
"""

from collections.abc import Callable
from contextlib import suppress

from wsdgateway.cli.scan.client import ScannerRefusal, ScanService
from wsdgateway.cli.scan.outcomes import BUSY, FAILED, NO_PAPER, UNREACHABLE, ScanError, plain
from wsdgateway.scan.conditions import INPUT_TRAY_EMPTY
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstates import ABORTED, CANCELED, COMPLETED
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.scannerstatus import read_status

END_TRIES = 3


class Diagnosis:
    """Queries the scanner for the cause of a failure. `feeder`: pages come from the feeder; `pause` waits a moment."""

    def __init__(self, service: ScanService, *, feeder: bool, pause: Callable[[], None]) -> None:
        self._service = service
        self._feeder = feeder
        self._pause = pause

    def last_status(self, job: CreatedJob) -> JobStatus | None:
        """The final status of the job; None if the scanner does not report it."""
        status: JobStatus | None = None
        for attempt in range(END_TRIES):
            if attempt:
                # The gateway learns it from an event, which may arrive a moment after the fault.
                self._pause()
            try:
                status = self._service.status(job)
            except (ScanError, ScannerRefusal):
                return None
            if status is None or status.final:
                break
        return status

    def judge(self, status: JobStatus | None, refusal: ScannerRefusal, pages: int) -> None:
        """Raise `ScanError`, unless the refusal after so many pages is the regular end of the job."""
        if status is not None and status.state in (ABORTED, CANCELED):
            if not pages:
                self.check_paper()
            reasons = " ".join(reason for reason in status.reasons if reason != "None")
            raise ScanError(f"The scanner ended the job: {plain(f'{status.state} {reasons}')}")
        if pages and (refusal.over or (status is not None and status.state == COMPLETED)):
            return
        raise self.error_for(refusal, pages)

    def _conditions(self) -> tuple[str, ...]:
        """The problems that the scanner reports."""
        with suppress(ScanError, ScannerRefusal):
            status = self._service.elements("ScannerStatus").get("ScannerStatus")
            return () if status is None else read_status(status).reasons
        return ()

    def check_paper(self) -> None:
        """Raise `ScanError` if the scanner reports an empty feeder."""
        if self._feeder and INPUT_TRAY_EMPTY in self._conditions():
            raise _empty_feeder()

    def error_for(self, refusal: ScannerRefusal, pages: int = 0) -> ScanError:
        """The error for a refusal that ends the scan after so many pages."""
        if refusal.unreachable:
            return ScanError(str(refusal), UNREACHABLE)
        may_be_empty = self._feeder and not pages
        if may_be_empty and refusal.code == "ClientErrorNoImagesAvailable":
            return _empty_feeder()
        conditions = self._conditions()
        if may_be_empty and INPUT_TRAY_EMPTY in conditions:
            return _empty_feeder()
        told = plain(f"; it reports {', '.join(conditions)}") if conditions else ""
        if refusal.temporary:
            busy = "" if str(refusal).startswith("The scanner is busy") else "The scanner is busy: "
            return ScanError(f"{busy}{refusal}{told}", BUSY)
        return ScanError(f"The scanner refused the request: {refusal}{told}", FAILED)


def _empty_feeder() -> ScanError:
    return ScanError("The feeder is empty", NO_PAPER)
