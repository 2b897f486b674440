"""The state of a scanner, its feeder and its jobs. eSCL, ScannerStatus, AdfState."""

from typing import Self

import attrs

from wsdgateway.escl.jobinfo import JobInfo
from wsdgateway.escl.reading import child, children, parse_document, text
from wsdgateway.escl.writing import DEFAULT_VERSION, document, element, group

IDLE, PROCESSING, TESTING, STOPPED, DOWN = "Idle", "Processing", "Testing", "Stopped", "Down"
ADF_LOADED, ADF_EMPTY, ADF_JAM = "ScannerAdfLoaded", "ScannerAdfEmpty", "ScannerAdfJam"
ADF_HATCH_OPEN, ADF_MULTIPICK = "ScannerAdfHatchOpen", "ScannerAdfMultipickDetected"
ADF_DOOR_OPEN = "ScannerAdfDoorOpen"  # SANE's word for ScannerAdfHatchOpen
# ScannerAdfProcessing is read as "empty" by both backends of SANE, so it is never written.
MAX_JOBS = 10  # listed


@attrs.frozen
class ScannerStatus:
    """A scanner's state, the feeder's state if it has a feeder, and the jobs, the newest first."""

    state: str
    adf_state: str | None = None
    jobs: tuple[JobInfo, ...] = ()
    version: str = DEFAULT_VERSION

    def write(self) -> bytes:
        """The document, with at most `MAX_JOBS` jobs."""
        return document("ScannerStatus", (
            element("pwg:Version", self.version) + element("pwg:State", self.state)
            + element("scan:AdfState", self.adf_state)
            + group("scan:Jobs", "".join(job.write() for job in self.jobs[:MAX_JOBS]))))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The state in a document; empty if it contains none. Raises `escl.reading.Unreadable`."""
        root = parse_document(data, "ScannerStatus")
        listed = child(root, "Jobs")
        jobs = () if listed is None else (JobInfo.read(info) for info in children(listed, "JobInfo"))
        return cls(text(root, "State") or "", text(root, "AdfState"), tuple(job for job in jobs if job is not None),
                   text(root, "Version") or DEFAULT_VERSION)
