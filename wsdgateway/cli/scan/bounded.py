"""A scanner whose operations end at the deadline of the command: each runs in a thread of its own."""

from collections.abc import Callable

from wsdgateway.cli.scan.calls import Calls
from wsdgateway.cli.scan.scanner import ELEMENTS_TIMEOUT, JOB_TIMEOUT, STATUS_TIMEOUT, Capabilities, Names, Scanner
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.scannerstatus import ScannerStatus


class BoundedScanner:
    """A scanner whose operations end at a deadline. It has the operations of `Scanner`."""

    def __init__(self, scanner: Scanner, calls: Calls) -> None:
        self._scanner = scanner
        self._calls = calls

    @property
    def address(self) -> str:
        """The URL of the scanner."""
        return self._scanner.address

    def names(self) -> Names:
        """The names of the scanner."""
        return self._calls(self._scanner.names, self._answer, ELEMENTS_TIMEOUT)

    def capabilities(self) -> Capabilities:
        """The capabilities of the scanner."""
        return self._calls(self._scanner.capabilities, self._answer, ELEMENTS_TIMEOUT)

    def condition(self) -> ScannerStatus | None:
        """The state and active conditions of the scanner."""
        return self._calls(self._scanner.condition, self._answer, ELEMENTS_TIMEOUT)

    def create(self, wanted: DocumentParameters, late: Callable[[CreatedJob], None],
               slow: Callable[[], None]) -> tuple[CreatedJob, DocumentParameters]:
        """Create a job. If the wait ends before the answer, `late` gets the job that was created nevertheless.

        `slow` is called while no answer arrives.
        """
        return self._calls(lambda: self._scanner.create(wanted), self._answer, JOB_TIMEOUT,
                           lambda made: late(made[0]), slow)

    def status(self, job: CreatedJob) -> JobStatus | None:
        """The status of a job."""
        return self._calls(lambda: self._scanner.status(job), self._answer, STATUS_TIMEOUT)

    def cancel(self, job: CreatedJob) -> bool:
        """Cancel a job; returns whether the answer came within a moment."""
        return self._calls.at_the_end(lambda: self._scanner.cancel(job))

    def release(self, job: CreatedJob) -> None:
        """Let the scanner forget a job that has ended."""
        self._calls.at_the_end(lambda: self._scanner.release(job))

    def retrieve(self, job: CreatedJob, page: int, write: Callable[[memoryview], None],
                 slow: Callable[[], None]) -> int:
        """Retrieve the next image. `slow` is called while nothing arrives."""
        def moved(data: memoryview) -> None:
            self._calls.moved()
            write(data)

        return self._calls(lambda: self._scanner.retrieve(job, f"page {page}", moved),
                           f"page {page} from {self.address}", JOB_TIMEOUT, slow=slow)

    def hang_up(self) -> None:
        """Close the connection of an image."""
        self._scanner.hang_up()

    @property
    def _answer(self) -> str:
        return f"an answer from {self.address}"
