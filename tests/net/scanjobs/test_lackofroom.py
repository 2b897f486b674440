"""Tests of net.scanjobs.lackofroom: jobs for which there was no room are logged, with what to do, and not too often."""

import pytest

from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import End, Order, Page, Reason, ScanJob
from wsdgateway.net.scanjobs.lackofroom import LackOfRoom
from wsdgateway.net.transport.logthrottle import QUIET_SECONDS


def job(reason, client="192.0.2.7"):
    return ScanJob("j", Order((), 1, False, client), 0.0, end=None if reason is None else End(reason))


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def lack(now):
    room = Room(1000, 500)
    room.add(Page(1, client="192.0.2.7"), 400)
    return LackOfRoom("front-desk", room, lambda: now[0])


def test_the_line_says_what_to_do(lack, said):
    lack.note(job(Reason.SPOOL_FULL))
    assert said == [
        "front-desk: a job of 192.0.2.7 was canceled, because there was no room in the spool for its next page for "
        "50 s. The spool holds 1000 bytes, at most 500 of one client; those of this client use 400. Pages stay until "
        "clients have fetched them; give a larger [escl] spool_size if that happens often (logged at most once a "
        "minute)"]


def test_each_reason_and_client_is_logged_once_a_minute(lack, said, now):
    one = job(Reason.TOO_LARGE)
    for _ in range(3):
        lack.note(one)
        lack.note(job(Reason.TOO_LARGE))
    assert len(said) == 1
    lack.note(job(Reason.SPOOL_FULL))
    lack.note(job(Reason.TOO_LARGE, client=""))  # a destination logs it
    assert len(said) == 2
    now[0] = QUIET_SECONDS
    lack.note(job(Reason.TOO_LARGE))
    assert len(said) == 3


@pytest.mark.parametrize("reason", [None, Reason.FINISHED, Reason.SPOOL_FAILED])
def test_other_jobs_are_not_logged(lack, said, reason):
    lack.note(job(reason))
    assert said == []
