"""Says in words how a scan to a destination ended, for the log."""

from wsdgateway.bridge.scanjobs.room import OWN_BYTES
from wsdgateway.bridge.scanjobs.scanjob import End, Reason
from wsdgateway.scan.scannerstatus import words_of

_WORDS = {
    Reason.CANCELED_AT_DEVICE: "the scan was canceled at the scanner",
    Reason.BROKEN_OFF: "the connection to the scanner broke off in the middle of a page",
    Reason.SPOOL_FAILED: "the page could not be written",
    Reason.FAILED: "the scanner did not deliver the next page",
    Reason.SPOOL_FULL: f"pages of more than {OWN_BYTES >> 30} GiB arrived at once",
    Reason.TOO_LARGE: f"a page is larger than {OWN_BYTES >> 30} GiB",
}
_TROUBLES = ("MediaJam", "MultipleFeedError", "CoverOpen", "InterlockOpen", "LampError", "InternalStorageFull")


def cause_of(end: End, conditions: tuple[str, ...] = ()) -> str:
    """The cause of an end that is not the usual one. `conditions` are the scanner's reasons and active conditions."""
    found = [name for name in conditions if name in _TROUBLES]
    if end.reason in (Reason.STOPPED_AT_DEVICE, Reason.FAILED, Reason.REFUSED, Reason.BUSY) and found:
        return words_of(found[0])
    said = _WORDS.get(end.reason, end.reason.value)
    detail = end.text.rstrip(" .") or (end.fault or "")
    return f"{said}: {detail}" if detail and end.reason is not Reason.CANCELED_AT_DEVICE else said
