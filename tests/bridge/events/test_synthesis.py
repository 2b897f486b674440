"""Tests of bridge.events.synthesis: which job is asked for when, and which events are made of the answers."""

import pytest

from wsdgateway.bridge.events.eventlog import MAX_AGE as MAX_OWED
from wsdgateway.bridge.events.jobquestions import CALM, MAX_FAILURES, RECENT, SLACK, STALE
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.synthesis import END_SECONDS, Synthesis
from wsdgateway.bridge.events.toldjobs import MAX_JOBS
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.addressing import EndpointReference

POLL, MAX_AGE = 1.0, 30.0
SINK = Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7")
STATUS, END = "JobStatusEvent", "JobEndStateEvent"


class Scanner:
    """A job table and the events made of it; `now` is in seconds."""

    def __init__(self):
        self.table = JobTable(max_age=MAX_AGE, poll_interval=POLL, history=10)
        self.synthesis = Synthesis(self.table, poll_interval=POLL, max_age=MAX_AGE, enabled=True)
        self.now = 100.0

    def creates(self, job_id="1"):
        self.table.created(job_id, self.table.moment())
        return self.learnt()

    def answers(self, state, scans=0, *, job_id="1", **more):
        """Answers a status read at the current time; returns event, state and scans of the events made."""
        self.table.answered(JobStatus(job_id, state, scans_completed=scans, **more), self.table.moment(), self.now)
        return self.learnt()

    def learnt(self):
        made = self.synthesis.learnt(self.now)
        for one in made:
            one.reached.add(SINK)
        return [(one.name, one.status.state, one.status.scans_completed) for one in made]

    def sends(self, event, state, scans=0, *, job_id="1", **more):
        """Sends an event of its own; returns whether those who got the made one get it, too."""
        status = JobStatus(job_id, state, scans_completed=scans, ended=event == END, **more)
        self.table.events_seen = True
        self.table.announced(status, self.now)
        return SINK not in (self.synthesis.announced(event, status, self.now) or ())

    @property
    def next(self):
        found = self.synthesis.questions.next(self.now)
        return None if found is None else (found[0], pytest.approx(found[1]))


@pytest.fixture
def scanner():
    return Scanner()


# Events.

def test_each_state_is_told_once_and_the_end_twice(scanner):
    assert scanner.creates() == []
    assert scanner.answers("Pending") == [(STATUS, "Pending", 0)]
    assert scanner.answers("Pending") == []
    assert scanner.answers("Processing") == [(STATUS, "Processing", 0)]
    assert scanner.answers("Processing", 1) == [(STATUS, "Processing", 1)]
    assert scanner.answers("Processing", 1, reasons=("JobTransferring",)) == [(STATUS, "Processing", 1)]
    assert scanner.answers("Processing", 1, vendor=("<x/>",), created="2026-11-22T10:00:00Z") == []
    assert scanner.answers("Completed", 2) == [(STATUS, "Completed", 2), (END, "Completed", 2)]
    assert scanner.answers("Completed", 2) == []


@pytest.mark.parametrize("state", ["Completed", "Canceled", "Aborted"])
def test_a_created_job_whose_first_known_state_is_its_end_is_told(scanner, state):
    scanner.creates()
    assert scanner.answers(state, 1) == [(STATUS, state, 1), (END, state, 1)]


def test_a_job_that_ended_before_it_was_known_is_not_told(scanner):
    assert scanner.answers("Completed", 2) == []
    assert scanner.next is None


def test_a_job_that_was_not_created_here_is_told_from_the_first_answer_that_passes_by(scanner):
    assert scanner.answers("Processing", 1) == [(STATUS, "Processing", 1)]
    assert scanner.next == ("1", POLL + SLACK)


def test_an_image_shows_that_a_job_exists(scanner):
    scanner.table.gave_image("9")
    assert scanner.learnt() == []
    assert scanner.next == ("9", 0.0)
    assert scanner.answers("Completed", 1, job_id="9") == [(STATUS, "Completed", 1), (END, "Completed", 1)]


