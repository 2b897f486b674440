"""A stateful model of made events: each subscriber is told each state of a job once, in order, and its end once.

A truthful device has jobs. It sends no events, or its events arrive late, are lost, or begin to arrive in the middle of
a job; it reboots, which may make it forget its jobs. Subscribers come and go, requests break off, and the gateway's
subscription is lost. Each state that the device has had is unique for its job, so every event can be placed in time.
"""

from collections import deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.messages import (
    create_scan_job,
    created_job,
    end_event,
    fault,
    get_job_elements,
    job_request,
    listing,
    status_event,
    status_response,
)
from tests.options import scanner_options
from wsdgateway.bridge.decisions import Failure, Forward, Reply
from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.scan.jobstates import FINAL
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.faults import temporary_error

MAX_AGE, POLL = 30.0, 1.0
SOAP = b"application/soap+xml"


class Job:
    """A job of the device; `states` are all its states, each with its number of scans."""

    def __init__(self, job_id, number):
        self.job_id, self.number = job_id, number
        self.states = [("Pending", 0)]
        self.from_start = []  # subscribers that listened from its creation on

    @property
    def over(self):
        return self.states[-1][0] in FINAL

    def status(self, place=-1):
        state, scans = self.states[place]
        return {"job_id": self.job_id, "state": state, "scans": scans,
                "created": f"2026-11-22T10:{self.number // 60:02}:{self.number % 60:02}Z"}


class Subscriber:
    """A client that listens; `told` are event, number of the job, state and scans."""

    def __init__(self, number):
        self.sink = Sink(EndpointReference(f"http://192.0.2.7/{number}"), "192.0.2.7")
        self.told = []


class SynthesisModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now, self.ids, self.numbers = 100.0, 0, 0
        self.bridge = ScannerBridge(scanner_options(max_age=MAX_AGE, poll_interval=POLL), new_id=self.new_id)
        self.bridge.device = "http://device/scan"
        self.jobs, self.history = {}, {}
        self.subscribers, self.distributing, self.events = [], deque(), deque()
        self.sends = False
        self.asked_at = {}
        self.lost = set()  # numbers of jobs whose end the gateway cannot know
        self.seen_final = set()  # numbers of jobs whose end came as an event

    def new_id(self):
        self.ids += 1
        return f"urn:uuid:{self.ids}"

    # What subscribers are told.

    def look(self):
        for made in self.bridge.synthesis.learnt(self.now):
            self.distributing.append((made.name, made.status, made.reached, ()))

    @rule()
    def events_are_distributed(self):
        while self.distributing:
            event, status, reached, known = self.distributing.popleft()
            number = self.number_of(status)
            for one in self.subscribers:
                if one.sink not in known:
                    entry = (event, number, status.state, status.scans_completed)
                    assert entry not in one.told, "told twice"
                    before = [self.place(told) for told in one.told if told[0] == event and told[1] == number]
                    assert all(place < self.place(entry) for place in before), "told in the wrong order"
                    one.told.append(entry)
                    if reached is not None:
                        reached.add(one.sink)

    def number_of(self, status):
        return next(number for number, job in self.history.items()
                    if job.job_id == status.job_id and (status.created in (None, job.status()["created"])
                                                        ) and (status.created or number == self.latest(job.job_id)))

    def latest(self, job_id):
        return max(number for number, job in self.history.items() if job.job_id == job_id)

    def place(self, entry):
        return self.history[entry[1]].states.index(entry[2:])

    @rule()
    def somebody_subscribes(self):
        if len(self.subscribers) < 3:
            self.subscribers.append(Subscriber(self.new_id()))

    @precondition(lambda self: self.subscribers)
    @rule(data=st.data())
    def somebody_leaves(self, data):
        gone = data.draw(st.sampled_from(self.subscribers))
        self.subscribers.remove(gone)

    # The device.

    @rule()
    def a_client_creates_a_job(self):
        if any(not job.over for job in self.jobs.values()):
            return
        self.numbers += 1
        job = Job(str(self.numbers % 3), self.numbers)
        forward = self.ask(create_scan_job(self.new_id()))
        self.asked_at.pop(job.job_id, None)
        self.jobs[job.job_id] = self.history[job.number] = job
        self.bridge.sent(forward, self.now)
        self.bridge.learn(forward, Reply(200, SOAP, created_job(job.job_id)), self.now)
        job.from_start = list(self.subscribers)
        self.tell(job)
        self.look()

    def ask(self, raw, host=b"gateway"):
        return self.bridge.ask(route(raw, Endpoint.SCAN, client="192.0.2.1", host=host), self.now)

    @precondition(lambda self: any(not job.over for job in self.jobs.values()))
    @rule(to=st.sampled_from(["Started", "Processing", "Completed", "Aborted"]))
    def the_device_changes_its_job(self, to):
        job = next(job for job in self.jobs.values() if not job.over)
        state, scans = job.states[-1]
        if to == "Started" and state != "Pending":
            return
        job.states.append((to, scans + 1 if to == state == "Processing" else scans))
        self.tell(job)

    def tell(self, job):
        if self.sends:
            self.events.append((job, len(job.states) - 1))

    @rule(sends=st.booleans(), listening=st.booleans())
    def the_device_begins_or_stops_to_send(self, sends, listening):
        self.sends = sends and listening
        self.bridge.listens(listening)

    @precondition(lambda self: self.events)
    @rule(fate=st.sampled_from(["arrives", "arrives", "is lost"]))
    def an_event(self, fate):
        job, place = self.events.popleft()
        if fate == "is lost":
            return
        status = job.status(place)
        messages = [status_event(**status, message_id=self.new_id())]
        if status["state"] in FINAL:
            messages.append(end_event(job.job_id, status["state"], status["scans"], message_id=self.new_id()))
        for message in messages:
            notification = read_notification(message)
            self.bridge.notifications.received(notification, self.now)
            self.look()
            known = self.bridge.notifications.known_to(notification, self.now)
            self.distributing.append((notification.event, notification.status, None, known))

    @rule(forgets=st.booleans())
    def the_device_reboots(self, forgets):
        self.events_are_distributed()
        if forgets:
            self.lost |= {job.number for job in self.jobs.values()}
            self.jobs.clear()
            self.events.clear()
        self.asked_at.clear()
        self.bridge.rebooted()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), whole=st.booleans())
    def an_image_passes(self, data, whole):
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        question = route(job_request("RetrieveImage", job.job_id), Endpoint.SCAN, client="192.0.2.1", host=b"gateway")
        if whole and not job.over:
            self.bridge.image_ended(question, self.now, whole=True)
        elif job.over:
            self.bridge.image_refused(question, Reply(500, SOAP, fault("wscn:ClientErrorNoImagesAvailable")))
        self.look()

    # Questions.

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), breaks=st.sampled_from([False, False, True]))
    def a_client_reads(self, data, breaks):
        self.read(data.draw(st.sampled_from(sorted(self.jobs))), breaks=breaks)

    def read(self, job_id, *, breaks):
        """Asks for a job. Returns whether the device knows it; None without an answer."""
        decision = self.ask(get_job_elements(job_id, message_id=self.new_id()))
        if not isinstance(decision, Forward):
            self.look()
            return job_id in self.jobs
        self.bridge.sent(decision, self.now)
        if breaks:
            self.bridge.fail(decision, Failure(temporary_error("it broke")), self.now)
            return None
        if not self.bridge.table.eventful:
            assert self.now - self.asked_at.get(job_id, 0.0) >= POLL
            self.asked_at[job_id] = self.now
        job = self.jobs.get(job_id)
        body = fault("wscn:ClientErrorJobIdNotFound") if job is None else status_response(**job.status())
        self.bridge.learn(decision, Reply(200, SOAP, body), self.now)
        self.look()
        return job is not None

    @rule(seconds=st.sampled_from([0.5, 3.0, 31.0]), breaks=st.booleans())
    def time_passes(self, seconds, breaks):
        until = self.now + seconds
        while (due := self.bridge.synthesis.questions.next(self.now)) is not None and self.now + due[1] <= until:
            self.now += due[1]
            if not self.subscribers:
                break
            job_id = due[0]
            self.bridge.synthesis.questions.asked(job_id, self.now)
            is_known = self.read(job_id, breaks=breaks)
            self.bridge.synthesis.questions.answered(job_id, usable=bool(is_known))
            if is_known is False and self.bridge.synthesis.questions.needs_answer(job_id):
                self.look_into_history(job_id)
            self.events_are_distributed()
        self.now = until

    def look_into_history(self, job_id):
        if self.bridge.synthesis.questions.takes_history(job_id):
            decision = self.ask(job_history(self.new_id()))
            if isinstance(decision, Forward):
                self.bridge.sent(decision, self.now)
                self.bridge.learn(decision, Reply(200, SOAP, listing("GetJobHistory", "JobHistory")), self.now)
                self.look()
        if self.bridge.synthesis.questions.needs_answer(job_id):
            self.bridge.synthesis.questions.drop(job_id)

    @rule()
    def everything_settles(self):
        for job in self.jobs.values():
            if not job.over:
                job.states.append(("Completed", job.states[-1][1]))
                self.tell(job)
        while self.events:
            self.an_event("arrives")
        self.events_are_distributed()
        self.time_passes(200.0, False)
        self.events_are_distributed()
        for job in self.history.values():
            for one in self.subscribers:
                if one in job.from_start and job.number not in self.lost:
                    told = [entry for entry in one.told if entry[1] == job.number]
                    assert told[-1] == ("JobEndStateEvent", job.number, *job.states[-1]), told
                    assert told[-2] == ("JobStatusEvent", job.number, *job.states[-1]), told
        assert self.bridge.synthesis.questions.next(self.now) is None or not self.subscribers


def job_history(message_id):
    return job_request("GetJobHistory", "", message_id=message_id).replace(b"<wscn:JobId></wscn:JobId>", b"")


TestSynthesis = SynthesisModel.TestCase
TestSynthesis.settings = settings(max_examples=150, stateful_step_count=50, deadline=None,
                                  suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
