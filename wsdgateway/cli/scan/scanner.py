"""The operations that `wsdgateway scan` needs of a scanner, whatever protocol it speaks, and its refusals.

The values are those of WS-Scan; `cli.scan.client` implements the operations for WS-Scan, `cli.scan.escl` for eSCL.
"""

from collections.abc import Callable
from typing import Protocol

import attrs

from wsdgateway.cli.scan.outcomes import plain
from wsdgateway.net.transport.errors import BUSY as GATEWAY_BUSY
from wsdgateway.net.transport.errors import UNAVAILABLE
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.refusals import NO_MORE_IMAGES, TEMPORARY, UNKNOWN_JOB
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration
from wsdgateway.scan.scannerstatus import ScannerStatus

CONNECT_TIMEOUT = 10.0
ELEMENTS_TIMEOUT = 20.0
STATUS_TIMEOUT = 5.0
JOB_TIMEOUT = 120.0  # lamps warm up for a minute, and a page at 1,200 dpi takes longer

_OVER = UNKNOWN_JOB | NO_MORE_IMAGES
_WEB_SERVER = tuple(f"HTTP {status}" for status in (200, 301, 302, 303, 307, 308, 404, 405, 415, 501))
# The gateway's own ServerErrorTemporaryError begins with this, or with `UNAVAILABLE`, if it cannot reach the scanner.
# With any other text the scanner is reachable but busy.
_ADVICE = "Try again in a few seconds."  # of the gateway's faults; this program tries again itself
_NOT_FOUND = "The scanner's address is not known yet"
_OF_GATEWAYS = ("The gateway ", "The gateways ")  # faults about the gateways themselves begin so


class ScannerRefusal(Exception):
    """The scanner answered with a fault, or with a bare HTTP status; `code` names it, `reason` is its text.

    `temporary`: the request may be repeated. `over`: there are no more images. `unknown`: the job does not exist
    either. `unreachable`: the gateway answered because it could not reach the scanner. `is_of_web_server`: other web
    servers answer a SOAP request in this way.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(plain(f"{reason} ({code})" if reason else code))
        self.code = code
        self.reason = reason
        self.temporary = code in TEMPORARY
        self.over = code in _OVER
        self.unknown = code in UNKNOWN_JOB
        self.is_of_web_server = code in _WEB_SERVER
        self.unreachable = self.temporary and reason.startswith((_NOT_FOUND, UNAVAILABLE))

    def cause(self, reported: str = "") -> str:
        """The cause of a temporary refusal as a sentence without its end. `reported`: the conditions of the scanner."""
        reason = plain(self.reason.removesuffix(_ADVICE).strip()).rstrip(".")
        if self.unreachable:
            why = reason.removeprefix(UNAVAILABLE).lstrip(": ").replace(_NOT_FOUND, "its address is not known yet", 1)
            return f"The gateway cannot reach the scanner: {why or self.code}"
        if reported:
            return f"The scanner is not ready: {plain(reported)}"
        if reason.startswith((GATEWAY_BUSY, *_OF_GATEWAYS)):
            return reason
        return f"The scanner is busy: {reason or self.code}"


@attrs.frozen
class Capabilities:
    """A scanner's configuration, None if it does not report one, and its default parameters."""

    configuration: ScannerConfiguration | None = None
    default: DocumentParameters = attrs.field(factory=DocumentParameters)


@attrs.frozen
class Names:
    """The names that a scanner gives itself; empty where it gives none."""

    name: str = ""
    info: str = ""
    location: str = ""
    model: str = ""


class Scanner(Protocol):
    """A scanner at an address. Each operation waits for its answer, and raises `ScanError` or `ScannerRefusal`."""

    @property
    def address(self) -> str:
        """The URL of the scanner."""

    def names(self) -> Names:
        """The names of the scanner."""

    def capabilities(self) -> Capabilities:
        """The capabilities of the scanner."""

    def condition(self) -> ScannerStatus | None:
        """The state and active conditions of the scanner; None if it does not report them."""

    def create(self, wanted: DocumentParameters) -> tuple[CreatedJob, DocumentParameters]:
        """Create a job. Returns it, with the parameters that the scanner has made of the wanted ones."""

    def status(self, job: CreatedJob) -> JobStatus | None:
        """The status of a job; None if the scanner does not report it."""

    def cancel(self, job: CreatedJob) -> None:
        """Cancel a job, while an image may still be arriving."""

    def release(self, job: CreatedJob) -> None:
        """Let the scanner forget a job that has ended, if the protocol says so. Raises nothing for a failure."""

    def retrieve(self, job: CreatedJob, document: str, write: Callable[[memoryview], None]) -> int:
        """Retrieve the next image, and pass it to `write` in pieces. Returns its size in bytes.

        If it breaks off, or `write` raises, the connection stays open until `hang_up`, so that `cancel` can overtake
        it.
        """

    def hang_up(self) -> None:
        """Close the connection of an image, complete or not."""
