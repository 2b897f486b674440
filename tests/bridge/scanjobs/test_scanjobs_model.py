"""A stateful model of scan jobs: a truthful scanner that fails in every way, and clients that do what they like.

Every request may be answered late, refused, or break off; the scanner jams, is canceled at its panel, and forgets its
jobs; clients fetch pages slowly, interrupt the transfer, cancel at any time, or vanish.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.bridge.scanjobs.orders import BROKEN, INTERNAL, NO_IMAGES, TEMPORARY, UNKNOWN, UNREACHABLE, feeder, platen
from wsdgateway.bridge.scanjobs.commands import (
    Cancel,
    Changed,
    Create,
    Discard,
    Forget,
    Hold,
    Judge,
    Record,
    Resume,
    Retrieve,
    Withdraw,
)
from wsdgateway.bridge.scanjobs.jobsteps import MAX_LISTED
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import Reason, Refusal
from wsdgateway.bridge.scanjobs.scanjobs import MAX_WAITING, ScanJobs
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstates import FINAL
from wsdgateway.scan.jobstatus import JobStatus

LIMIT = 1000
CANCELED = Refusal("ClientErrorJobCancelled")
sizes = st.sampled_from([1, 150, 400, 600, 1001])


def is_at_scanner(job):
    """True if the scanner may still be working for the job."""
    return job.phase not in (Phase.QUEUED, Phase.BUSY, Phase.OVER)


class DeviceJob:
    """A job at the scanner, with the pages that are left to scan."""

    def __init__(self, job_id, order, sheets):
        self.job_id, self.images = job_id, order.images
        self.left = order.images or sheets
        self.state, self.scanned = "Pending", 0
        self.told_end = False  # the gateway was told that it has ended
        self.sent_whole = 0

    @property
    def active(self):
        return self.state not in FINAL


class Wire:
    """A page that is on its way: `size` bytes, of which `at` were received; `held` are the bytes kept by the writer."""

    def __init__(self, job, page, size):
        self.job, self.page, self.size = job, page, size
        self.at, self.held = 0, 0
        self.is_sent = False


class ScanJobsModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now, self.count = 0.0, 0
        self.room = Room(LIMIT)
        self.engine = ScanJobs(self.room)
        self.room.waiting.append(lambda: self.run(self.engine.room_freed(self.now)))
        self.pending = []  # commands that wait for their outcome
        self.devices = {}  # scan job -> its job at the scanner
        self.wire = None
        self.orders = []
        self.fetched = {}  # scan job -> numbers of the pages that its client has received whole
        self.current = {}  # scan job -> page that is being sent
        self.recorded = set()

    # Carrying out commands.

    def run(self, commands):
        for command in commands:
            if isinstance(command, Create | Record | Judge):
                self.pending.append(command)
            elif isinstance(command, Retrieve):
                assert command.job in self.recorded, "no RetrieveImage before the JobId was stored"
                assert self.wire is None or self.wire.job is not command.job
                self.pending.append(command)
            elif isinstance(command, Cancel):
                job = self.devices[command.job]
                assert not job.told_end, "no CancelJob for a job that has ended"
                self.pending.append(command)
            elif isinstance(command, Withdraw):
                self.pending = [one for one in self.pending if not (
                    isinstance(one, Cancel) and one.job is command.job)] + [command]
            elif isinstance(command, Discard):
                assert command.page.gone
                if self.wire is not None and self.wire.page is command.page:
                    self.wire.held = 0
                self.room.tell()
            elif isinstance(command, Resume):
                if self.wire is not None and self.wire.job is command.job:
                    held, self.wire.held = self.wire.held, 0
                    self.receive(held)
            else:
                assert isinstance(command, Forget | Hold | Changed)
                if isinstance(command, Forget):
                    self.recorded.discard(command.job)

    def call(self, name, job, *arguments):
        self.run(getattr(self.engine, name)(job, *arguments, self.now))

    def take(self, data, kind):
        found = [one for one in self.pending if isinstance(one, kind)]
        if not found:
            return None
        command = data.draw(st.sampled_from(found))
        self.pending.remove(command)
        return command

    def waits_for(self, *kinds):
        return any(isinstance(one, kinds) for one in self.pending)

    # Clients.

    @rule(images=st.sampled_from([0, 0, 1, 1, 3]), patience=st.sampled_from([0.0, 30.0]))
    def a_client_orders(self, images, patience):
        self.count += 1
        order = platen(patience=patience) if images == 1 else feeder(images=images, patience=patience)
        has_place = self.engine.has_place
        job, commands = self.engine.submit(str(self.count), order, self.now)
        assert (job is not None) == has_place
        if job is not None:
            self.orders.append(job)
            self.fetched[job] = []
        self.run(commands)

    def a_job(self, data):
        return data.draw(st.sampled_from(self.orders))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), whole=st.booleans())
    def a_client_fetches(self, data, whole):
        job = self.a_job(data)
        if job in self.current or self.engine.get(job.id) is None:
            return
        page, commands = self.engine.next_page(job, self.now)
        self.run(commands)
        if page is None:
            return
        assert not page.gone
        expected = len(self.fetched[job]) + 1
        assert page.number == expected, "no page is lost, and none is sent twice"
        self.engine.sending(job, self.now)
        self.current[job] = page, whole

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def a_client_has_fetched(self, data):
        job = data.draw(st.sampled_from(sorted(self.current, key=lambda one: int(one.id))))
        page, whole = self.current[job]
        if whole and not page.complete and not page.gone:
            return
        del self.current[job]
        whole = whole and page.complete and not page.gone
        if whole:
            self.fetched[job].append(page.number)
        self.run(self.engine.sent(job, page, self.now, whole=whole))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def a_client_cancels(self, data):
        job = self.a_job(data)
        if self.engine.get(job.id) is not None:
            was_at_scanner = is_at_scanner(job)
            before = self.waits_for(Cancel)
            self.call("cancel", job)
            assert was_at_scanner or self.waits_for(Cancel) == before
            assert job.finished

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, 40.0, 95.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.run(self.engine.due(self.now))

    # The scanner.

    @precondition(lambda self: self.waits_for(Create))
    @rule(data=st.data(), outcome=st.sampled_from(["ok", "ok", "ok", TEMPORARY, INTERNAL, NO_IMAGES, UNREACHABLE]),
          sheets=st.integers(0, 4))
    def create_is_answered(self, data, outcome, sheets):
        job = self.take(data, Create).job
        assert not any(one.active for one in self.devices.values() if not one.told_end), "one job at a time"
        if outcome == "ok":
            self.devices[job] = DeviceJob(str(len(self.devices)), job.order, sheets)
            self.call("created", job, CreatedJob(self.devices[job].job_id, None))
        else:
            self.call("not_created", job, outcome)

    @precondition(lambda self: self.waits_for(Record))
    @rule(data=st.data())
    def the_job_is_recorded(self, data):
        self.record(self.take(data, Record).job)

    def record(self, job):
        if job.phase is Phase.RECORDING:  # else it has been canceled, and may be over
            self.recorded.add(job)
        self.call("recorded", job)

    @precondition(lambda self: self.waits_for(Retrieve))
    @rule(data=st.data(), size=sizes, outcome=st.sampled_from(
        ["page", "page", "page", "page", TEMPORARY, INTERNAL, UNREACHABLE]))
    def retrieve_is_answered(self, data, size, outcome):
        command = self.take(data, Retrieve)
        job, device = command.job, self.devices[command.job]
        if outcome == "page" and device.active and device.left:
            device.state = "Processing"
            self.wire = Wire(job, command.page, size)
            return
        if device.active and not device.left and outcome == "page":
            device.state = "Completed"
        if not device.active:
            outcome = {"Canceled": CANCELED, "Aborted": data.draw(st.sampled_from([NO_IMAGES, INTERNAL]))}.get(
                device.state, data.draw(st.sampled_from([NO_IMAGES, UNKNOWN])))
            device.told_end = outcome is not INTERNAL
        self.call("page_refused", job, outcome)

    def receive(self, size):
        wire = self.wire
        if wire.page.gone:
            return
        commands = self.engine.received(wire.job, size, self.now)
        if any(isinstance(one, Hold) for one in commands):
            wire.held += size
        elif not commands:
            wire.page.size = wire.page.taken
        self.run(commands)

    @precondition(lambda self: self.wire is not None and not self.wire.is_sent)
    @rule(part=st.sampled_from([0.5, 1.0]))
    def bytes_arrive(self, part):
        wire = self.wire
        if wire.held:
            return
        size = max(1, int((wire.size - wire.at) * part)) if wire.at < wire.size else 0
        wire.at += size
        if size:
            self.receive(size)
        if wire.at >= wire.size and self.wire is wire:
            device = self.devices[wire.job]
            wire.is_sent = True
            if device.active:
                device.left -= 1
                device.scanned += 1
                if device.images and device.scanned >= device.images:
                    device.state, device.told_end = "Completed", True
            self.run(self.engine.transferred(wire.job, wire.page))

    @precondition(lambda self: self.wire is not None and self.wire.is_sent and not self.wire.held)
    @rule()
    def the_page_is_written(self):
        wire, self.wire = self.wire, None
        if not wire.page.gone:
            self.call("page_ended", wire.job, "image/jpeg")

    @precondition(lambda self: self.wire is not None and not self.wire.is_sent)
    @rule(ends=st.booleans())
    def the_page_breaks_off(self, ends):
        wire, self.wire = self.wire, None
        if ends and self.devices[wire.job].active:
            self.devices[wire.job].state = "Aborted"
        self.call("page_broken", wire.job, BROKEN)

    @precondition(lambda self: self.waits_for(Judge))
    @rule(data=st.data(), answers=st.booleans())
    def the_status_is_asked(self, data, answers):
        job = self.take(data, Judge).job
        device = self.devices[job]
        status = JobStatus(device.job_id, device.state) if answers else None
        if not answers and device.active:
            device.state = "Aborted"  # a job that cannot be asked for is left to the scanner's own time-out
        device.told_end = device.told_end or not device.active
        self.call("judged", job, status)

    @precondition(lambda self: self.waits_for(Cancel, Withdraw))
    @rule(data=st.data(), reaches=st.booleans())
    def the_job_is_canceled(self, data, reaches):
        command = self.take(data, Cancel | Withdraw)
        device = self.devices[command.job]
        if isinstance(command, Cancel) and reaches and device.active:
            device.state = "Canceled"
        self.pending = [one for one in self.pending if not (isinstance(one, Retrieve) and one.job is command.job)]
        if self.wire is not None and self.wire.job is command.job:
            self.wire = None
        device.state = device.state if device.state in FINAL else "Aborted"  # by its own time-out
        device.told_end = True
        self.call("canceled", command.job)

    @precondition(lambda self: any(one.active for one in self.devices.values()))
    @rule(state=st.sampled_from(["Aborted", "Canceled"]))
    def trouble_at_the_scanner(self, state):
        for device in self.devices.values():
            if device.active:
                device.state = state

    @precondition(lambda self: self.wire is not None and not self.wire.page.gone)
    @rule()
    def the_disk_is_full(self):
        self.call("spool_failed", self.wire.job, "No space left on device")

    # What always holds.

    @invariant()
    def the_bound_of_the_spool_holds(self):
        pages = [page for job in self.engine.all() for page in job.pages]
        assert self.room.used == sum(page.taken for page in pages) <= LIMIT
        assert self.room.unfetched == sum(page.taken for page in pages if not page.sent)
        assert not any(page.gone for page in pages)

    @invariant()
    def everything_is_bounded(self):
        assert len(self.engine.waiting) <= MAX_WAITING
        assert len(self.engine.all()) <= MAX_LISTED + MAX_WAITING + 2

    @invariant()
    def one_job_is_at_the_scanner(self):
        there = [job for job in self.engine.all() if is_at_scanner(job)]
        assert there in ([], [self.engine.active])

    @invariant()
    def a_finished_job_has_its_pages(self):
        for job in self.engine.all():
            if job.finished and job.end.reason is Reason.FINISHED:
                assert len(self.fetched[job]) == job.scanned

    def teardown(self):
        """From any state, every job ends, and nothing is left."""
        for _ in range(2000):
            if not self.engine.all():
                break
            self.settle()
            self.now += 50.0
            self.run(self.engine.due(self.now))
        assert [(job.id, job.phase, job.end) for job in self.engine.all()] == []
        assert (self.room.used, self.room.unfetched) == (0, 0)
        assert (self.recorded, self.engine.active) == (set(), None)
        assert self.engine.deadline() == float("inf")

    def settle(self):
        """The scanner goes away: everything that waits for it fails."""
        for job in list(self.current):
            page, _ = self.current.pop(job)
            self.run(self.engine.sent(job, page, self.now, whole=False))
        if self.wire is not None:
            wire, self.wire = self.wire, None
            if wire.is_sent and not wire.held and not wire.page.gone:
                self.call("page_ended", wire.job, "image/jpeg")
            elif not wire.is_sent:
                self.call("page_broken", wire.job, BROKEN)
        while self.pending:
            command = self.pending.pop(0)
            job = command.job
            if isinstance(command, Create):
                self.call("not_created", job, UNREACHABLE)
            elif isinstance(command, Record):
                self.record(job)
            elif isinstance(command, Retrieve):
                self.call("page_refused", job, UNREACHABLE)
            elif isinstance(command, Judge):
                self.call("judged", job, None)
            elif job.phase is Phase.CANCELING:
                self.devices[job].told_end = True
                self.call("canceled", job)


TestScanJobsModel = ScanJobsModel.TestCase
TestScanJobsModel.settings = settings(max_examples=150)