def test_a_refused_image_shows_that_a_job_has_existed_unless_its_end_is_known(scanner):
    scanner.table.remember([JobStatus("8", "Completed")])
    for job_id, exists in (("7", False), ("8", True), ("9", True)):
        scanner.table.out_of_images(job_id, exists=exists)
    scanner.learnt()
    assert scanner.next == ("9", 0.0)
    assert scanner.answers("Aborted", 1, job_id="9") == [(STATUS, "Aborted", 1), (END, "Aborted", 1)]


def test_a_reused_jobid_is_a_new_job(scanner):
    scanner.creates()
    scanner.answers("Completed", 1)
    scanner.creates()
    assert scanner.answers("Pending") == [(STATUS, "Pending", 0)]
    assert scanner.answers("Completed", 1) == [(STATUS, "Completed", 1), (END, "Completed", 1)]


def test_an_end_long_after_the_last_sign_of_a_job_is_no_news(scanner):
    scanner.creates()
    scanner.now += STALE
    assert scanner.answers("Completed", 1) == []
    assert scanner.next is None


def test_after_a_restart_the_first_state_of_a_job_is_known_to_subscribers(scanner):
    scanner.synthesis.restored(scanner.now)
    scanner.table.gave_image("9")
    scanner.learnt()
    assert scanner.answers("Processing", 1, job_id="9") == []
    assert scanner.answers("Processing", 2, job_id="9") == [(STATUS, "Processing", 2)]
    scanner.creates()
    assert scanner.answers("Pending") == [(STATUS, "Pending", 0)]


def test_after_a_reboot_a_job_that_goes_on_is_not_told_again(scanner):
    scanner.creates()
    scanner.answers("Processing", 1)
    scanner.table.rebooted()
    assert scanner.answers("Processing", 1) == []
    assert scanner.answers("Completed", 1) == [(STATUS, "Completed", 1), (END, "Completed", 1)]


def test_without_synthesis_nothing_is_made_or_asked(scanner):
    scanner.synthesis.adjust(poll_interval=POLL, max_age=MAX_AGE, enabled=False)
    assert scanner.creates() == scanner.answers("Processing") == []
    assert scanner.sends(STATUS, "Processing")
    assert scanner.next is None


# The scanner's own events.

def test_an_event_that_repeats_a_made_one_is_not_sent_again(scanner):
    scanner.creates()
    scanner.answers("Processing", 1)
    assert not scanner.sends(STATUS, "Processing", 1)
    assert not scanner.sends(STATUS, "Pending")  # late
    assert scanner.sends(STATUS, "Processing", 2)
    assert scanner.sends(STATUS, "Processing", 2)  # the scanner's own repetition
    assert scanner.answers("Processing", 2) == []


def test_the_end_is_not_told_twice(scanner):
    scanner.creates()
    scanner.answers("Completed", 2)
    assert not scanner.sends(STATUS, "Completed", 2)
    assert not scanner.sends(END, "Completed", 2)
    assert not scanner.sends(END, "Completed", None)
    assert scanner.sends(END, "Aborted", 2)  # a contradiction is passed on


def test_a_lost_event_is_made_up_for(scanner):
    scanner.table.listening = True
    assert scanner.sends(STATUS, "Pending")
    assert scanner.answers("Processing", 1) == [(STATUS, "Processing", 1)]
    assert scanner.sends(STATUS, "Completed", 2)
    assert scanner.sends(END, "Completed", 2)
    assert scanner.next is None


# When to ask.

def test_after_a_takeover_an_end_that_the_earlier_owner_did_not_hear_of_is_made_once_the_scanner_confirms_it(scanner):
    scanner.sends(STATUS, "Completed", 2)
    scanner.sends(STATUS, "Completed", 1, job_id="2")
    scanner.sends(END, "Completed", 1, job_id="2")
    assert scanner.next is None
    scanner.synthesis.taken_over(scanner.now)
    scanner.now += POLL
    assert scanner.next == ("1", 0.0)
    assert scanner.answers("Completed", 1, job_id="2") == []
    assert scanner.answers("Completed", 2) == [(END, "Completed", 2)]
    assert scanner.next is None
    assert scanner.answers("Completed", 2) == []
    assert not scanner.sends(END, "Completed", 2)


