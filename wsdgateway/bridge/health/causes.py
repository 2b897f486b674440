"""The causes for which nobody can use a scanner, in the words that fault, log, page, API and `status` share.

The layer that knows a cause attaches it to its error; `bridge.health.health` decides which cause is shown.
"""

import attrs

from wsdgateway.scan.scannerstatus import (
    ATTENTION_REQUIRED,
    INPUT_TRAY_EMPTY,
    REASONS,
    STOPPED,
    ScannerStatus,
    words_of,
)

# Conditions that end by themselves, or leave another way to scan.
HARMLESS = frozenset(("InputTrayEmpty", "LampWarming", "LampWarmup", "Calibrating"))
# The conditions that keep a scanner from scanning even if it gives no severity.
STOPPING = frozenset(("MediaJam", "CoverOpen", "InterlockOpen", "InternalStorageFull", "LampError", "MultipleFeedError",
                      "CalibrationError", *REASONS))
NO_SUCH_SERVICE = frozenset((404, 405, 410, 501))  # HTTP statuses of a server without a scan service
MINOR = ("Informational", "Warning")  # severities of conditions that keep nobody from scanning
CRITICAL = "Critical"


@attrs.frozen
class Cause:
    """A cause, for example "does not answer". `subject` is its subject in a sentence about the scanner.

    `reached` is True if the scanner can be reached, but cannot be used. `detail` is for the log only.
    """

    words: str
    subject: str = "it"
    reached: bool = False
    detail: str = attrs.field(default="", eq=False)

    @property
    def clause(self) -> str:
        """The cause as a clause: "it does not answer", "its certificate does not match the pin"."""
        return f"{self.subject} {self.words}".strip()


REFUSED = Cause("does not accept connections")
SILENT = Cause("does not answer")
PIN_MISMATCH = Cause("certificate does not match the pin", "its")
UNKNOWN_AUTHORITY = Cause("certificate is not from the configured authority, or has expired", "its")
UNTRUSTED_AUTHORITY = Cause("certificate is not from a trusted authority, or has expired", "its")
NO_TLS_ADDRESS = Cause("TLS is required, but its address is an http address", "")
NO_USABLE_ADDRESS = Cause("announces no usable address")
NOT_HTTP = Cause("does not answer with HTTP", reached=True)
BROKEN_OFF = Cause("closes connections without an answer", reached=True)
LEFT = Cause("has left the network (it sent Bye)")
SUBSCRIPTION_LOST = Cause("no longer holds the gateway's subscription to its events", reached=True)


def told(sentence: str, *, reached: bool = False) -> Cause:
    """The cause in a clause such as "its certificate cannot be read"."""
    first, _, rest = sentence.partition(" ")
    return Cause(rest, first, reached) if first in ("it", "its") else Cause(sentence, "", reached)


def unresolved(name: str) -> Cause:
    """The cause that the scanner's host name has no address."""
    return Cause(f"its name cannot be resolved ({name})", "")


def not_found(uuid: str) -> Cause:
    """The cause that the scanner with this endpoint address has never been seen."""
    return Cause(f"not found by WS-Discovery ({uuid})", "it was")


def not_a_scanner(why: str) -> Cause:
    """The cause that something else than a scanner's service answers; `why` is a clause."""
    return Cause(f"is not a scanner: {why}", reached=True)


def subscription_refused(name: str) -> Cause:
    """The cause that the scanner refuses to send events; `name` is that of the fault, or the HTTP status."""
    return Cause(f"refuses the gateway's subscription to its events ({name})", reached=True)


def condition_cause(status: ScannerStatus) -> Cause | None:
    """The cause that a scanner itself reports, such as "paper jam"; None if it can scan.

    A specific name comes before AttentionRequired and Paused, which only say that there is one. Conditions that the
    scanner gives a severity other than Critical count only if its state is Stopped.
    """
    is_stopped = status.state == STOPPED
    names = [one.name for one in status.conditions or () if one.name not in HARMLESS and (
        is_stopped or one.severity == CRITICAL or (one.name in STOPPING and one.severity not in MINOR))]
    minor = {one.name for one in status.conditions or () if one.severity in MINOR}
    names += [name for name in status.state_reasons if name not in HARMLESS and (
        is_stopped or (name in STOPPING and name not in minor))]
    if INPUT_TRAY_EMPTY in status.reasons and set(names) == {ATTENTION_REQUIRED}:
        return None  # what it needs is paper in the feeder
    if not names and is_stopped and not status.reasons:
        names = [ATTENTION_REQUIRED]
    name = next((name for name in names if name not in REASONS), names[0] if names else None)
    return None if name is None else Cause(words_of(name), "", reached=True)
