"""Tests of `wsdgateway scan` against each trouble of the virtual scanner: the exit status, and every line on stderr."""

import re
from queue import Empty

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from tests.loopback.clients import Ran
from tests.messages import envelope
from tests.scannedfiles import names_in, pages_of
from tests.waiting import until
from wsdgateway.cli.scan.outcomes import ATTENTION, BUSY, FAILED, NO_PAPER, UNREACHABLE
from wsdgateway.scan.documentparameters import DocumentParameters, write_scan_ticket
from wsdgateway.scan.jobs import write_cancel, write_create
from wsdgateway.simulator.conditions import COVER_OPEN, LAMP_WARMING
from wsdgateway.soap.envelope import read

pytestmark = pytest.mark.usefixtures("cwd")

JAM = r"The scanner needs attention: paper jam\. Scan again when this is put right"
KEPT = "Ended early: one complete page kept"
PAGE = r"page 1: \d+ kB"


def nothing(virtual):
    """Brings about no trouble."""


def operate(virtual, name, body):
    virtual.device.operate(name, read(envelope("x", body)).body)


def hold(virtual):
    """Lets another client hold a job."""
    ticket = write_scan_ticket(DocumentParameters("jfif", "Platen", 1), job_name="x", user="x")
    operate(virtual, "CreateScanJob", write_create(ticket))


def empty(virtual):
    virtual.device.feeder = 0


def empty_and_open(virtual):
    empty(virtual)
    virtual.device.begin(COVER_OPEN)


def silence(virtual):
    virtual.troubles.silent = True


def cancel(virtual):
    operate(virtual, "CancelJob", write_cancel(virtual.device.jobs.active()[-1].job_id))


def jam(virtual):
    virtual.device.jam()


def jam_and_clear(virtual):
    """Jams the paper, which ends the job, and removes it before the scanner is asked for its state."""
    virtual.device.jam()
    virtual.device.clear()


@attrs.frozen
class Trouble:
    """A trouble before the scan, or after its first page, with the exit status and the lines on stderr."""

    status: int
    lines: tuple[str, ...]
    before: object = nothing
    after_page: object = nothing
    options: dict = attrs.field(factory=dict)
    pages: int = 0
    gateway_lines: tuple[str, ...] | None = None
    settings: dict = attrs.field(factory=dict)


FEEDER = {"source": "adf"}
OVER = r"Stopped after 30 s \(--timeout\) while waiting for "
TROUBLES = {
    "none": Trouble(0, (PAGE,), pages=1),
    "busy": Trouble(BUSY, (
        "The scanner is busy: The service is temporarily blocked and .* requests; trying again for up to 3 s",
        r"The scanner is busy: The service is temporarily blocked .* \(ServerErrorNotAcceptingJobs\)"),
        hold, options={"wait": 3}),
    "jam": Trouble(ATTENTION, (JAM,), jam),
    "jam-feeder": Trouble(ATTENTION, (JAM,), jam, options=FEEDER),
    "cover": Trouble(
        ATTENTION, (JAM.replace("paper jam", "cover open"),), lambda virtual: virtual.device.begin(COVER_OPEN)),
    "lamp": Trouble(BUSY, (
        "The scanner is not ready: lamp warming; trying again for up to 3 s",
        r"The scanner is not ready: lamp warming \(ServerErrorNotAcceptingJobs\)"),
        lambda virtual: virtual.device.begin(LAMP_WARMING), options={"wait": 3}),
    "jam-on-the-way": Trouble(ATTENTION, (PAGE, KEPT, JAM), options=FEEDER, pages=1, settings={"jam_after": 1}),
    "jam-that-holds-the-job": Trouble(ATTENTION, (PAGE, KEPT, JAM), options=FEEDER, pages=1, settings={
        "jam_after": 1, "stopped_jobs": "wait"}),
    "empty": Trouble(NO_PAPER, ("The feeder is empty",), empty, options=FEEDER),
    "empty-platen": Trouble(0, (PAGE,), empty, pages=1),
    "empty-cover": Trouble(ATTENTION, (JAM.replace("paper jam", "cover open"),), empty_and_open, options=FEEDER),
    "jam-after-page": Trouble(ATTENTION, (PAGE, KEPT, JAM), after_page=jam, options=FEEDER, pages=1),
    "stopped-after-page": Trouble(FAILED, (PAGE, KEPT, "The scanner ended the job: the scanner stopped"),
                                  after_page=jam_and_clear, options=FEEDER, pages=1),
    "cancelled-after-page": Trouble(FAILED, (PAGE, KEPT, "The scanner ended the job: canceled"),
                                    after_page=cancel, options=FEEDER, pages=1),
    "silent": Trouble(BUSY, (
        "Waiting for an answer from http://.*, for up to [12][0-9] s more", OVER + "an answer from http://.*"),
        silence, options={"timeout": 30.0}),
    "silent-after-page": Trouble(FAILED, (
        PAGE, "Waiting for page 2 from http://.*, for up to 25 s more", KEPT, OVER + "page 2 from http://.*"),
        after_page=silence, options={**FEEDER, "timeout": 30.0}, pages=1),
    "off": Trouble(UNREACHABLE, (
        r"http://.* does not answer: it does not accept connections; is it switched on, and is the port right\?",),
                   lambda virtual: virtual.stopService(), options={"wait": 3}, gateway_lines=(
                       "The gateway cannot reach the scanner: .*; trying again for up to 3 s",
                       "The gateway cannot reach the scanner: .*")),
}


class Elapsing(Ran):
    """A run whose clock moves on while the scanner is silent."""

    def __init__(self, virtual):
        super().__init__()
        self._virtual = virtual

    def get(self, answers, seconds):
        if self._virtual.troubles.silent:
            self.slept += seconds
            raise Empty
        return super().get(answers, seconds)


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("through", ["straight", "gateway"])
@pytest_twisted.ensureDeferred
async def test_the_exit_status_and_the_lines_on_stderr(virtual, gateway, cwd, trouble, through):
    from twisted.internet import reactor

    device = await virtual(feeder_pages=3, **trouble.settings)
    url, is_told_of_end = device.scan_url, lambda: True
    if through == "gateway":
        service = await gateway(device.scan_url)
        table = service.scanner.bridge.table
        await until(lambda: table.listening)
        url = f"http://127.0.0.1:{service.port}/front-desk/scan"

        def is_told_of_end():
            return all(job.final for job in table.jobs())
    stopped = trouble.before(device)
    if stopped is not None:
        await stopped
    ran = Elapsing(device)
    kept = ran.progress.kept

    def page_kept(page, size):
        kept(page, size)
        blockingCallFromThread(reactor, trouble.after_page, device)

    def sleep(seconds):
        ran.slept += seconds
        if trouble.pages and trouble.status:
            # The gateway may not have received the event of the job's end yet; then it is asked again after a pause.
            blockingCallFromThread(reactor, lambda: ensureDeferred(until(is_told_of_end)))

    ran.progress.kept, ran.sleep = page_kept, sleep
    await deferToThread(ran, url, "out.pdf", resolution=75, **trouble.options)
    lines = [*ran.said.splitlines(), *(ran.error.line().splitlines() if ran.error else ())]
    expected = trouble.lines if through == "straight" or trouble.gateway_lines is None else trouble.gateway_lines
    assert ran.status == trouble.status, lines
    assert len(lines) == len(expected), lines
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)
    assert names_in(cwd) == (["out.pdf"] if trouble.pages else [])
    if trouble.pages:
        assert pages_of("out.pdf") == trouble.pages
