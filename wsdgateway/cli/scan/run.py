"""Runs `wsdgateway scan`: scans into files, or lists what a scanner offers.

It connects the parts: `cli.scan.locating` finds the scanner, `cli.scan.conversation` speaks with it, `cli.scan.pages`
writes the files. The scanner is reached through the gateway, or directly.
"""

from typing import BinaryIO

import attrs

from wsdgateway.cli.scan.bounded import BoundedScanner
from wsdgateway.cli.scan.calls import Calls, Deadline, TimeOver, Times
from wsdgateway.cli.scan.choosing import Wishes, choose
from wsdgateway.cli.scan.conversation import Conversation
from wsdgateway.cli.scan.diagnosis import Diagnosis
from wsdgateway.cli.scan.locating import Located, Locator
from wsdgateway.cli.scan.offers import describe
from wsdgateway.cli.scan.outcomes import FAILED, ScanError, no_scanner
from wsdgateway.cli.scan.pages import Pages
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.retrying import PAUSE, Retries
from wsdgateway.cli.scan.scanner import Names, Scanner, ScannerRefusal
from wsdgateway.cli.scan.securing import BY_THE_SYSTEM, Judgement
from wsdgateway.cli.scan.sizes import Size
from wsdgateway.cli.scan.targets import read_target
from wsdgateway.cli.scan.web import Web, checked_url

_REAL = Times()


@attrs.frozen
class Order:
    """The options of a scan.

    `wait` is the time in seconds for which a busy scanner is asked again, `timeout` that of the whole scan (None: no
    end).
    """

    url: str
    output: str | None = None
    source: str = "platen"
    resolution: int | None = None
    color: str | None = None
    format: str | None = None
    wait: float = 30.0
    judgement: Judgement = BY_THE_SYSTEM
    size: Size | None = None
    timeout: float | None = None


class _Session:
    """The parts that a scan and a list have in common."""

    def __init__(self, order: Order, progress: Progress, times: Times) -> None:
        self._order = order
        self._progress = progress
        self.calls = Calls(times, Deadline(order.timeout, times.clock), progress.waits)
        self.retried = Retries(order.wait, self.calls, times.clock, progress)

    def diagnosis(self, scanner: Scanner) -> Diagnosis:
        """The diagnosis of a scanner."""
        return Diagnosis(BoundedScanner(scanner, self.calls), feeder=self._order.source != "platen",
                         pause=lambda: self.calls.pause(PAUSE, "waiting for the end of the job"))

    def locate(self) -> Located:
        """The scanner at the URL. Raises `ScanError`."""
        url = checked_url(self._order.url)
        locator = Locator(Web(self._order.judgement), self.calls, self.retried,
                          lambda scanner: self.diagnosis(scanner).check_attention,
                          lambda scanner, refusal: self.diagnosis(scanner).error_for(refusal, pages=1))
        return locator.locate(url, self._order.url)


def scan(order: Order, progress: Progress, *, times: Times = _REAL, out: BinaryIO | None = None) -> None:
    """Scan into files, or to `out` if the order says so. Raises `ScanError`.

    The names of files are reported to `progress`. If any exception ends the scan early, complete pages are kept, the
    job is cancelled, and the exception is raised again.
    """
    target = read_target(order.output, order.format, order.source)
    session = _Session(order, progress, times)
    with progress:
        located = session.locate()
        scanner, capabilities = located.scanner, located.capabilities
        if capabilities.configuration is None:
            problem = "The scanner does not report its capabilities" if located.refusal is None else (
                f"The scanner's capabilities are not known: {located.refusal}")
            progress.say(f"{problem}; requesting the scan anyway")
        tickets = choose(Wishes(target.image, order.source, order.resolution, order.color, target.format, order.size),
                         capabilities.configuration, capabilities.default)
        talk = Conversation(BoundedScanner(scanner, session.calls), scanner, progress, session.retried,
                            session.diagnosis(scanner), feeder=order.source != "platen")
        with Pages(target, written=progress.appeared, say=progress.say, out=out) as pages:
            try:
                with talk.job(tickets) as (job, final):
                    pages.dots = final.resolution
                    talk.fetch(job, pages)
            except BaseException as error:
                interrupted = isinstance(error, KeyboardInterrupt)
                if interrupted or pages.count:
                    progress.say(f"{'Interrupted' if interrupted else 'Ended early'}: {_counted(pages.count)}")
                if isinstance(error, TimeOver) and pages.count:
                    error.status = FAILED
                try:
                    pages.finish(whole=False)
                except ScanError as second:
                    progress.say(second.line())  # the first failure is the cause, and has the exit status
                raise
            pages.finish(whole=True)
            if pages.surprises:
                raise ScanError(f"The scanner sent {', '.join(sorted(pages.surprises))} instead of {target.kind}; "
                                "the pages are kept under names with the right suffix", FAILED)


def offers(order: Order, progress: Progress, *, times: Times = _REAL) -> list[str]:
    """The lines that describe what the scanner at the URL offers. Nothing is scanned. Raises `ScanError`."""
    session = _Session(order, progress, times)
    with progress:
        located = session.locate()
        if located.refusal is not None:
            if located.refusal.is_of_web_server:
                raise no_scanner(located.scanner.address, located.refusal)
            progress.say(f"The scanner's capabilities are not known: {located.refusal}")
        scanner = BoundedScanner(located.scanner, session.calls)
        try:
            names = scanner.names()
        except ScannerRefusal:
            names = Names()
        try:
            condition = scanner.condition()
        except ScannerRefusal:
            condition = None
        return describe(scanner.address, names, located.labels, condition, located.capabilities)


def _counted(pages: int) -> str:
    if not pages:
        return "no complete page"
    return "one complete page kept" if pages == 1 else f"{pages} complete pages kept"


