"""Maps a scanner's status and the jobs of one client to the status that this client sees.

WS-Scan, ScannerStatus, ActiveConditions, JobState; eSCL, ScannerStatus, AdfState, JobInfo. Each client sees its own
jobs only, because SANE cancels every unfinished job that it sees; and Processing only while one of them runs, because
it gives up at a busy scanner. A feeder is Loaded unless it is known to be something else: clients believe Empty, and
would refuse to scan.
"""

import attrs

from wsdgateway.bridge.frontends.escl.faults import aborted_reason
from wsdgateway.escl.jobinfo import JobInfo
from wsdgateway.escl.scannerstatus import (
    ADF_EMPTY,
    ADF_HATCH_OPEN,
    ADF_JAM,
    ADF_LOADED,
    ADF_MULTIPICK,
    DOWN,
    IDLE,
    PROCESSING,
    STOPPED,
    TESTING,
)
from wsdgateway.escl.scannerstatus import ScannerStatus as EsclStatus
from wsdgateway.scan.jobstates import ABORTED, CANCELED, COMPLETED, CREATING, HELD, PENDING
from wsdgateway.scan.refusals import NO_IMAGES
from wsdgateway.scan.scannerstatus import INPUT_TRAY_EMPTY, ScannerStatus

# An empty feeder that is only known from a job may be filled at any time, and the scanner would not report it.
EMPTY_SHOWN = 5  # seconds after the end of the job
# With the time between two questions, less than the 10 seconds within which clients must learn of an outage.
SILENT_SECONDS = 4.0
FEEDER_COMPONENTS = ("ADF", "MediaPath")
_WARMING = frozenset(("Calibrating", "LampWarming"))
# The first that applies is shown.
_ADF_STATES = {"MediaJam": ADF_JAM, "MultipleFeedError": ADF_MULTIPICK, "CoverOpen": ADF_HATCH_OPEN,
               "InterlockOpen": ADF_HATCH_OPEN, INPUT_TRAY_EMPTY: ADF_EMPTY}
# Conditions of the feeder also if the scanner does not name the component.
_FEEDERS_OWN = frozenset(("MediaJam", "MultipleFeedError", INPUT_TRAY_EMPTY))
_STATES = {CREATING: PENDING, PENDING: PENDING, HELD: PENDING, COMPLETED: COMPLETED, CANCELED: CANCELED,
           ABORTED: ABORTED}


@attrs.frozen
class ClientJob:
    """A job of the asking client. `state` is the job's at the scanner, and Pending while it waits for its turn there.

    `taken` pages were sent whole to the client, `waiting` pages are stored, or arriving, for it. `fault` is the
    scanner's last; `drained` is true if the scanner has nothing left in its feeder. `canceled_here` is true for a job
    that the client has deleted. `age` is in seconds since the last change.
    """

    uri: str
    uuid: str
    state: str
    feeder: bool
    taken: int = 0
    waiting: int = 0
    retries: int = 0
    age: int = 0
    fault: str | None = None
    drained: bool = False
    canceled_here: bool = False

    @property
    def client_state(self) -> str:
        """The state of eSCL: it ends when the client has the last page, not when the scanner is done."""
        state = job_state_of(self.state)
        return PROCESSING if state in (COMPLETED, ABORTED) and self.waiting else state

    @property
    def is_active(self) -> bool:
        """True until the job has ended for the client."""
        return self.client_state in (PENDING, PROCESSING)


def job_state_of(state: str) -> str:
    """The JobState of eSCL for one of WS-Scan. A vendor's, and Terminating, count as Processing until the end."""
    return _STATES.get(state, PROCESSING)


def job_info_of(job: ClientJob) -> JobInfo:
    """The job as its client sees it."""
    return JobInfo(job.uri, job.client_state, job.uuid, job.age, job.taken, job.waiting, job.retries, (_reason(job),))


def _reason(job: ClientJob) -> str:
    state = job.client_state
    if state == PENDING:
        return "JobQueued"
    if state == PROCESSING:
        if job_state_of(job.state) != PROCESSING:
            return "JobTransferring"
        return "JobScanningAndTransferring" if job.waiting else "JobScanning"
    if state == COMPLETED:
        return "JobCompletedSuccessfully"
    if state == CANCELED:
        return "JobCanceledByUser" if job.canceled_here else "JobCanceledAtDevice"
    return "ResourcesAreNotReady" if job.drained else aborted_reason(job.fault)


def is_silent(asked: float | None, received: float, now: float) -> bool:
    """True if a scanner that was `asked` for its status has sent nothing for too long; None if it was not asked.

    `received` is when it last sent anything, on the same clock. The time limit of requests is much longer, because a
    scanner may take long to create a job or to begin an image.
    """
    return asked is not None and received <= asked and now - asked >= SILENT_SECONDS


def status_of(scanner: ScannerStatus | None, jobs: tuple[ClientJob, ...], *, has_feeder: bool,
              refused_age: float | None = None) -> EsclStatus:
    """The status for the client with these jobs, the newest first. `scanner` is None while it cannot be reached.

    `refused_age` is the time in seconds since a job of this client was refused because the feeder is empty, if one was.
    """
    return EsclStatus(state_of(scanner, jobs), adf_state_of(scanner, jobs, refused_age) if has_feeder else None,
                      tuple(map(job_info_of, jobs)))


def state_of(scanner: ScannerStatus | None, jobs: tuple[ClientJob, ...]) -> str:
    """The state for the client with these jobs. Waiting pages can be fetched in every state of the scanner."""
    active = any(job.is_active for job in jobs)
    if any(job.is_active and job.waiting for job in jobs):
        return PROCESSING
    if scanner is None:
        return DOWN
    if scanner.state == STOPPED:
        return TESTING if scanner.reasons and _WARMING.issuperset(scanner.reasons) else STOPPED
    return PROCESSING if active else IDLE


def adf_state_of(scanner: ScannerStatus | None, jobs: tuple[ClientJob, ...],
                 refused_age: float | None = None) -> str:
    """The state of the feeder for the client with these jobs, and a refused one."""
    running = [job for job in jobs if job.feeder and job.is_active]
    if any(job.waiting for job in running):
        return ADF_LOADED
    known = None if scanner is None else feeder_condition(scanner)
    if known is not None and not (known == ADF_EMPTY and running):
        return known
    if running:
        return ADF_LOADED
    last = next((job for job in jobs if job.feeder), None)
    ran_out = last is not None and (last.drained or last.fault == NO_IMAGES) and last.age < EMPTY_SHOWN
    refused = refused_age is not None and refused_age < EMPTY_SHOWN
    return ADF_EMPTY if ran_out or refused else ADF_LOADED


def feeder_condition(scanner: ScannerStatus) -> str | None:
    """The state of the feeder by the active conditions, and by the reasons of the state; None if they say nothing."""
    named = {one.name for one in scanner.conditions or () if one.component in FEEDER_COMPONENTS}
    unplaced = {one.name for one in scanner.conditions or () if not one.component}
    placed = {one.name for one in scanner.conditions or () if one.component}
    named |= _FEEDERS_OWN & (unplaced | (set(scanner.state_reasons) - placed))
    return next((state for name, state in _ADF_STATES.items() if name in named), None)
