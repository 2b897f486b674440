"""A stateful model of the job table's guarantees, with a truthful device behind an unreliable network.

Events are delayed, reordered, repeated, lost or unreadable; requests overlap; jobs are cancelled; the device reboots,
forgets jobs and reuses its JobIds; the gateway is killed and restarted. Each status that the device has had carries, as
its reason, the number of the job and of the change, so that every status shown to a client can be placed in time.
"""

import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.messages import (
    create_scan_job,
    created_job,
    end_event,
    fault,
    get_job_elements,
    job_request,
    status_event,
    status_response,
)
from tests.options import scanner_options
from wsdgateway.bridge.decisions import Answer, Failure, Forward, Join, Pass, Refuse, Reply
from wsdgateway.bridge.events.intake import read_notification, unread_of
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.scan.jobstates import FINAL
from wsdgateway.soap.faults import temporary_error

MAX_AGE, POLL = 30.0, 1.0
PATH = ["Pending", "Started", "Processing"]


class Job:
    """A job of the device, with the number of its changes."""

    def __init__(self, job_id, number):
        self.job_id, self.number = job_id, number
        self.state, self.scans, self.version = "Pending", 0, 0

    def change(self, state, scans):
        self.state, self.scans = state, scans
        self.version += 1

    def status(self):
        return {"job_id": self.job_id, "state": self.state, "scans": self.scans,
                "created": f"2026-11-22T10:{self.number // 60:02}:{self.number % 60:02}Z",
                "reasons": (f"n{self.number}v{self.version}",)}


class Client:
    """One request of a client: its question, and the step at which it arrived."""

    def __init__(self, question, job_id, came):
        self.question, self.job_id, self.came = question, job_id, came
        self.snapshot = None
        self.forward = None
        self.created = self.canceled = None
        self.joined = False


class JobTableModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now, self.ids = 100.0, 0
        self.stored = {}  # job id -> status of the finished job that had it last, as stored
        self.start()
        self.jobs, self.numbers, self.next_job = {}, 0, 1
        self.events, self.flying, self.waiting = [], [], {}
        self.known = {}  # job id -> (number, version): the newest that the gateway has received or shown
        self.final_seen = {}
        self.confirmed = {}  # job id -> the last time at which the device reported it
        self.asked = {}  # job id -> times of requests for JobStatus while the scanner counts as one without events
        self.extra_permitted = {}  # job id -> extra requests permitted because of cancels
        self.steps = 0  # counts questions and unreadable events
        self.unread = {}  # job id -> (step, number, version) of each unreadable event
        self.answered = {}  # job id -> sending time of the newest request that was answered with its status

    def start(self):
        self.bridge = ScannerBridge(scanner_options(max_age=MAX_AGE, poll_interval=POLL, history=100),
                                    new_id=self.new_id)
        self.bridge.device = "http://device/scan"
        self.bridge.table.listening = True
        self.bridge.table.remember(self.stored.values())

    def new_id(self):
        self.ids += 1
        return f"urn:uuid:{self.ids}"

    @rule()
    def the_gateway_is_killed_and_starts_again(self):
        self.start()
        # Late events of active jobs cannot be told from new ones after a restart; those of finished jobs must not
        # revive them.
        self.events = [event for event in self.events if self.is_of_a_stored_job(event)]
        self.flying.clear()
        self.waiting.clear()
        # The state of an active job is lost, but not the knowledge that its JobId was reused.
        self.known = {job_id: (number, 0) for job_id, (number, _) in self.known.items()}
        for known in (self.confirmed, self.asked, self.unread, self.answered):
            known.clear()

    def is_of_a_stored_job(self, event):
        job_id, number = re.search(rb"JobId>(\d+)<.*>n(\d+)v", event, re.DOTALL).groups()
        return job_id.decode() in self.stored and self.stored[job_id.decode()].reasons[0].startswith(
            f"n{number.decode()}v")

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def the_device_forgets_a_job(self, data):
        del self.jobs[self.device_job(data).job_id]

    # The device.

    def emit(self, job):
        self.events.append(status_event(**job.status(), message_id=self.new_id()))
        if job.state in FINAL:
            self.events.append(end_event(job.job_id, job.state, job.scans, message_id=self.new_id()).replace(
                b">None<", f">{job.status()['reasons'][0]}<".encode()))

    def device_job(self, data):
        return self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))] if self.jobs else None

    @rule(data=st.data(), to=st.sampled_from(["next", "scan", "Completed", "Aborted"]))
    def device_changes_a_job(self, data, to):
        job = self.device_job(data)
        if job is None or job.state in FINAL:
            return
        if to == "next" and job.state in PATH[:2]:
            job.change(PATH[PATH.index(job.state) + 1], job.scans)
        elif to == "scan" and job.state == "Processing":
            job.change("Processing", job.scans + 1)
        elif to in FINAL:
            job.change(to, job.scans)
        else:
            return
        self.emit(job)

    @rule()
    def device_reboots(self):
        self.jobs, self.next_job = {}, 1
        self.events.clear()
        for client in self.flying:
            client.snapshot = client.snapshot or "broken"
        # Finished jobs may still be shown, as long as their JobIds are not known to be reused.
        over = {job_id for job_id, status in self.stored.items()
                if self.known.get(job_id, (0, 0))[0] == int(status.reasons[0][1:].partition("v")[0])}
        self.bridge.rebooted()
        self.known = {job_id: version if job_id in over else (self.numbers + 1, 0)
                      for job_id, version in self.known.items()}
        self.final_seen.clear()
        self.confirmed.clear()
        self.asked.clear()
        self.unread.clear()
        self.answered.clear()

    # The network.

    @precondition(lambda self: self.events)
    @rule(data=st.data(), fate=st.sampled_from(["arrives", "arrives", "arrives twice", "is lost"]))
    def an_event(self, data, fate):
        event = self.events.pop(data.draw(st.integers(0, len(self.events) - 1)))
        if fate == "is lost":
            return
        for _ in range(2 if fate == "arrives twice" else 1):
            self.take(event)
        found = re.search(rb"n(\d+)v(\d+)<", event)
        if found:
            job_id = re.search(rb"JobId>(\d+)<", event)[1].decode()
            self.hear(job_id, int(found[1]), int(found[2]))

    def take(self, event):
        self.bridge.notifications.received(read_notification(event), self.now)

    @precondition(lambda self: self.events)
    @rule(data=st.data(), names_it=st.booleans())
    def an_unreadable_event(self, data, names_it):
        event = self.events.pop(data.draw(st.integers(0, len(self.events) - 1)))
        job_id = re.search(rb"JobId>(\d+)<", event)[1].decode()
        found = re.search(rb"n(\d+)v(\d+)<", event)
        event = re.sub(rb"<wscn:Job(Completed)?State>.*</wscn:Job(Completed)?State>", b"", event) if names_it else b"<a"
        notification = read_notification(event)
        if isinstance(notification, Rejected):
            self.bridge.notifications.unread(unread_of(notification, event), self.now)
        else:
            self.take(event)
        self.steps += 1
        if found and (names_it or self.bridge.table.get(job_id) is not None):  # otherwise the job is unknown
            self.unread.setdefault(job_id, []).append((self.steps, int(found[1]), int(found[2])))

    def hear(self, job_id, number, version):
        """Records what the device has told the gateway."""
        self.known[job_id] = max(self.known.get(job_id, (0, 0)), (number, version))
        self.confirmed[job_id] = self.now

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 31.0]))
    def time_passes(self, seconds):
        self.now += seconds

    # Clients.

    def ask(self, raw, job_id):
        question = route(raw, Endpoint.SCAN, client="192.0.2.1", host=b"gateway")
        self.steps += 1
        client = Client(question, job_id, self.steps)
        self.act(client, self.bridge.ask(question, self.now))

    @rule(data=st.data())
    def a_client_reads(self, data):
        job_id = data.draw(st.sampled_from(sorted({*self.jobs, *self.known, "1"})))
        self.ask(get_job_elements(job_id, message_id=self.new_id()), job_id)

    # One at a time: if two jobs got the same JobId in one moment, a late event could not be assigned to either.
    @precondition(lambda self: not any(c.question.operation.name == "CreateScanJob" for c in self.flying))
    @rule()
    def a_client_creates(self):
        self.ask(create_scan_job(self.new_id()), None)

    @rule(data=st.data())
    def a_client_cancels(self, data):
        job = self.device_job(data)
        if job is not None:
            self.ask(job_request("CancelJob", job.job_id, message_id=self.new_id()), job.job_id)

    def act(self, client, decision):
        if isinstance(decision, Answer | Pass):
            body = decision.body if isinstance(decision, Answer) else decision.reply.body
            self.show(client, body, local=isinstance(decision, Answer) and client.forward is None and not client.joined)
        elif isinstance(decision, Forward):
            client.forward, client.snapshot = decision, None
            client.sent_at = self.now
            self.bridge.sent(decision, self.now)
            self.flying.append(client)
            name = client.question.operation.name
            if name == "GetJobElements" and not self.bridge.table.events_seen:
                times = self.asked.setdefault(client.job_id, [])
                recent = [time for time in times if self.now - time < POLL]
                assert len(recent) <= self.extra_permitted.get(client.job_id, 0), "guarantee 5"
                times.append(self.now)
        elif isinstance(decision, Join):
            client.joined = True
            self.waiting.setdefault(decision.forward, []).append(client)
        else:
            assert isinstance(decision, Refuse)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def the_device_works_on_a_request(self, data):
        client = data.draw(st.sampled_from(self.flying))
        if client.snapshot is None:
            client.snapshot = self.work(client)

    def job_id_after(self, number):
        return number % 2 + 1

    def work(self, client):
        name = client.question.operation.name
        job = self.jobs.get(client.job_id)
        if name == "CreateScanJob":
            self.numbers += 1
            job = Job(str(self.next_job), self.numbers)
            self.next_job = self.job_id_after(self.next_job)
            old = self.jobs.get(job.job_id)
            if old is not None and old.state not in FINAL:
                return fault("wscn:ServerErrorNotAcceptingJobs", code="Receiver")
            self.jobs[job.job_id] = job
            client.created = job
            self.emit(job)
            return created_job(job.job_id)
        if job is None:
            return fault("wscn:ClientErrorJobIdNotFound")
        if name == "CancelJob":
            if job.state not in FINAL:
                job.change("Canceled", job.scans)
                self.emit(job)
            client.canceled = (job.number, job.version)
            return job_request("CancelJobResponse", job.job_id)
        return status_response(**job.status())

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), breaks=st.sampled_from([False, False, False, True]))
    def an_answer_arrives(self, data, breaks):
        client = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        client.snapshot = client.snapshot or self.work(client)
        forward, sent_at = client.forward, client.sent_at
        name = client.question.operation.name
        if client.snapshot == "broken" or breaks:
            outcome = Failure(temporary_error("it broke"))
            decision = self.bridge.fail(forward, outcome, self.now)
        else:
            outcome = Reply(200, b"application/soap+xml", client.snapshot)
            if client.created is not None:
                self.asked.pop(client.created.job_id, None)  # from here on it is another job
                self.answered.pop(client.created.job_id, None)
                self.known[client.created.job_id] = max(
                    self.known.get(client.created.job_id, (0, 0)), (client.created.number, 0))
            before = self.now
            self.confirmed[client.job_id] = max(self.confirmed.get(client.job_id, 0.0), sent_at)
            if name == "GetJobElements" and b"JobState>" in client.snapshot:
                self.answered[client.job_id] = max(self.answered.get(client.job_id, 0.0), sent_at)
            decision = self.bridge.learn(forward, outcome, before)
        if name == "CancelJob":
            self.extra_permitted[client.job_id] = self.extra_permitted.get(client.job_id, 0) + 1
            job = self.jobs.get(client.job_id)
            if not breaks and client.canceled and job is not None and job.number == client.canceled[0]:
                self.known[client.job_id] = max(self.known.get(client.job_id, (0, 0)), client.canceled)
        self.act(client, decision)
        for waiting in self.waiting.pop(forward, []):
            self.act(waiting, self.bridge.joined(waiting.question, forward, outcome, self.now))

    def show(self, client, body, *, local):
        found = re.search(rb"n(\d+)v(\d+)<", body)
        if found is None:
            return
        shown = (int(found[1]), int(found[2]))
        assert shown >= self.known.get(client.job_id, (0, 0)), f"guarantee 1, 2 or 4: {shown} after {self.known}"
        final = self.final_seen.get(client.job_id)
        state = re.search(rb"JobState>(\w+)<", body)[1].decode()
        if final is not None and final[0] == shown[0]:
            assert state == final[1], "guarantee 2"
        if state in FINAL:
            self.final_seen[client.job_id] = (shown[0], state)
        elif local:
            assert self.now - self.confirmed.get(client.job_id, 0.0) < MAX_AGE, "guarantee 3"
        if state not in FINAL:
            missed = [known for step, *known in self.unread.get(client.job_id, ()) if step < client.came]
            recent = self.now - self.answered.get(client.job_id, 0.0) < POLL
            assert recent or all(shown >= tuple(known) for known in missed), "guarantee 1: an unreadable event"
        self.known[client.job_id] = shown

    @invariant()
    def one_status_request_in_flight_for_each_job(self):
        flying = [client.job_id for client in self.flying if client.question.operation.name == "GetJobElements"]
        assert len(flying) == len(set(flying)), "guarantee 3"

    @invariant()
    def finished_jobs_are_stored(self):
        table = self.bridge.table
        while table.reused:
            self.stored.pop(table.reused.pop(0), None)
        while table.newly_finished:
            job = table.newly_finished.pop(0)
            self.stored[job.job_id] = job.status

    @invariant()
    def clients_only_wait_for_requests_in_flight(self):
        assert set(self.waiting) <= {client.forward for client in self.flying}


TestJobTable = JobTableModel.TestCase
TestJobTable.settings = settings(max_examples=150, stateful_step_count=60, deadline=None,
                                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
