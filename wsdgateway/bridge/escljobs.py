"""Maps the end of a scan job of the gateway's own to the answer of ScanJobs or NextDocument, and a job to JobInfo."""

from wsdgateway.bridge.frontends.escl.faults import (
    BUSY,
    Outcome,
    create_outcome,
    page_outcome,
)
from wsdgateway.bridge.frontends.escl.status import ClientJob
from wsdgateway.bridge.scanjobs.scanjob import End, Reason, ScanJob
from wsdgateway.escl.scannerstatus import ADF_EMPTY
from wsdgateway.scan.jobstates import ABORTED

_GONE = frozenset((Reason.CANCELED_BY_CLIENT, Reason.CLIENT_GONE, Reason.CANCELED_AT_DEVICE, Reason.STOPPING,
                   Reason.HANDED_OVER))
_NEVER_THERE = frozenset((Reason.BUSY, Reason.UNREACHABLE, Reason.REFUSED))


def creation_outcome(end: End) -> Outcome:
    """The answer to ScanJobs for a job that ended before the scanner had created it."""
    if end.reason is Reason.FEEDER_EMPTY:
        return Outcome(409, adf_state=ADF_EMPTY)
    if end.reason in _GONE or end.reason is Reason.UNREACHABLE:
        return BUSY
    if end.reason is Reason.BUSY and not end.fault:
        return BUSY
    found = create_outcome(end.fault or "", has_next_best=False)
    return BUSY if end.reason is Reason.BUSY and found.status == 500 else found


def end_outcome(job: ScanJob, end: End, adf_state: str | None) -> Outcome:
    """The answer to NextDocument for a job that has ended and has no more pages. `adf_state` is the feeder's."""
    if end.reason is Reason.FINISHED:
        return Outcome(404)
    if end.reason in _GONE:
        return Outcome(410)
    if end.reason in _NEVER_THERE and job.created is None:
        found = creation_outcome(end)
        return Outcome(410) if found.status == 503 else found  # the job will not be tried again
    if end.reason is Reason.FEEDER_EMPTY:
        return Outcome(404)
    if end.reason is Reason.STOPPED_AT_DEVICE:
        return Outcome(409)
    if end.fault is None or end.reason is not Reason.FAILED:
        return Outcome(500)
    found = page_outcome(end.fault, pages=job.scanned, feeder=job.order.feeder, adf_state=adf_state)
    return Outcome(500) if found.again else found


def broken_off_job(uri: str, job_id: str, age: float) -> ClientJob:
    """A job that broke off with a former process, as its client sees it."""
    return ClientJob(uri, job_id, ABORTED, feeder=False, age=max(0, int(age)))


def client_job(job: ScanJob, uri: str, now: float) -> ClientJob:
    """The job as its client sees it, at that address. `now` is on the clock of the job."""
    end, feeder = job.end, job.order.feeder
    waiting = [page for page in job.pages if not page.sent and (page.complete or page.taken)]
    ran_out = end is not None and (end.reason is Reason.FEEDER_EMPTY or (
        end.reason is Reason.FINISHED and (not job.order.images or job.scanned < job.order.images)))
    # A jam ends the job with the same fault as an empty feeder at some scanners.
    is_stopped = end is not None and end.reason is Reason.STOPPED_AT_DEVICE
    return ClientJob(
        uri, job.id, job.state if end is None else end.state, feeder,
        taken=job.fetched, waiting=len(waiting),
        age=max(0, int(now - job.changed_at)), fault=None if end is None or is_stopped else end.fault,
        drained=feeder and ran_out,
        canceled_here=end is not None and end.reason is Reason.CANCELED_BY_CLIENT)