def test_after_a_takeover_an_end_that_the_scanner_still_announces_is_not_made(scanner):
    scanner.sends(STATUS, "Completed", 2)
    scanner.synthesis.taken_over(scanner.now)
    assert scanner.sends(END, "Completed", 2)
    assert scanner.next is None
    assert scanner.answers("Completed", 2) == []


def test_after_a_takeover_an_end_that_the_scanner_told_long_ago_is_not_made(scanner):
    scanner.sends(STATUS, "Completed", 2)
    scanner.now += MAX_OWED
    scanner.synthesis.taken_over(scanner.now)
    assert scanner.next is None
    assert scanner.answers("Completed", 2) == []


class TestAMissingEnd:
    """The scanner may send its JobEndStateEvent to a gateway that has failed."""

    @pytest.fixture
    def shared(self, scanner):
        scanner.synthesis.makes_missing_ends = True
        scanner.sends(STATUS, "Processing", 1)
        scanner.sends(STATUS, "Completed", 2)
        return scanner

    def overdue(self, scanner):
        return [(one.name, one.status.state) for one in scanner.synthesis.overdue("1")]

    def test_is_made_after_a_while_without_a_question(self, shared):
        assert shared.next == ("1", END_SECONDS)
        shared.now += END_SECONDS
        assert shared.next == ("1", 0.0)
        assert self.overdue(shared) == [(END, "Completed")]
        assert self.overdue(shared) == []
        assert shared.next is None

    def test_is_not_made_before(self, shared):
        assert shared.answers("Completed", 2) == []
        assert shared.next == ("1", END_SECONDS)

    def test_is_not_made_if_the_scanner_sends_it(self, shared):
        assert shared.sends(END, "Completed", 2)
        assert shared.next is None
        assert self.overdue(shared) == []

    def test_is_not_made_for_a_job_that_runs(self, shared):
        shared.sends(STATUS, "Processing", job_id="2")
        assert list(shared.synthesis.overdue("2")) == []

    def test_is_made_at_once_after_a_takeover_when_the_scanner_confirms_it(self, shared):
        shared.synthesis.taken_over(shared.now)
        assert self.overdue(shared) == []
        assert shared.answers("Completed", 2) == [(END, "Completed", 2)]

    def test_of_long_ago_is_not_made_after_a_takeover(self, shared):
        shared.now += MAX_OWED
        shared.synthesis.taken_over(shared.now)
        assert shared.next is None
        assert shared.answers("Completed", 2) == []

    def test_is_made_although_the_scanner_answers_no_questions(self, shared):
        shared.synthesis.questions.is_unable = True
        assert shared.next == ("1", END_SECONDS)
        shared.now += END_SECONDS
        assert self.overdue(shared) == [(END, "Completed")]

    def test_needs_no_answer_until_a_takeover(self, shared):
        assert not shared.synthesis.questions.needs_answer("1")
        assert shared.next == ("1", END_SECONDS)
        shared.synthesis.taken_over(shared.now)
        assert shared.synthesis.questions.needs_answer("1")

    def test_is_made_after_a_takeover_of_a_job_that_the_scanner_no_longer_knows(self, shared):
        shared.sends(STATUS, "Processing", job_id="2")
        shared.synthesis.taken_over(shared.now)
        assert [(one.name, one.status.state) for one in shared.synthesis.unconfirmed("1")] == [(END, "Completed")]
        assert list(shared.synthesis.unconfirmed("1")) == list(shared.synthesis.unconfirmed("2")) == []

    def test_is_not_expected_by_a_gateway_without_others(self, scanner):
        scanner.sends(STATUS, "Completed", 2)
        assert scanner.next is None


