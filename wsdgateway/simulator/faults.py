"""The faults of the virtual scanner's operations.

WS-Scan, the error codes of CreateScanJob and RetrieveImage, and "Common WSD Scan Service operation error codes".
"""

from collections.abc import Mapping
from types import MappingProxyType

from wsdgateway.scan.jobstates import ABORTED, CANCELED
from wsdgateway.soap.faults import Fault

NO_IMAGES = Fault("Sender", "wscn:ClientErrorNoImagesAvailable", "The server has no images available to acquire.", 400)
UNKNOWN_JOB = Fault("Sender", "wscn:ClientErrorJobIdNotFound", "The specified JobId was not found.", 400)
BAD_TOKEN = Fault("Sender", "wscn:ClientErrorInvalidJobToken", "The JobToken is not that of the job.", 400)
BAD_DESTINATION = Fault("Sender", "wscn:ClientErrorInvalidDestinationToken",
                        "The DestinationToken parameter value is not currently valid.", 400)
BAD_IDENTIFIER = Fault("Sender", "wscn:ClientErrorInvalidScanIdentifier",
                       "The ScanIdentifier parameter value is not currently valid.", 400)
JOB_CANCELLED = Fault("Sender", "wscn:ClientErrorJobCancelled", "The current scan job has been canceled.", 400)
NOT_ACCEPTING = Fault("Receiver", "wscn:ServerErrorNotAcceptingJobs",
                      "The service is temporarily blocked and cannot accept new job or document requests.", 500)
TEMPORARY = Fault("Receiver", "wscn:ServerErrorTemporaryError", "The service had an unexpected error.", 500)
FAILED = Fault("Receiver", "wscn:OperationFailed", "The service cannot perform the requested operation.", 500)

# The answers to CreateScanJob while trouble keeps the scanner from accepting jobs, by the setting `busy_fault`.
REASON = "reason"
BUSY_FAULTS: Mapping[str, Fault] = MappingProxyType({
    **{fault.name: fault for fault in (NOT_ACCEPTING, TEMPORARY, FAILED)}, REASON: NOT_ACCEPTING})

# The answers to RetrieveImage after the scanner has aborted the job, by the setting `aborted_fault`.
ABORTED_FAULTS: Mapping[str, Fault] = MappingProxyType({
    **{fault.name: fault for fault in (NO_IMAGES, UNKNOWN_JOB, FAILED)}, REASON: NO_IMAGES})


def after_end(state: str, setting: str, reason: str | None) -> Fault:
    """The answer to RetrieveImage for a job that has ended in this state.

    `setting` and `reason` matter for an aborted job, as for `refusal`.
    """
    if state == ABORTED:
        return _chosen(ABORTED_FAULTS, setting, reason)
    return JOB_CANCELLED if state == CANCELED else NO_IMAGES


def refusal(setting: str, reason: str | None) -> Fault:
    """The answer to CreateScanJob while the scanner accepts no jobs. `reason` is the ScannerStateReason, if any.

    With the setting `reason`, the subcode is the reason: some scanners answer wscn:LampWarming or wscn:Calibrating.
    """
    return _chosen(BUSY_FAULTS, setting, reason)


def _chosen(faults: Mapping[str, Fault], setting: str, reason: str | None) -> Fault:
    fault = faults[setting]
    return fault if setting != REASON or reason is None else Fault("Receiver", f"wscn:{reason}", FAILED.reason)
