"""Tests of cli.scan.jobwatch: a job's status is polled while its images arrive."""

import threading

from wsdgateway.cli.scan.jobwatch import MAX_FAILURES, JobWatch
from wsdgateway.cli.scan.outcomes import ScanError
from wsdgateway.cli.scan.scanner import ScannerRefusal
from wsdgateway.scan.jobstatus import JobStatus


def test_a_job_is_watched_until_it_is_final():
    answers = [OSError(), None, JobStatus("1", "Processing"), ScanError("x"), JobStatus("1", "Completed")]
    received, done = [], threading.Event()

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(status):
        received.append(status.state)
        if status.final:
            done.set()

    with JobWatch(ask, tell, interval=0.001):
        assert done.wait(10)
    assert received == ["Processing", "Completed"]
    assert answers == []


def test_polling_ends_after_several_failures_and_a_late_status_is_ignored():
    asked, enough = [], threading.Event()

    def refuse():
        asked.append(1)
        if len(asked) == MAX_FAILURES:
            enough.set()
        raise ScannerRefusal("ActionNotSupported", "")

    watch = JobWatch(refuse, asked.append, interval=0.001)
    with watch:
        assert enough.wait(10)
        watch.join(10)
    assert len(asked) == MAX_FAILURES

    asking, answer, received = threading.Event(), threading.Event(), []

    def late():
        asking.set()
        answer.wait(10)
        return JobStatus("1", "Completed")

    watch = JobWatch(late, received.append, interval=0.001)
    with watch:
        assert asking.wait(10)
    answer.set()
    watch.join(10)
    assert received == []
