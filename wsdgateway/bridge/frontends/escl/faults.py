"""Maps WS-Scan's faults, and the gateway's own limits, to answers of eSCL.

eSCL has no faults, only HTTP statuses: 503 if the request may succeed later, 409 for settings that cannot be met and
for a stopped feeder, 404 for the end of a job's pages, 410 for a job that ended otherwise, 500 for other errors.
Windows shows 409 as a paper jam, so it is not used for a feeder that ran out of pages. Every body but an image's is
empty: SANE writes any other into its image file.
"""

import attrs

from wsdgateway.escl.scannerstatus import ADF_EMPTY, ADF_HATCH_OPEN, ADF_JAM, ADF_MULTIPICK
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.scan import refusals
from wsdgateway.scan.jobstates import ABORTED, CANCELED, COMPLETED
from wsdgateway.scan.refusals import JOB_NOT_FOUND, NO_IMAGES

RETRY_AFTER = 1  # seconds
BUSY_RETRY_AFTER = 5  # seconds, while another job is scanned
STOPPED_FEEDER = frozenset((ADF_JAM, ADF_HATCH_OPEN, ADF_MULTIPICK))


@attrs.frozen
class Outcome:
    """The answer to a client, and the state of its job from then on.

    `retry_after` is in seconds. `adf_state` is shown to this client, and None leaves it as the conditions say.
    `job_state` and `job_reason` are of eSCL; None leaves the job as it is, or means that no job exists. With `again`
    the request to the scanner is repeated: CreateScanJob with the next best format, RetrieveImage for the same page.
    """

    status: int
    retry_after: int | None = None
    adf_state: str | None = None
    job_state: str | None = None
    job_reason: str | None = None
    again: bool = False

    def answer(self) -> HTTPAnswer:
        """The HTTP answer."""
        return empty(self.status) if self.retry_after is None else empty(
            self.status, (b"Retry-After", str(self.retry_after).encode()))


def empty(status: int, *headers: tuple[bytes, bytes], fault: str | None = None) -> HTTPAnswer:
    """An answer without body."""
    return HTTPAnswer(status, b"", headers, fault)


BUSY = Outcome(503, BUSY_RETRY_AFTER)  # another job is running, the queue is full, or a limit is reached
NOT_READY = Outcome(503, RETRY_AFTER)  # the next page is still being scanned
UNMET = Outcome(409)  # settings that the scanner does not have


def create_outcome(fault: str, *, has_next_best: bool) -> Outcome:
    """The answer to ScanJobs if the scanner refuses CreateScanJob with that fault, and its feeder is not empty."""
    if fault == NO_IMAGES:
        return UNMET
    if fault in refusals.TEMPORARY:
        return BUSY
    if fault in refusals.NOT_THIS_TICKET:
        return Outcome(409, again=has_next_best)
    return Outcome(500)


def page_outcome(fault: str, *, pages: int, feeder: bool, adf_state: str | None = None,
                 canceled: bool = False) -> Outcome:
    """The answer to NextDocument if the scanner refuses RetrieveImage with that fault.

    `pages` is the number of pages before it, `adf_state` the feeder's by its conditions; `canceled` is true if the
    scanner has reported the job as canceled. Some scanners do not know a feeder's job any more when they have no images
    (Ricoh MP 201, Brother DCP-L2540DW).
    """
    if fault in refusals.CANCELED or canceled or (fault == JOB_NOT_FOUND and not feeder):
        return Outcome(410, job_state=CANCELED, job_reason="JobCanceledAtDevice")
    if fault in refusals.TEMPORARY:
        return attrs.evolve(NOT_READY, again=True)
    if fault in (NO_IMAGES, JOB_NOT_FOUND):
        if pages:
            return Outcome(404, adf_state=ADF_EMPTY if feeder else None, job_state=COMPLETED,
                           job_reason="JobCompletedSuccessfully")
        return Outcome(404, adf_state=ADF_EMPTY if feeder else None, job_state=ABORTED,
                       job_reason="ResourcesAreNotReady")
    if adf_state in STOPPED_FEEDER:
        return Outcome(409, adf_state=adf_state, job_state=ABORTED, job_reason="AbortedBySystem")
    return Outcome(500, job_state=ABORTED, job_reason="AbortedBySystem")


def aborted_reason(fault: str | None) -> str:
    """The JobStateReason of a job that the scanner's fault has ended."""
    if fault == NO_IMAGES:
        return "ResourcesAreNotReady"
    if fault in refusals.FORMAT_NOT_SUPPORTED:
        return "DocumentFormatError"
    return "UnsupportedAttributesOrValues" if fault in refusals.CONFLICTING else "AbortedBySystem"
