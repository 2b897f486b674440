"""Tests of bridge.jobs.transitions: the changes that an answer makes to a job's record."""

import attrs
import pytest

from wsdgateway.bridge.jobs.job import Job
from wsdgateway.bridge.jobs.transitions import MAX_EXTRA, after_answer, with_extras
from wsdgateway.scan.jobstatus import JobStatus


def status(state, scans=None, **more):
    return JobStatus("1", state, scans_completed=scans, **more)


def record(known, as_of=10, needed=-1, **more):
    return Job("1", boot=0, since=5, status=known, as_of=as_of, needed=needed, confirmed=100.0, **more)


PROCESSING_2, COMPLETED_3 = status("Processing", 2), status("Completed", 3)


@pytest.mark.parametrize(("known", "needed", "answer", "sent", "after"), [
    # Nothing is known, except perhaps that a CancelJob was answered.
    (None, -1, PROCESSING_2, 7, PROCESSING_2), (None, 9, PROCESSING_2, 7, None), (None, 9, COMPLETED_3, 7, COMPLETED_3),
    # Sent after the known status: the answer counts, even with fewer scans.
    (PROCESSING_2, -1, status("Processing", 1), 10, status("Processing", 1)),
    (PROCESSING_2, 12, status("Pending"), 12, status("Pending", 2)),
    # Sent before it: the answer counts only if it is certainly newer.
    (PROCESSING_2, -1, status("Processing", 1), 9, None), (PROCESSING_2, -1, status("Pending", 0), 9, None),
    (PROCESSING_2, -1, status("Processing", 3), 9, status("Processing", 3)),
    (PROCESSING_2, -1, status("Processing", 2), 9, PROCESSING_2), (PROCESSING_2, -1, COMPLETED_3, 9, COMPLETED_3),
    # The device must be asked: only an answer sent after that counts, or an end.
    (PROCESSING_2, 12, status("Processing", 3), 11, None), (PROCESSING_2, 12, COMPLETED_3, 11, COMPLETED_3),
    # A finished job stays finished.
    (COMPLETED_3, -1, PROCESSING_2, 20, None), (COMPLETED_3, -1, status("Completed", 4), 20, status("Completed", 4)),
    (COMPLETED_3, -1, status("Aborted", 3), 9, None),
])
def test_the_status_after_an_answer(known, needed, answer, sent, after):
    found = after_answer(record(known, needed=needed), answer, sent, 200.0)
    assert (None if found is None else found.status) == after


def test_an_answer_without_news_leaves_the_record_unchanged():
    known = record(status("Processing", 2, created="2026-11-22T10:00:00Z"))
    assert after_answer(known, status("Processing"), 9, 200.0) is known


@pytest.mark.parametrize(("sent", "sent_at", "as_of", "confirmed"), [
    (15, 200.0, 15, 200.0), (9, 200.0, 10, 200.0), (9, 50.0, 10, 100.0)])
def test_an_end_counts_from_the_later_of_the_two(sent, sent_at, as_of, confirmed):
    found = after_answer(record(PROCESSING_2), COMPLETED_3, sent, sent_at)
    assert (found.as_of, found.confirmed) == (as_of, confirmed)


def test_a_newer_status_from_before_the_known_one_confirms_nothing():
    found = after_answer(record(PROCESSING_2), status("Processing", 3), 9, 200.0)
    assert (found.as_of, found.confirmed) == (10, 100.0)


def test_documents_are_kept_when_the_job_has_ended_and_tickets_at_once():
    extras = (("ScanTicket", "<t/>"), ("Documents", "<d/>"))
    assert with_extras(record(PROCESSING_2), extras, 20).extras == extras[:1]
    assert with_extras(record(COMPLETED_3), extras, 9).extras == extras[:1]
    assert with_extras(record(COMPLETED_3), extras, 10).extras == extras


def test_extras_are_limited_in_size_and_replace_earlier_ones():
    known = attrs.evolve(record(COMPLETED_3), extras=(("ScanTicket", "<t/>"), ("Documents", "<d/>")))
    large = "<d>" + "x" * MAX_EXTRA + "</d>"
    assert with_extras(known, (("ScanTicket", large), ("Documents", "<e/>")), 20).extras == (
        ("ScanTicket", "<t/>"), ("Documents", "<e/>"))
