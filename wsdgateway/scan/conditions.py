"""Names of scanner conditions and job state reasons in English words, and the conditions that need attention.

WS-Scan, Name of DeviceCondition, ScannerStateReason, JobStateReason. Vendors may extend all three lists.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

ATTENTION_REQUIRED = "AttentionRequired"
INPUT_TRAY_EMPTY = "InputTrayEmpty"
NONE = "None"
STOPPED = "Stopped"  # a ScannerState

# Somebody must go to the scanner before it can scan.
_NEED_ATTENTION = {
    "MediaJam": "paper jam",
    "CoverOpen": "cover open",
    "InterlockOpen": "interlock open",
    "MultipleFeedError": "several sheets fed at once",
    "InternalStorageFull": "internal storage full",
    "LampError": "lamp failure",
    "Paused": "paused at the scanner",
    ATTENTION_REQUIRED: "attention required at the scanner",
}
# They end without help, or prevent only scans from the feeder.
_NEED_NONE = {
    INPUT_TRAY_EMPTY: "feeder empty",
    "LampWarming": "lamp warming up",
    "Calibrating": "calibrating",
    NONE: "none",
}
_JOB_REASONS = {
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
}

WORDS: Mapping[str, str] = MappingProxyType({**_NEED_ATTENTION, **_NEED_NONE, **_JOB_REASONS})
NEED_ATTENTION = frozenset(_NEED_ATTENTION)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def in_words(name: str) -> str:
    """A condition or reason in English, such as "paper jam" for MediaJam. A vendor's name is split into its words.

    The result of a vendor's name may contain any character that the name contains.
    """
    known = WORDS.get(name)
    if known is not None:
        return known
    parts = _HUMP.split(name)
    return " ".join(part if part.isupper() else part.lower() for part in parts)


def listed(names: Iterable[str]) -> str:
    """Several conditions or reasons in English, separated by commas; each once, without `None`."""
    return ", ".join(dict.fromkeys(in_words(name) for name in names if name != NONE))


def needing_attention(names: Iterable[str], state: str | None = None) -> tuple[str, ...]:
    """The names among a scanner's reasons and conditions that keep it from scanning until somebody goes there.

    `state` is its ScannerState. A vendor's name counts while the scanner is Stopped or reports AttentionRequired.
    AttentionRequired itself is in the result only if no other name explains it; an empty feeder does.
    """
    given = tuple(dict.fromkeys(name for name in names if name != NONE))
    required = ATTENTION_REQUIRED in given
    found = tuple(name for name in given if name != ATTENTION_REQUIRED and (
        name in NEED_ATTENTION or (name not in WORDS and (required or state == STOPPED))))
    if found or not required or INPUT_TRAY_EMPTY in given:
        return found
    return (ATTENTION_REQUIRED,)
