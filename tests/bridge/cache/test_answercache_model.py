"""A stateful model of the answer cache, with a truthful scanner behind an unreliable network.

The scanner's elements, status and jobs change, and each change has a number that every answer carries. Events are
delayed and lost, requests overlap, jobs are created, the scanner restarts. No client is shown a number older than an
announced one, or older than one that another client was shown before. One exception: a client whose GetScannerElements
was outdated MAX_STATUS_ASKS times gets the scanner's last answer unchanged; that answer is neither cached nor shared.
"""

import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.messages import (
    SCAN,
    announcement,
    create_scan_job,
    created_job,
    envelope,
    fault,
    get_scanner_elements,
    listing,
    scanner_elements,
    status_event,
)
from tests.options import scanner_options
from wsdgateway.bridge.cache.answercache import MAX_STATUS_ASKS
from wsdgateway.bridge.decisions import Answer, Failure, Forward, Join, Pass, Refuse, Reply
from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.soap.faults import temporary_error

ELEMENTS, MAX_AGE, POLL = 300.0, 30.0, 1.0
QUESTIONS = {
    "elements": (("ScannerConfiguration",), ("elements",)), "status": (("ScannerStatus",), ("status",)),
    "both": (("ScannerStatus", "ScannerConfiguration"), ("elements", "status")), "jobs": ((), ("jobs",))}
EVENTS = {"elements": "ScannerElementsChangeEvent", "status": "ScannerStatusSummaryEvent"}


def versions(body):
    """Returns the numbers in an answer, by subject."""
    completed = re.search(rb"ScansCompleted>(\d+)<", body)
    if completed is not None:
        return {"jobs": int(completed[1])}
    return {subject: int(number) for subject, number in re.findall(r"(\w+)=(\d+);", body.decode())}


class Client:
    """One request: its question, and the minimum version for an answer that was requested after it arrived."""

    def __init__(self, asks, question, known):
        self.asks, self.question, self.known = asks, question, known
        self.snapshot = self.forward = None


class AnswerCacheModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now, self.ids = 100.0, 0
        self.bridge = ScannerBridge(
            scanner_options(max_age=MAX_AGE, poll_interval=POLL, history=100, elements=ELEMENTS), new_id=self.new_id)
        self.bridge.device = "http://device/scan"
        self.bridge.listens(True)
        self.version = dict.fromkeys(("elements", "status", "jobs"), 0)
        self.changed = {subject: [] for subject in self.version}  # each version with the time of its change
        self.announced = dict.fromkeys(self.version, 0)
        self.invalidated_at = dict.fromkeys(self.version, 0)  # the version at the last event that may have changed it
        self.announces = {"status": False, "jobs": False}
        self.listening, self.shown = True, {}
        self.events, self.flying, self.waiting = [], [], {}

    def new_id(self):
        self.ids += 1
        return f"urn:uuid:{self.ids}"

    # The scanner and the network.

    @rule(subject=st.sampled_from(["elements", "status", "jobs"]), is_told=st.booleans())
    def something_changes(self, subject, is_told):
        self.version[subject] += 1
        self.changed[subject] = [*self.changed[subject], (self.version[subject], self.now)]
        event = (status_event("1", "Processing", self.version["jobs"], message_id=self.new_id()) if subject == "jobs"
                 else announcement(EVENTS[subject], message_id=self.new_id()))
        self.events.append((subject, self.version[subject], event))
        if is_told:
            self.tell(*self.events.pop())

    @precondition(lambda self: self.events)
    @rule(data=st.data(), is_lost=st.sampled_from([False, False, False, True]))
    def an_event(self, data, is_lost):
        event = self.events.pop(data.draw(st.integers(0, len(self.events) - 1)))
        if not is_lost:
            self.tell(*event)

    def tell(self, subject, version, event):
        self.bridge.notifications.received(read_notification(event), self.now)
        self.announced[subject] = max(self.announced[subject], version)
        self.announces[subject] = True

    @rule(what=st.sampled_from(["reboot", "subscription", "half a minute", "five minutes"]))
    def something_rare_happens(self, what):
        if what == "reboot":
            self.reboot()
        elif what == "subscription":
            self.listening, self.invalidated_at = not self.listening, dict(self.version)
            self.bridge.listens(self.listening)
        else:
            self.now += 31.0 if what == "half a minute" else 301.0

    def reboot(self):
        self.events.clear()
        for client in self.flying:
            client.snapshot = client.snapshot or "broken"
        self.bridge.rebooted()
        self.announced = dict(self.version)  # cached answers and earlier requests no longer count
        self.announces = dict.fromkeys(self.announces, False)

    @rule(seconds=st.sampled_from([0.1, 0.4, 0.9, 1.0, 5.0]))
    def time_passes(self, seconds):
        self.now += seconds

    # Clients.

    @rule(asks=st.sampled_from(sorted(QUESTIONS)),
          until=st.sampled_from(["it waits", "it is sent", "the scanner works", *["it is answered"] * 3]))
    def a_client_reads(self, asks, until):
        names = QUESTIONS[asks][0]
        raw = get_scanner_elements(*names, message_id=self.new_id()) if names else envelope(
            f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>", message_id=self.new_id())
        self.proceed(self.ask(asks, raw), until)

    def proceed(self, client, until):
        if client not in self.flying or until == "it waits":
            return
        self.go_out(client)
        if until != "it is sent":
            client.snapshot = self.work(client)
        if until == "it is answered":
            self.answer(client, "whole")

    @rule(until=st.sampled_from(["it waits", "it is sent", "it is answered"]))
    def a_client_creates(self, until):
        self.proceed(self.ask(None, create_scan_job(self.new_id())), until)

    def ask(self, asks, raw):
        question = route(raw, Endpoint.SCAN, client="192.0.2.1", host=b"gateway")
        client = Client(asks, question, dict(self.invalidated_at))
        self.act(client, self.bridge.ask(question, self.now), local=True)
        return client

    def act(self, client, decision, *, local=False, last_try=None):
        """Carries out a decision; `last_try` is the scanner's answer that this client may get although it is outdated.
        """
        if isinstance(decision, Pass) and decision.reply is last_try:
            self.remember(client, versions(last_try.body))
        elif isinstance(decision, Answer | Pass):
            self.show(client, decision.body if isinstance(decision, Answer) else decision.reply.body, local=local)
        elif isinstance(decision, Forward):
            client.forward, client.snapshot, client.sent_at = decision, None, None
            self.flying.append(client)
        elif isinstance(decision, Join):
            self.waiting.setdefault(decision.forward, []).append(client)
        else:
            assert isinstance(decision, Refuse)

    @precondition(lambda self: any(client.sent_at is None for client in self.flying))
    @rule(data=st.data())
    def a_request_goes_out(self, data):
        self.go_out(data.draw(st.sampled_from([one for one in self.flying if one.sent_at is None])))

    def go_out(self, client):
        client.sent_at = self.now
        self.a_job(client)
        self.bridge.sent(client.forward, self.now)

    def a_job(self, client):
        """Notes that a CreateScanJob was sent or has ended, which may change the status."""
        if client.asks is None:
            self.invalidated_at["status"] = self.version["status"]

    @precondition(lambda self: any(client.sent_at is not None for client in self.flying))
    @rule(data=st.data())
    def the_scanner_works_on_it(self, data):
        client = data.draw(st.sampled_from([one for one in self.flying if one.sent_at is not None]))
        client.snapshot = client.snapshot or self.work(client)

    def work(self, client):
        if client.asks is None:
            return created_job("9")
        if client.asks == "jobs":
            return listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", self.version["jobs"]))
        names, subjects = QUESTIONS[client.asks]
        return scanner_elements(*names, note="".join(f"{subject}={self.version[subject]};" for subject in subjects))

    @precondition(lambda self: any(client.sent_at is not None for client in self.flying))
    @rule(data=st.data(), how=st.sampled_from(["whole", "whole", "whole", "fault", "breaks"]))
    def an_answer_arrives(self, data, how):
        self.answer(data.draw(st.sampled_from([one for one in self.flying if one.sent_at is not None])), how)

    def answer(self, client, how):
        self.flying.remove(client)
        self.a_job(client)
        forward = client.forward
        body = client.snapshot or self.work(client)
        if how == "breaks" or body == "broken":
            outcome = Failure(temporary_error("it broke"))
            decision = self.bridge.fail(forward, outcome, self.now)
        else:
            outcome = (Reply(200, b"application/soap+xml", body) if how == "whole" else
                       Reply(500, b"application/soap+xml", fault("wscn:ServerErrorTemporaryError")))
            decision = self.bridge.learn(forward, outcome, self.now)
        is_last = client.asks != "jobs" and forward.asks >= MAX_STATUS_ASKS
        self.act(client, decision, last_try=outcome if is_last else None)
        for one in self.waiting.pop(forward, []):
            self.act(one, self.bridge.joined(one.question, forward, outcome, self.now))

    def show(self, client, body, *, local):
        shown = versions(body)
        for subject, version in shown.items():
            assert version >= self.announced[subject], "older than an announced version"
            assert version >= client.known[subject], "older than an event that may have changed it"
            assert version >= self.shown.get((client.asks, subject), 0), "older than a version shown to a client"
            replaced = [at for number, at in self.changed[subject] if number == version + 1]
            assert not (local and replaced) or self.now - replaced[0] < self.lifetime_of(client.asks), "cached too long"
        self.remember(client, shown)

    def remember(self, client, shown):
        for subject, version in shown.items():
            self.shown[client.asks, subject] = max(version, self.shown.get((client.asks, subject), 0))

    def lifetime_of(self, asks):
        if asks == "elements":
            return ELEMENTS
        return MAX_AGE if self.listening and self.announces["jobs" if asks == "jobs" else "status"] else POLL

    @invariant()
    def clients_only_wait_for_requests_in_flight(self):
        assert set(self.waiting) <= {client.forward for client in self.flying}


TestAnswerCache = AnswerCacheModel.TestCase
TestAnswerCache.settings = settings(max_examples=300, stateful_step_count=60, deadline=None,
                                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
