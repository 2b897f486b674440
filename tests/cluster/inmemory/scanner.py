"""A scanner on a network in memory: jobs, subscriptions and notifications, which the model controls.

It answers each request after a random time, its answer being that of a random moment in between. Its events may be
late, so its answers may be newer; they keep their order. It sends the events of a subscription one after the other, and
repeats one that was not answered.
"""

from collections import deque
from datetime import UTC, datetime, timedelta

import attrs
from twisted.internet.protocol import Factory, Protocol

from tests.cluster.history import Announcement, Asked, Connection, Status
from tests.cluster.inmemory.clients import Call
from tests.cluster.inmemory.network import Host
from tests.messages import (
    SCAN,
    created_job,
    end_event,
    envelope,
    fault,
    listing,
    scanner_elements,
    status_event,
    status_response,
)
from wsdgateway.http.requests import Request, RequestReader
from wsdgateway.scan.jobelements import read_request
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSCN, WSE

W, A, S = f"{{{WSE}}}", f"{{{WSA}}}", f"{{{WSCN}}}"
IP = "192.0.2.20"
GRANT = 3600.0
EVENT_TRIES, EVENT_PAUSE = 6, 1.0  # of one notification, and seconds between two
EVENT_SECONDS = 5.0  # for its answer
MAX_THINKING = 0.4  # seconds until a request has its effect, and again until it is answered
MAX_LATE = 3.0  # seconds until the event of a new job, or of one that a client cancels
FIRST_JOB = 100
BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)
FINAL = ("Completed", "Canceled", "Aborted")


@attrs.define(eq=False)
class Job:
    """A job."""

    job_id: str
    created: str
    state: str = "Pending"
    scans: int = 0

    @property
    def status(self):
        return Status(self.job_id, self.state, self.scans, self.created)


@attrs.define(eq=False)
class Held:
    """A subscription at the scanner; `waiting` has its events that have not been answered."""

    notify_to: str
    actions: list
    tokens: dict
    made: float
    ends: float
    waiting: deque = attrs.field(factory=deque)
    is_sending: bool = False


@attrs.frozen
class Event:
    """A notification, with its mark or ScanIdentifier."""

    name: str
    message: bytes
    identifier: str
    status: Status | None = None


