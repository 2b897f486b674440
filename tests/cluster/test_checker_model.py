"""The checker of reads beside the promise itself, written down pair by pair, on random histories."""

from hypothesis import given
from hypothesis import strategies as st

from tests.cluster.checker import check
from tests.cluster.history import TERMINATING, Announcement, Answer, Delivery, History, Status

STATES = ("Pending", "Processing", "Terminating", "Completed", "Aborted")
MADE = "2026-11-22T10:00:00Z"
MOMENTS = st.integers(0, 20)
SPANS = st.tuples(MOMENTS, st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
STATUSES = st.builds(Status, job_id=st.just("1"), state=st.sampled_from(STATES), scans=st.integers(0, 2),
                     created=st.just(MADE))
READS = st.builds(lambda span, gateway, status: Answer(*span, gateway, "GetJobElements", "1", status),
                  SPANS, st.sampled_from("ab"), STATUSES)
CANCELS = st.builds(lambda span, fault: Answer(*span, "a", "CancelJob", "1", fault=fault),
                    SPANS, st.sampled_from((None, "ServerErrorTemporaryError")))
ANNOUNCEMENTS = st.builds(lambda span, status, is_taken: Announcement(
    span[0], span[1] if is_taken else None, "a", "JobStatusEvent", status), SPANS, STATUSES, st.booleans())
DELIVERIES = st.builds(lambda at, status: Delivery(at, "s", "JobStatusEvent", "urn:1", status), MOMENTS, STATUSES)
HISTORIES = st.builds(
    lambda reads, cancels, announcements, deliveries: History(
        (*reads, *cancels), tuple(announcements), deliveries=tuple(deliveries)),
    st.lists(READS, min_size=1, max_size=8), st.lists(CANCELS, max_size=2), st.lists(ANNOUNCEMENTS, max_size=3),
    st.lists(DELIVERIES, max_size=2))


def is_broken(history):
    """Whether a read returned what it must not: the promise, word by word."""
    reads = [one for one in history.answers if one.operation == "GetJobElements"]
    shown = [(one.end, one.status) for one in reads]
    shown += [(one.end, one.status) for one in history.announcements if one.end is not None]
    shown += [(one.at, one.status) for one in history.deliveries]
    canceled = [one.end for one in history.answers if one.operation == "CancelJob" and one.fault is None]
    for read in reads:
        earlier = [status for end, status in shown if end < read.begin]
        if any(read.status.rank < status.rank for status in earlier):
            return True
        if any(status.is_final and status.state != read.status.state for status in earlier):
            return True
        if read.status.rank[0] < TERMINATING and any(end < read.begin for end in canceled):
            return True
    return False


@given(HISTORIES)
def test_the_checker_finds_what_the_promise_forbids_and_nothing_else(history):
    found = {violation.partition(":")[0] for violation in check(history).violations}
    # The states that the scanner never told, and MessageIDs, are not the subject here.
    reads = found & {"older", "final to active", "final changed", "before CancelJob"}
    assert bool(reads) == is_broken(history), (reads, history)
