"""Tests of bridge.scanjobs.ownjob: after a crash, only the job that the gateway had created is canceled."""

from datetime import UTC, datetime

import pytest

from wsdgateway.bridge.scanjobs.ownjob import CREATED_SECONDS, OwnJob, is_still_active
from wsdgateway.scan.jobstatus import JobStatus

CREATED = "2026-11-22T10:00:00Z"
AT = datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()


def status(**more):
    return JobStatus(**{"job_id": "7", "state": "Processing", "created": CREATED, **more})


@pytest.mark.parametrize("job", [OwnJob("a", "b", "7", CREATED), OwnJob("a", "b", "7", answered=AT)])
@pytest.mark.parametrize(("answer", "active"), [
    (status(), True), (status(state="Pending"), True), (status(created="2026-11-22T11:00:00+01:00"), True),
    (None, False), (status(state="Completed"), False), (status(ended=True), False), (status(job_id="8"), False),
    (status(created=None), False), (status(created="2026-11-22T09:00:00Z"), False), (status(created="noon"), False)])
def test_the_very_job_must_be_active(job, answer, active):
    assert is_still_active(job, answer) is active


@pytest.mark.parametrize(("after", "active"), [
    (-CREATED_SECONDS, True), (CREATED_SECONDS, True), (CREATED_SECONDS + 1, False), (-CREATED_SECONDS - 1, False)])
def test_without_its_created_time_it_must_be_as_old(after, active):
    assert is_still_active(OwnJob("a", "b", "7", answered=AT - after), status()) is active


def test_a_time_without_a_zone_proves_nothing():
    assert not is_still_active(OwnJob("a", "b", "7", answered=AT), status(created="2026-11-22T10:00:00"))


def test_nothing_known_proves_nothing():
    assert not is_still_active(OwnJob("a", "b", "7"), status())