class Scanner:
    """The scanner. `lists` are those of the history, `names` has the name of the gateway at each address."""

    def __init__(self, network, lists, names):
        self.network, self._lists, self._names = network, lists, names
        self.jobs, self.held, self._count = {}, {}, 0
        self._told_until = 0.0
        self.host = None
        self.start()

    def start(self):
        """Starts it, again without jobs and subscriptions. JobIds go on."""
        if self.host is not None:
            self.host.kill()
        self.host = Host(self.network, IP)
        self.jobs, self.held = {}, {}
        factory = Factory.forProtocol(_Connection)
        factory.scanner, factory.noisy = self, False
        self.host.listenTCP(80, factory)

    # What the model does.

    def active(self):
        """The jobs that have not ended."""
        return [job for job in self.jobs.values() if job.state not in FINAL]

    def change(self, job, state, late=0.0):
        """Changes a job, and tells it, perhaps some seconds late."""
        job.scans += state == "Processing" == job.state
        job.state = state
        self._tell_change(job, late)

    def press(self, identifier, place):
        """Presses the button of a destination, if there is one."""
        shown = [(held, context) for held in self.held.values() for context in held.tokens]
        if shown:
            held, context = shown[place % len(shown)]
            self._tell(Event("ScanAvailableEvent", envelope(f"{SCAN}/ScanAvailableEvent", (
                f"<wscn:ScanAvailableEvent><wscn:ClientContext>{context}</wscn:ClientContext><wscn:ScanIdentifier>"
                f"{identifier}</wscn:ScanIdentifier></wscn:ScanAvailableEvent>"), message_id=self._message_id()),
                identifier), [held])

    # Events.

    def _next(self):
        self._count += 1
        return self._count

    def _message_id(self):
        return f"urn:uuid:00000000-0000-4000-9000-{self._next():012}"

    def _tell_change(self, job, late=0.0):
        self._tell_marked("JobStatusEvent", job.status, status_event(
            job.job_id, job.state, job.scans, created=job.created, message_id=self._message_id()), late)
        if job.state in FINAL:
            self._tell_marked("JobEndStateEvent", Status(job.job_id, job.state, job.scans, None, ("None",)), end_event(
                job.job_id, job.state, job.scans, message_id=self._message_id()), late)

    def _tell_marked(self, name, status, message, late):
        """Tells an event with a mark, which an event that the gateway makes does not have."""
        mark, end = f"e{self._next()}", f"</wscn:{name}>".encode()
        self._tell(Event(name, message.replace(end, f'<m:Mark xmlns:m="urn:mark">{mark}</m:Mark>'.encode() + end),
                         mark, status), late=late)

    def _tell(self, event, receivers=None, late=0.0):
        self._told_until = max(self._told_until, self.network.now + late)
        self.host.callLater(self._told_until - self.network.now, self._tell_now, event, receivers)

    def _tell_now(self, event, receivers):
        for held in list(self.held.values()) if receivers is None else receivers:
            if f"{SCAN}/{event.name}" in held.actions:
                held.waiting.append(event)
                if not held.is_sending:
                    self._send(held, self.network.now, EVENT_TRIES)

    def _send(self, held, begin, tries):
        held.is_sending = True
        event, host = held.waiting[0], self.host
        authority, _, path = held.notify_to.removeprefix("http://").partition("/")
        ip, _, port = authority.partition(":")

        def done(status, body):
            if host is not self.host:
                return
            is_held = held in self.held.values()
            if status != 202 and tries > 1 and is_held:
                host.callLater(EVENT_PAUSE, self._send, held, begin, tries - 1)
                return
            front = self.network.holders.get(ip) or self.network.hosts[ip]
            self._lists["announcements"].append(Announcement(
                begin, self.network.now if status == 202 else None, self._names.get(front.ip), event.name,
                event.status, event.identifier))
            held.waiting.popleft()
            held.is_sending = False
            if held.waiting and is_held:
                self._send(held, self.network.now, EVENT_TRIES)

        Call(host, ip, int(port), f"/{path}", event.message, done, EVENT_SECONDS)

    # Requests.

    def asked(self, connection, request):
        """Answers a request after a while."""
        begin, message, host = self.network.now, read(request.body), connection.host
        operation = message.action.rpartition("/")[2]
        gateway = self._names.get(connection.transport.getPeer().host)

        def act():
            body, job_id, statuses = self._answer(operation, message)
            host.callLater(self._thinking(), finish, body, job_id, statuses)

        def finish(body, job_id, statuses):
            is_heard = connection.is_open
            self._lists["asked"].append(Asked(
                begin, self.network.now if is_heard else None, gateway, operation, message.message_id, job_id,
                statuses))
            if is_heard:
                connection.answer(body)

        host.callLater(self._thinking(), act)

    def _thinking(self):
        return self.network.random.uniform(0.0, 1.0) ** 2 * MAX_THINKING

    def _answer(self, operation, message):
        """Returns the message, the JobId of a job that was made, and the statuses of jobs in it."""
        if operation == "CreateScanJob":
            job = self._create()
            return created_job(job.job_id), job.job_id, ()
        if operation in ("GetJobElements", "CancelJob"):
            job = self.jobs.get(read_request(message.body).job_id if operation == "GetJobElements"
                                else message.body.findtext(f".//{S}JobId"))
            if job is None:
                return fault("wscn:ClientErrorJobIdNotFound"), None, ()
            if operation == "GetJobElements":
                return status_response(job.job_id, job.state, job.scans, created=job.created), None, (job.status,)
            if job.state not in FINAL:
                job.state = "Canceled"
                self.host.callLater(self.network.random.uniform(0.0, MAX_LATE), self._tell_change, job)
            return envelope(f"{SCAN}/CancelJobResponse", "<wscn:CancelJobResponse/>"), None, ()
        if operation in ("GetActiveJobs", "GetJobHistory"):
            shown = [job for job in self.jobs.values() if (job.state in FINAL) is (operation == "GetJobHistory")]
            return listing(operation, "ActiveJobs" if operation == "GetActiveJobs" else "JobHistory",
                           *((job.job_id, job.state, job.scans) for job in shown)), None, ()
        if operation == "GetScannerElements":
            return scanner_elements("ScannerStatus"), None, ()
        return self._manage(operation, message), None, ()

    def _create(self):
        created = (BEGAN + timedelta(seconds=int(self.network.now))).isoformat().replace("+00:00", "Z")
        job = Job(str(FIRST_JOB + self._next()), created)
        self.jobs[job.job_id] = job
        self.host.callLater(self.network.random.uniform(0.0, MAX_LATE), self._tell_change, job)
        return job

    def _manage(self, operation, message):
        now = self.network.now
        for identifier in [one for one, held in self.held.items() if held.ends <= now]:
            del self.held[identifier]
        if operation == "Subscribe":
            return self._subscribe(message)
        identifier = message.header.findtext(f"{W}Identifier")
        if identifier not in self.held:
            return fault("wse:InvalidMessage")
        if operation == "Unsubscribe":
            del self.held[identifier]
            return envelope(f"{WSE}/UnsubscribeResponse")
        self.held[identifier].ends = now + GRANT
        return envelope(f"{WSE}/{operation}Response", (
            f"<wse:{operation}Response><wse:Expires>PT{GRANT:.0f}S</wse:Expires></wse:{operation}Response>"))

    def _subscribe(self, message):
        number = self._next()
        identifier = f"urn:uuid:held-{number}"
        contexts = [element.text for element in message.body.iter(f"{S}ClientContext")]
        tokens = {context: f"t{number}-{context}" for context in contexts}
        self.held[identifier] = Held(message.body.findtext(f"{W}Delivery/{W}NotifyTo/{A}Address"),
                                     (message.body.findtext(f"{W}Filter") or "").split(), tokens,
                                     self.network.now, self.network.now + GRANT)
        listed = "".join(f"<wscn:DestinationResponse><wscn:ClientContext>{context}</wscn:ClientContext>"
                         f"<wscn:DestinationToken>{token}</wscn:DestinationToken></wscn:DestinationResponse>"
                         for context, token in tokens.items())
        return envelope(f"{WSE}/SubscribeResponse", (
            f"<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>http://{IP}/manager</wsa:Address>"
            f"<wsa:ReferenceParameters><wse:Identifier>{identifier}</wse:Identifier></wsa:ReferenceParameters>"
            f"</wse:SubscriptionManager><wse:Expires>PT{GRANT:.0f}S</wse:Expires>"
            f"<wscn:DestinationResponses>{listed}</wscn:DestinationResponses></wse:SubscribeResponse>"))

    def opened(self, connection):
        """Notes the begin of a connection."""
        connection.host, connection.opened_at = self.host, self.network.now

    def closed(self, connection):
        """Records a connection that has ended."""
        self._lists["connections"].append(Connection(
            connection.opened_at, self.network.now, self._names.get(connection.transport.getPeer().host)))


class _Connection(Protocol):
    is_open = True

    def connectionMade(self):
        self._reader = RequestReader(1 << 20)
        self.factory.scanner.opened(self)

    def dataReceived(self, data):
        for event in self._reader.feed(data):
            if isinstance(event, Request):
                self.factory.scanner.asked(self, event)

    def answer(self, body):
        status = b"400 Bad Request" if b":Fault>" in body else b"200 OK"
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/soap+xml\r\nContent-Length: %d"
                             b"\r\n\r\n" % len(body) + body)

    def connectionLost(self, reason):
        self.is_open = False
        self.factory.scanner.closed(self)