def test_a_created_job_is_asked_for_at_once_if_the_scanner_has_no_events(scanner):
    scanner.creates()
    assert scanner.next == ("1", 0.0)
    scanner.synthesis.questions.asked("1", scanner.now)
    assert scanner.next == ("1", POLL + SLACK)


def test_a_scanner_that_granted_a_subscription_has_time_to_send_events(scanner):
    scanner.table.listening = True
    scanner.creates()
    assert scanner.next == ("1", POLL)
    scanner.sends(STATUS, "Pending")
    scanner.synthesis.questions.asked("1", scanner.now)
    assert scanner.next == ("1", MAX_AGE + SLACK)


def test_a_client_that_asks_serves_the_listeners(scanner):
    scanner.creates()
    scanner.answers("Pending")
    scanner.now += 0.4
    assert scanner.next == ("1", POLL + SLACK - 0.4)


def test_a_job_that_does_not_change_is_asked_for_less_often(scanner):
    scanner.creates()
    scanner.answers("Pending")
    for seconds, pause in ((10.0, POLL), (10 * CALM, 10.0), (STALE - 1.0, MAX_AGE), (2 * STALE, 2 * STALE / CALM)):
        scanner.now = 100.0 + seconds
        scanner.answers("Pending")
        assert scanner.next == ("1", pause + SLACK)
    scanner.answers("Processing")
    assert scanner.next == ("1", POLL + SLACK)


def test_jobs_that_a_scanner_never_ends_do_not_add_up_to_a_load(scanner):
    for number in range(20):
        scanner.creates(str(number))
        scanner.answers("Processing", job_id=str(number))
    asked, end = 0, scanner.now + 24 * STALE
    while (due := scanner.synthesis.questions.next(scanner.now)) is not None and scanner.now + due[1] < end:
        scanner.now += due[1]
        if scanner.now >= end - STALE:
            asked += 1
        scanner.synthesis.questions.asked(due[0], scanner.now)
        scanner.answers("Processing", job_id=due[0])
    assert 20 <= asked <= 40


def test_a_scanner_that_does_not_answer_is_asked_less_often(scanner):
    scanner.creates()
    for pause in (2.0, 4.0, 8.0, 16.0, MAX_AGE, MAX_AGE):
        scanner.synthesis.questions.asked("1", scanner.now)
        scanner.synthesis.questions.answered("1", usable=False)
        assert scanner.next == ("1", pause + SLACK)
    for _ in range(MAX_FAILURES - 6):
        assert not scanner.synthesis.questions.is_hopeless("1")
        scanner.synthesis.questions.answered("1", usable=False)
    assert scanner.synthesis.questions.is_hopeless("1")
    scanner.synthesis.questions.answered("1", usable=True)
    assert scanner.next == ("1", POLL + SLACK)


@pytest.mark.parametrize("doubt", [
    lambda scanner: scanner.synthesis.questions.hurry(), lambda scanner: scanner.table.out_of_images("1")])
def test_a_doubt_makes_the_next_question_earlier(scanner, doubt):
    scanner.table.listening = True
    scanner.sends(STATUS, "Processing")
    scanner.answers("Processing")
    assert scanner.next == ("1", MAX_AGE + SLACK)
    doubt(scanner)
    scanner.learnt()
    assert scanner.next == ("1", POLL + SLACK)


def test_jobs_that_were_over_before_anybody_listened_are_not_asked_for(scanner):
    scanner.creates("1")
    scanner.now += STALE
    for job_id in "234":
        scanner.creates(job_id)
    scanner.table.out_of_images("2")
    scanner.learnt()
    scanner.now += RECENT
    scanner.table.out_of_images("3")
    scanner.learnt()
    scanner.synthesis.questions.listened(True, scanner.now)
    assert [job_id for job_id in "1234" if scanner.synthesis.questions.needs_answer(job_id)] == ["3", "4"]
    assert scanner.answers("Processing", job_id="1") == [(STATUS, "Processing", 0)]  # it goes on after all
    assert scanner.synthesis.questions.needs_answer("1")


