"""Names of conditions, states and their reasons in English words.

WS-Scan, JobStateReason; vendors may add names of their own. The words for conditions and for the reasons of a scanner's
state are in `scan.scannerstatus`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from wsdgateway.scan.scannerstatus import words_of

JOB_REASONS: Mapping[str, str] = MappingProxyType({
    "InvalidScanTicket": "the scanner cannot use these settings",
    "DocumentFormatError": "the scanner cannot make this format",
    "ImageTransferError": "the transfer of an image failed",
    "JobCanceledAtDevice": "canceled at the scanner",
    "JobCompletedWithErrors": "completed with errors",
    "JobCompletedWithWarnings": "completed with warnings",
    "JobScanning": "scanning",
    "JobScanningAndTransferring": "scanning and transferring",
    "JobTimedOut": "no page was retrieved in time",
    "JobTransferring": "transferring",
    "ScannerStopped": "the scanner stopped",
})


def in_words(name: str) -> str:
    """A condition, reason or state in English, such as "paper jam" for MediaJam; a vendor's name, if it can be split.

    The result may contain any character that a vendor's name contains.
    """
    return JOB_REASONS.get(name) or words_of(name)


def listed(names: Iterable[str]) -> str:
    """Several conditions or reasons in English, separated by commas; each once, without `None`."""
    return ", ".join(dict.fromkeys(in_words(name) for name in names if name != "None"))
