"""A model of presses at one scanner: repeated events, outages, reboots, reloads, full queues, jobs that break off.

Each press becomes exactly one job, or is refused with one line in the log.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from wsdgateway.bridge.destinations.presses import Pressed
from wsdgateway.bridge.destinations.registering import entries_for
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import End, Page, Reason, Refusal, ScanJob
from wsdgateway.config.sections import Destination
from wsdgateway.metrics import Metrics
from wsdgateway.net.destinations.scans import ASK_SECONDS, Scans
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.scanjobs.execution import NotAdmitted
from wsdgateway.storage.spool import Spool

NAMES = ("Mail", "Archive")
JPEG = b"\xff\xd8\xff\xe0 a page"
ENDS = (Reason.FINISHED, Reason.CANCELED_AT_DEVICE, Reason.BROKEN_OFF, Reason.UNREACHABLE, Reason.REFUSED)


class Reactor(Clock):
    """A clock with a pool that carries out calls at once."""

    def getThreadPool(self):
        return self

    def callFromThread(self, call, *arguments):
        call(*arguments)

    def callInThreadWithCallback(self, called, call, *arguments, **named):
        try:
            result = call(*arguments, **named)
        except Exception:
            called(False, Failure())
        else:
            called(True, result)


class Requests:
    """A scanner that answers nothing during an outage, and otherwise has none of the operations."""

    away = False

    async def current_elements(self, names):
        return await self.validate("")

    async def validate(self, body):
        return await Deferred() if self.away else Refusal("ActionNotSupported")


class Execution:
    """An engine whose jobs the test carries out."""

    def __init__(self):
        self.jobs, self.crowded, self._files, self._paths, self._waiting = [], False, {}, {}, []

    def submit(self, order, make_file):
        if self.crowded:
            raise NotAdmitted("10 jobs wait for the scanner already")
        job = ScanJob(f"job-{len(self.jobs)}", order, 0.0)
        self.jobs.append(job)
        self._files[job.id] = make_file
        return job

    def deliver(self, job):
        page, file = Page(job.scanned + 1, complete=True), self._files[job.id]()
        file.write(JPEG)
        file.close()
        self._paths[page] = file.path
        job.scanned += 1
        job.pages.append(page)
        self._tell()

    def end(self, job, reason):
        job.end = End(reason)
        self._tell()

    def _tell(self):
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def changed(self, job):
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def next_page(self, job):
        return next((page for page in job.pages if not page.sent), None)

    def path_of(self, page):
        return self._paths[page]

    def sending(self, job):
        pass

    def sent(self, job, page, *, whole):
        page.sent = whole

    def fail(self, job, why):
        job.end = job.end or End(Reason.SPOOL_FAILED, text=why)


class Nothing:
    """After a scan nothing happens; `full` refuses further ones."""

    full = False

    def refusal(self, destination):
        return "the upload queue is full" if self.full else None

    def written(self, file):
        pass


class PressModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self._capturing = capturedLogs()
        self.logged = self._capturing.__enter__()
        self.folder = Path(tempfile.mkdtemp())
        self.reactor, self.requests, self.execution, self.after = Reactor(), Requests(), Execution(), Nothing()
        self.destinations = tuple(Destination(name, folder=name, format="jpeg", source="adf") for name in NAMES)
        for name in NAMES:
            (self.folder / name).mkdir()
        self.shared = SharedDestinations(
            self.reactor, "gateway", self.folder, Spool(self.folder / "spool"), Room(1000), None, self.after,
            Metrics(), self.reactor.seconds, self._new_id, self.destinations)
        self.entries = entries_for("gateway", NAMES)
        self.scans = Scans("front-desk", self.shared, self.requests, lambda: self.execution, lambda context: "token",
                           lambda: ())
        self.ids, self.pressed, self.pages = 0, 0, 0
        self.last = None

    def _new_id(self):
        self.ids += 1
        return f"00000000-0000-4000-8000-{self.ids:012}"

    def teardown(self):
        self.requests.away = False
        for _ in range(200):
            self.reactor.advance(ASK_SECONDS)
            for job in self.running:
                self.execution.end(job, Reason.FINISHED)
        self.complete()
        assert len(self.scans.presses) == 0
        self._capturing.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    @property
    def running(self):
        return [job for job in self.execution.jobs if job.end is None]

    @property
    def refused(self):
        return sum("is not carried out" in event.get("log_format", "") for event in self.logged)

    def complete(self):
        assert self.pressed == len(self.execution.jobs) + self.refused
        assert not [event for event in self.logged if "log_failure" in event]
        assert len(list(self.folder.rglob("*.jpg"))) == self.pages

    @rule(which=st.sampled_from((0, 1)))
    def press(self, which):
        self.pressed += 1
        self.last = self.entries[which], Pressed(self.entries[which].context, f"scan-{self.pressed}", None)
        self.scans.press(*self.last)

    @precondition(lambda self: self.last is not None)
    @rule()
    def the_event_comes_again(self):
        before = self.refused
        self.scans.press(*self.last)
        self.pressed += self.refused - before  # one that was refused is new, and is refused again

    @rule()
    def reboot(self):
        self.scans.presses.rebooted()
        self.last = None

    @rule(away=st.booleans())
    def outage(self, away):
        self.requests.away = away

    @rule(crowded=st.booleans(), full=st.booleans())
    def others_take_the_room(self, crowded, full):
        self.execution.crowded, self.after.full = crowded, full

    @rule(names=st.sets(st.sampled_from(NAMES)))
    def reload(self, names):
        self.shared.configure(tuple(one for one in self.destinations if one.name in names))

    @rule()
    def time_passes(self):
        self.reactor.advance(ASK_SECONDS)

    @precondition(lambda self: self.running)
    @rule()
    def a_page_arrives(self):
        self.pages += 1
        self.execution.deliver(self.running[0])

    @precondition(lambda self: self.running)
    @rule(reason=st.sampled_from(ENDS))
    def the_job_ends(self, reason):
        self.execution.end(self.running[0], reason)

    @invariant()
    def one_job_at_a_time(self):
        assert len(self.running) <= 1
        assert len(self.execution.jobs) + self.refused <= self.pressed
        identifiers = [job.order.press.identifier for job in self.execution.jobs]
        assert len(identifiers) == len(set(identifiers))


TestPresses = PressModel.TestCase
TestPresses.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
