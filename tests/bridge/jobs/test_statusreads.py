"""Tests of bridge.jobs.statusreads: which clients join a status request in progress, and from when its answer counts.
"""

import itertools

import pytest

from tests.messages import get_job_elements
from wsdgateway.bridge.decisions import Forward, Sent
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.bridge.jobs.statusreads import StatusReads

STATUS, TICKET, DOCUMENTS = (f"wscn:{name}" for name in ("JobStatus", "ScanTicket", "Documents"))


def question(job_id="1", names=(STATUS,)):
    return route(get_job_elements(job_id, names), Endpoint.SCAN, client="192.0.2.1", host=b"gateway.test:5357")


class Scanner:
    """Sends requests, and records the moments at which they are sent."""

    def __init__(self):
        self.table = JobTable(max_age=30.0, poll_interval=1.0, history=5)
        self.sent = {}
        self.reads = StatusReads(JobAnswers(self.table), self.sent.get)
        self.numbers = itertools.count()

    def ask(self, *args, usual=True, sent=True):
        forward = Forward(question(*args), b"")
        self.reads.started(forward, usual=usual)
        if sent:
            self.sent[forward] = Sent(self.table.moment(), 0.0)
        return forward

    def joined(self, *args, usual=True):
        join = self.reads.join(question(*args), usual=usual)
        return None if join is None else join.forward


@pytest.fixture
def scanner():
    return Scanner()


@pytest.mark.parametrize(("running", "asks", "joins"), [
    ("usual", "usual", True), ("usual", "unusual", True), ("unusual", "unusual", True), ("unusual", "usual", False)])
def test_a_usual_question_waits_for_usual_requests_only(scanner, running, asks, joins):
    forward = scanner.ask(usual=running == "usual")
    assert scanner.joined(usual=asks == "usual") is (forward if joins else None)


def test_an_unusual_question_prefers_the_usual_request(scanner):
    scanner.ask(usual=False)
    usual = scanner.ask()
    assert scanner.joined(usual=False) is usual


@pytest.mark.parametrize(("running", "names", "joins"), [
    ((STATUS,), (STATUS,), True), ((STATUS, TICKET), (STATUS, TICKET), True), ((STATUS, TICKET), (STATUS,), True),
    ((STATUS,), (STATUS, TICKET), False), ((STATUS, DOCUMENTS), (STATUS, DOCUMENTS), False),
    ((TICKET,), (STATUS,), False),
    (("wscn:Vendor",), (STATUS,), False)])
def test_a_request_is_joined_if_it_reads_the_wanted_elements(scanner, running, names, joins):
    scanner.ask("1", running)
    assert (scanner.joined("1", names) is not None) is joins


def test_each_job_has_its_own_request(scanner):
    first, second = scanner.ask("1"), scanner.ask("2")
    assert (scanner.joined("1"), scanner.joined("2"), scanner.joined("3")) == (first, second, None)


def test_the_first_of_two_requests_is_joined_until_it_ends(scanner):
    first, second = scanner.ask(), scanner.ask()
    assert scanner.joined() is first
    scanner.reads.ended(second)
    assert scanner.joined() is first
    scanner.reads.ended(first)
    assert scanner.joined() is None


def test_a_status_counts_from_the_moment_its_request_was_sent(scanner):
    forward, waiting = scanner.ask(), question()
    assert scanner.reads.join(waiting, usual=True).forward is forward
    assert scanner.reads.fresh_from(waiting, forward) == scanner.sent[forward].moment


def test_a_request_that_was_never_sent_makes_no_status_fresh(scanner):
    forward = scanner.ask(sent=False)
    scanner.table.unread(())
    waiting = question()
    assert scanner.reads.join(waiting, usual=True).forward is forward
    assert scanner.reads.fresh_from(waiting, forward) is None


@pytest.mark.parametrize(("jobs", "counts"), [((), False), (("1",), False), (("2",), True)])
def test_a_request_older_than_an_unreadable_event_does_not_count_for_later_clients(scanner, jobs, counts):
    forward, before, after = scanner.ask(), question(), question()
    scanner.reads.join(before, usual=True)
    scanner.table.unread(jobs)
    scanner.reads.join(after, usual=True)
    moment = scanner.sent[forward].moment
    assert scanner.reads.fresh_from(before, forward) == moment
    assert scanner.reads.fresh_from(after, forward) == (moment if counts else None)
    assert scanner.reads.fresh_from(after, forward) == moment  # its next request is newer than the event
