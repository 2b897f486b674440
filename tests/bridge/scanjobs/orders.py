"""Orders, refusals and an engine whose commands the test carries out."""

from wsdgateway.bridge.scanjobs.commands import Changed, Create, Record, Retrieve
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import Order, Refusal
from wsdgateway.bridge.scanjobs.scanjobs import ScanJobs
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstatus import JobStatus


class Ticket:
    """A ticket with a name."""

    def __init__(self, name):
        self.name = name


TICKET = Ticket("first")
PAGE = 100  # bytes
NO_IMAGES, UNKNOWN = Refusal("ClientErrorNoImagesAvailable"), Refusal("ClientErrorJobIdNotFound")
CONFLICT = Refusal("HTTP 409")
TEMPORARY, INTERNAL = Refusal("ServerErrorTemporaryError"), Refusal("ServerErrorInternalError")
NOT_ACCEPTING = Refusal("ServerErrorNotAcceptingJobs")
UNREACHABLE = Refusal("ServerErrorTemporaryError", unreachable=True)
BROKEN = Refusal("ServerErrorInternalError", unreachable=True, lost=True, broken=True)


def platen(**more):
    return Order(**{"tickets": (TICKET,), "images": 1, "feeder": False, "client": "192.0.2.7", **more})


def feeder(**more):
    return platen(**{"images": 0, "feeder": True, **more})


def status(state, *reasons):
    return JobStatus("7", state, reasons)


class Jobs:
    """The engine of one scanner at the time `now`; `did` are the names of the commands since it was last read."""

    def __init__(self, limit=1000, room=None):
        self.room = room or Room(limit)
        self.engine = ScanJobs(self.room)
        self.now, self._did, self.page, self._last = 0.0, [], None, 0

    def do(self, commands):
        for command in commands:
            if not isinstance(command, Changed):
                self._did.append(type(command).__name__)
            if isinstance(command, Retrieve):
                self.page = command.page
        return commands

    @property
    def did(self):
        did, self._did = self._did, []
        return did

    def submit(self, order):
        self._last += 1
        job, commands = self.engine.submit(f"job-{self._last}", order, self.now)
        self.do(commands)
        return job

    def call(self, name, job, *arguments, **more):
        return self.do(getattr(self.engine, name)(job, *arguments, self.now, **more))

    def begin(self, order):
        """Returns a job whose first page is being retrieved."""
        job = self.submit(order)
        assert self.did == [Create.__name__]
        self.call("created", job, CreatedJob("7", "token"))
        assert self.did == [Record.__name__]
        self.call("recorded", job)
        return job

    def deliver(self, job, size=PAGE):
        """Delivers the page that is being retrieved."""
        page = self.page
        assert self.call("received", job, size) == []
        page.size = page.taken
        self.do(self.engine.transferred(job, page))
        self.call("page_ended", job, "image/jpeg")
        return page

    def fetch(self, job):
        """Sends the next page whole to the client; returns its number, or None if there is none."""
        page, commands = self.engine.next_page(job, self.now)
        self.do(commands)
        if page is None:
            return None
        self.engine.sending(job, self.now)
        self.do(self.engine.sent(job, page, self.now, whole=True))
        return page.number

    def pass_time(self, seconds):
        self.now += seconds
        self.do(self.engine.due(self.now))
