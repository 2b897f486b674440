"""Tests of net.scanners.jobcounts: when a change of a job is written, and what happens while the server is away."""

import pytest
from twisted.internet.task import Clock

from tests.net.events.sharedevents import SharedEvents
from wsdgateway.bridge.access.quotas import AFTER_IMAGE_SECONDS, FORGOTTEN_SECONDS, MAX_JOBS, Quotas
from wsdgateway.net.scanners.jobcounts import AT_ONCE, LATER_SECONDS, RETRY_SECONDS, JobCounts

CLIENT = "192.0.2.1"


class Counting:
    """Quotas of a gateway, whose changes go to the server; `jobs` have been counted there."""

    def __init__(self, jobs=2):
        self.clock, self.shared, self.written = Clock(), SharedEvents(), []
        self.counts = JobCounts(self.clock, self.shared, seconds=self.clock.seconds)
        self.quotas = Quotas(requests=1e6, connections=1000, jobs=MAX_JOBS, unlimited=())
        self.quotas.on_change = self.counts.changed
        change = self.shared.change

        def record(changes):
            self.written += [(one.name, one.seconds) for one in changes]
            return change(changes)

        self.shared.change = record
        for number in range(1, jobs + 1):
            self.begin(str(number))

    def begin(self, job_id):
        self.quotas.job_began(CLIENT, "s", job_id, self.clock.seconds())
        job = self.quotas.to_share(CLIENT, "s", job_id)
        job.is_shared = True
        self.shared.jobs.setdefault(CLIENT, set()).add(job.name)

    def image(self, job_id):
        self.quotas.image_fetched("s", job_id, self.clock.seconds())

    def end(self, job_id):
        self.quotas.job_ended("s", job_id)

    @property
    def counted(self):
        return sorted(self.shared.jobs[CLIENT])


def test_an_end_is_written_at_once():
    one = Counting()
    one.end("1")
    assert (one.counted, one.shared.calls) == (["s 2"], 1)
    one.end("unknown")
    assert one.shared.calls == 1
    assert not one.clock.getDelayedCalls()


def test_an_image_is_written_a_moment_later_unless_the_job_ends_before():
    one = Counting()
    one.image("1")
    one.image("2")
    one.clock.advance(LATER_SECONDS - 1)
    assert one.shared.calls == 0
    one.end("1")
    assert sorted(one.written) == [("s 1", 0.0), ("s 2", AFTER_IMAGE_SECONDS - LATER_SECONDS + 1)]
    one.image("2")
    one.clock.advance(LATER_SECONDS)
    assert one.written[2:] == [("s 2", AFTER_IMAGE_SECONDS - LATER_SECONDS)]


def test_what_comes_while_a_write_is_under_way_is_written_together():
    one = Counting(jobs=4)
    one.shared.mode = "waits"
    for number in "1234":
        one.end(number)
    assert one.shared.calls == 1
    one.shared.answer()
    assert one.shared.calls == 2
    one.shared.answer()
    assert (one.counted, one.shared.calls) == ([], 2)


def test_a_change_that_was_not_written_is_written_when_the_server_answers_again():
    one = Counting(jobs=3)
    one.shared.mode = "fails"
    one.image("2")
    one.end("1")
    one.end("3")  # it waits until the next attempt
    assert one.shared.calls == 1
    one.clock.advance(RETRY_SECONDS)
    assert one.shared.calls == 2
    one.end("2")  # replaces the image that was not written
    one.shared.mode = "answers"
    one.clock.advance(RETRY_SECONDS)
    assert (one.counted, one.shared.calls) == ([], 3)
    assert not one.clock.getDelayedCalls()


def test_a_change_is_given_up_when_the_server_has_forgotten_the_job():
    one = Counting()
    one.shared.mode = "fails"
    one.end("1")
    one.clock.pump([RETRY_SECONDS] * int(FORGOTTEN_SECONDS / RETRY_SECONDS))
    calls = one.shared.calls
    one.clock.advance(RETRY_SECONDS)
    assert one.shared.calls == calls
    assert not one.clock.getDelayedCalls()


def test_many_changes_are_written_in_parts():
    one = Counting(jobs=AT_ONCE + 2)
    one.shared.mode = "waits"
    for number in range(1, AT_ONCE + 3):
        one.end(str(number))
    while one.shared.waiting:
        one.shared.answer()
    assert (one.counted, one.shared.calls) == ([], 3)


def test_the_number_of_changes_that_wait_is_limited():
    one = Counting(jobs=0)
    one.shared.mode = "waits"
    for number in range(MAX_JOBS + 2):  # the first one is on its way
        one.begin(str(number))
        one.end(str(number))
    while one.shared.waiting:
        one.shared.answer()
    assert one.counted == ["s 2"]


def test_at_the_end_everything_is_sent_and_nothing_later():
    one = Counting()
    one.shared.mode = "waits"
    one.image("2")
    one.end("1")
    one.image("2")
    one.counts.close()
    assert len(one.shared.waiting) == 2
    while one.shared.waiting:
        one.shared.refuse()
    one.end("2")
    assert one.shared.calls == 2
    assert not one.clock.getDelayedCalls()


@pytest.mark.logs_failure
def test_an_unexpected_failure_is_logged():
    one = Counting()
    one.shared.mode = "waits"
    one.end("1")
    one.shared.waiting.pop()[0].errback(ValueError("unexpected"))
    one.shared.mode = "answers"
    one.clock.advance(RETRY_SECONDS)
    assert one.counted == ["s 2"]
