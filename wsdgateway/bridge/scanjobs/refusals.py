"""Decides what a scanner's refusal of CreateScanJob or RetrieveImage means for a job.

WS-Scan, the error codes of CreateScanJob and RetrieveImage. Some scanners answer with a bare HTTP status. The end of a
feeder's job is told as ClientErrorNoImagesAvailable, ClientErrorJobIdNotFound or OperationFailed; a paper jam by some
scanners in the same way.
"""

from enum import Enum

from wsdgateway.bridge.scanjobs.scanjob import FINISHED, End, Reason, Refusal
from wsdgateway.scan import refusals
from wsdgateway.scan.jobstates import ABORTED, CANCELED, TERMINATING
from wsdgateway.scan.jobstatus import JobStatus


class Meaning(Enum):
    """The meanings of a refused RetrieveImage."""

    TEMPORARY = "the same page may be asked for again"
    NO_MORE = "there are no more images"
    UNKNOWN_JOB = "the scanner does not know the job, or not any more"
    CANCELED = "the job was canceled at the scanner"
    FAILED = "anything else"


ENDED = (Meaning.NO_MORE, Meaning.UNKNOWN_JOB, Meaning.CANCELED)  # the meanings after which there is nothing to cancel


def meaning_of(refusal: Refusal) -> Meaning:
    """The meaning of a refused RetrieveImage."""
    if refusal.broken or refusal.lost:
        return Meaning.FAILED
    if refusal.fault in refusals.TEMPORARY:
        return Meaning.TEMPORARY
    if refusal.fault in refusals.NO_MORE_IMAGES:
        return Meaning.NO_MORE
    if refusal.fault in refusals.UNKNOWN_JOB:
        return Meaning.UNKNOWN_JOB
    return Meaning.CANCELED if refusal.fault in refusals.CANCELED else Meaning.FAILED


def wants_other_ticket(refusal: Refusal) -> bool:
    """True if another ticket may be accepted in place of the refused one."""
    return refusal.fault in refusals.NOT_THIS_TICKET


def is_busy(refusal: Refusal) -> bool:
    """True if the same CreateScanJob may be accepted later. One that may have created a job must not be repeated."""
    return refusal.fault in refusals.TEMPORARY and not refusal.lost


def may_be_empty(refusal: Refusal, *, feeder: bool) -> bool:
    """True if some scanners refuse a feeder's job in this way when the feeder is empty (Brother DCP-L2540DW)."""
    return feeder and refusal.fault == refusals.NOT_ACCEPTING and not refusal.unreachable


def end_of_creation(refusal: Refusal, *, feeder: bool, is_ready: bool | None = None) -> End:
    """The end of a job that the scanner has not created.

    `is_ready` is True if the scanner's own status is that it is idle: if its refusal `may_be_empty`, the feeder is.
    """
    reason = Reason.REFUSED
    if refusal.unreachable:
        reason = Reason.UNREACHABLE
    elif (refusal.fault == refusals.NO_IMAGES and feeder) or (is_ready and may_be_empty(refusal, feeder=feeder)):
        reason = Reason.FEEDER_EMPTY
    elif refusal.fault in refusals.TEMPORARY:
        reason = Reason.BUSY
    return End(reason, refusal.fault, refusal.text)


def may_be_last(refusal: Refusal, *, scanned: int, feeder: bool) -> bool:
    """True if the refusal after `scanned` images is one with which scanners end a feeder's job."""
    return feeder and scanned > 0 and not refusal.unreachable and (
        meaning_of(refusal) in (Meaning.NO_MORE, Meaning.UNKNOWN_JOB) or refusal.fault == refusals.OPERATION_FAILED)


def end_of_images(refusal: Refusal, *, scanned: int, feeder: bool, status: JobStatus | None,
                  is_ready: bool | None = None) -> End:
    """The end of a job whose next image was refused, after `scanned` images.

    `status` is what the scanner says about the job afterwards, None if that is unknown. Then, if the refusal
    `may_be_last`, the scanner's own status decides: `is_ready` is True if it is idle, False if a condition stops it.
    """
    meaning = meaning_of(refusal)
    reason = Reason.BROKEN_OFF if refusal.broken else Reason.UNREACHABLE if refusal.unreachable else Reason.FAILED
    decides = status is None and may_be_last(refusal, scanned=scanned, feeder=feeder)
    if meaning is Meaning.CANCELED or (status is not None and status.state == CANCELED):
        reason = Reason.CANCELED_AT_DEVICE
    elif decides and is_ready is False:
        reason = Reason.STOPPED_AT_DEVICE
    elif decides and is_ready:
        return FINISHED
    elif status is not None and status.state in (ABORTED, TERMINATING):
        is_timed_out = "JobTimedOut" in status.reasons
        reason = Reason.FAILED if is_timed_out else Reason.STOPPED_AT_DEVICE
    elif scanned and status is not None and status.is_complete(scanned) and not refusal.unreachable:
        return FINISHED  # some scanners refuse the image after the last one with OperationFailed
    elif meaning is Meaning.NO_MORE or meaning is Meaning.UNKNOWN_JOB:
        if scanned:
            return FINISHED
        is_empty = refusal.fault == refusals.NO_IMAGES or meaning is Meaning.UNKNOWN_JOB
        reason = Reason.FEEDER_EMPTY if feeder and is_empty else (
            Reason.CANCELED_AT_DEVICE if meaning is Meaning.UNKNOWN_JOB else Reason.FAILED)
    return End(reason, refusal.fault, refusal.text)