def test_a_second_listener_drops_no_job_also_after_a_change_of_the_settings(scanner):
    scanner.synthesis.questions.listened(True, scanner.now)
    scanner.creates()
    scanner.table.out_of_images("1")
    scanner.learnt()
    scanner.now += RECENT
    scanner.synthesis.questions.listened(True, scanner.now)
    former, scanner.synthesis = scanner.synthesis, Synthesis(
        scanner.table, poll_interval=POLL, max_age=MAX_AGE, enabled=True)
    scanner.synthesis.take_over(former)
    scanner.synthesis.questions.listened(True, scanner.now)
    assert scanner.synthesis.questions.needs_answer("1")
    scanner.synthesis.questions.listened(False, scanner.now)
    scanner.synthesis.questions.listened(True, scanner.now)
    assert not scanner.synthesis.questions.needs_answer("1")


def test_a_job_that_the_scanner_does_not_end_after_its_last_image_is_not_asked_for_forever(scanner):
    scanner.creates()
    scanner.answers("Processing")
    scanner.table.out_of_images("1")
    scanner.learnt()
    scanner.now += STALE - 1.0
    scanner.synthesis.questions.asked("1", scanner.now)
    assert scanner.synthesis.questions.needs_answer("1")
    scanner.now += 1.0
    scanner.synthesis.questions.asked("1", scanner.now)
    assert scanner.next is None
    assert scanner.answers("Completed", 1) == [(STATUS, "Completed", 1), (END, "Completed", 1)]


def test_a_scanner_that_refused_is_asked_once_for_each_other_job_until_it_answers(scanner):
    scanner.creates("1")
    scanner.creates("2")
    scanner.synthesis.questions.drop("1")
    assert scanner.synthesis.questions.refused()
    assert not scanner.synthesis.questions.refused()
    scanner.creates("3")
    for job_id in "23":
        assert not scanner.synthesis.questions.is_hopeless(job_id)
        scanner.synthesis.questions.answered(job_id, usable=False)
        assert scanner.synthesis.questions.is_hopeless(job_id)
    scanner.answers("Processing", job_id="3")
    scanner.creates("4")
    scanner.synthesis.questions.answered("4", usable=False)
    assert not scanner.synthesis.questions.is_hopeless("4")


def test_the_history_is_asked_once_unless_the_job_turns_up_again(scanner):
    scanner.creates()
    assert scanner.synthesis.questions.takes_history("1")
    assert not scanner.synthesis.questions.takes_history("1")
    scanner.answers("Processing")
    assert scanner.synthesis.questions.takes_history("1")
    scanner.synthesis.questions.seek_history("1")  # it could not be asked
    assert scanner.synthesis.questions.takes_history("1")
    scanner.synthesis.questions.drop("1")
    assert not scanner.synthesis.questions.needs_answer("1")
    scanner.table.out_of_images("1")
    scanner.learnt()
    assert scanner.next is None  # a client that goes on asking for images does not make the gateway ask again
    assert scanner.answers("Completed", 1) == [(STATUS, "Completed", 1), (END, "Completed", 1)]


def test_the_number_of_jobs_is_bounded(scanner):
    scanner.creates("0")
    for number in range(1, MAX_JOBS + 1):
        scanner.creates(str(number))
        scanner.answers("Completed", job_id=str(number))
    assert scanner.synthesis.questions.needs_answer("0")
    assert scanner.next[0] == "0"
    for number in range(MAX_JOBS + 1):
        scanner.creates(str(number))
    assert not scanner.synthesis.questions.needs_answer("0")
    assert scanner.synthesis.questions.needs_answer("1")


def test_refused_images_do_not_put_off_the_question(scanner):
    scanner.table.listening = True
    scanner.creates()
    scanner.answers("Processing")
    scanner.now += 10.0
    scanner.table.out_of_images("1")
    scanner.learnt()
    scanner.now += POLL / 2
    scanner.table.out_of_images("1")
    scanner.learnt()
    assert scanner.next == ("1", POLL / 2)
