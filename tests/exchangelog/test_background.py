"""Tests of exchangelog.background: jobs in a thread, their limit, failures, and the stop."""

from tests.exchangelog.disks import Counts
from wsdgateway.exchangelog.background import STOP_SECONDS, Background


def test_with_a_slow_disk_jobs_beyond_the_limit_are_dropped(reactor):
    reactor.pool.held = []
    counts, done = Counts(), []
    background = Background(reactor, "x", counts, most=100)
    assert all(background.put(lambda: done.append(1), 40, 1) for _ in range(2))
    assert not background.put(lambda: done.append(1), 40, 1)
    idle = background.stop()
    assert not idle.called
    reactor.pool.release()
    assert idle.called and len(done) == 2 and counts == {"written": 2, "dropped": 1}


def test_a_stop_waits_for_a_limited_time(reactor):
    reactor.pool.held = []
    counts = Counts()
    background = Background(reactor, "x", counts)
    for _ in range(5):
        background.put(lambda: None, 1, 1)
    stopped = background.stop()
    reactor.advance(STOP_SECONDS)
    assert not stopped.called and counts == {"dropped": 4}  # the first is running in the thread
    reactor.pool.release()
    assert stopped.called and counts == {"dropped": 4, "written": 1}


def test_a_failed_job_does_not_affect_the_others(reactor):
    reactor.pool.held = []
    counts, done = Counts(), []
    background = Background(reactor, "x", counts)

    def fail():
        raise OSError(28, "No space left on device")

    for job in (lambda: None, lambda: done.append(1), fail, lambda: done.append(2)):
        background.put(job, 1, 1)
    reactor.pool.release()
    assert done == [1, 2] and counts == {"written": 3, "dropped": 1}
