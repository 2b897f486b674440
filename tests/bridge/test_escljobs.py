"""Tests of bridge.escljobs: the end of a job as the answer of ScanJobs or NextDocument, and a job as JobInfo."""

import pytest

from wsdgateway.bridge.escljobs import client_job, creation_outcome, end_outcome
from wsdgateway.bridge.scanjobs.scanjob import FINISHED, End, Order, Page, Phase, Reason, ScanJob
from wsdgateway.escl.scannerstatus import ADF_EMPTY, ADF_JAM
from wsdgateway.scan.jobs import CreatedJob


def job(*, feeder=True, images=0, created=True, **more):
    made = ScanJob("j1", Order((), images, feeder, "192.0.2.7"), 10.0, **more)
    made.created = CreatedJob("5", None) if created else None
    return made


@pytest.mark.parametrize(("end", "status"), [
    (End(Reason.BUSY, "ServerErrorNotAcceptingJobs"), 503), (End(Reason.BUSY, "ServerErrorTemporaryError"), 503),
    (End(Reason.BUSY, "HTTP 503"), 503), (End(Reason.UNREACHABLE, "ServerErrorTemporaryError"), 503),
    (End(Reason.FEEDER_EMPTY, "ClientErrorNoImagesAvailable"), 409),
    (End(Reason.FEEDER_EMPTY, "ServerErrorNotAcceptingJobs"), 409),
    (End(Reason.REFUSED, "ClientErrorNoImagesAvailable"), 409),
    (End(Reason.REFUSED, "ClientErrorFormatNotSupported"), 409),
    (End(Reason.REFUSED, "ServerErrorInternalError"), 500), (End(Reason.STOPPING), 503),
    (End(Reason.HANDED_OVER), 503)])
def test_a_job_that_was_not_created(end, status):
    outcome = creation_outcome(end)
    assert outcome.status == status
    assert (outcome.retry_after is not None) is (status == 503)
    assert outcome.adf_state == (ADF_EMPTY if end.reason is Reason.FEEDER_EMPTY else None)


@pytest.mark.parametrize(("end", "status"), [
    (FINISHED, 404), (End(Reason.FEEDER_EMPTY, "ClientErrorNoImagesAvailable"), 404),
    (End(Reason.CANCELED_BY_CLIENT), 410), (End(Reason.CANCELED_AT_DEVICE, "ClientErrorJobCancelled"), 410),
    (End(Reason.CLIENT_GONE), 410), (End(Reason.STOPPING), 410), (End(Reason.HANDED_OVER), 410),
    (End(Reason.STOPPED_AT_DEVICE, "x"), 409),
    (End(Reason.FAILED, "ServerErrorInternalError"), 500), (End(Reason.FAILED, "ServerErrorTemporaryError"), 500),
    (End(Reason.BROKEN_OFF, "ServerErrorInternalError"), 500), (End(Reason.SPOOL_FULL), 500),
    (End(Reason.TOO_LARGE), 500), (End(Reason.UNREACHABLE, "ServerErrorTemporaryError"), 500)])
def test_the_end_of_a_job_for_its_client(end, status):
    assert end_outcome(job(), end, None).status == status


def test_a_jam_is_told_as_a_conflict():
    assert end_outcome(job(), End(Reason.FAILED, "ServerErrorInternalError"), ADF_JAM).status == 409


@pytest.mark.parametrize(("end", "status"), [
    (End(Reason.BUSY, "ServerErrorNotAcceptingJobs"), 410), (End(Reason.UNREACHABLE), 410),
    (End(Reason.FEEDER_EMPTY, "ServerErrorNotAcceptingJobs"), 404),
    (End(Reason.REFUSED, "ClientErrorFormatNotSupported"), 409), (End(Reason.REFUSED, "x"), 500)])
def test_a_job_that_waited_and_was_never_created(end, status):
    assert end_outcome(job(created=False), end, None).status == status


def test_a_job_with_pages_that_wait():
    found = client_job(job(phase=Phase.RETRIEVING, scanned=3, fetched=2, pages=[
        Page(2, 10, 10, complete=True, sent=True), Page(3, 10, 10, complete=True), Page(4)]), "/eSCL/ScanJobs/j1", 14.9)
    assert (found.uri, found.uuid, found.state, found.age) == ("/eSCL/ScanJobs/j1", "j1", "Processing", 4)
    assert (found.taken, found.waiting, found.drained) == (2, 1, False)


def test_pages_that_were_never_fetched_are_not_counted_as_completed():
    found = client_job(job(phase=Phase.OVER, end=End(Reason.CANCELED_BY_CLIENT), scanned=3, fetched=1), "x", 10.0)
    assert (found.taken, found.waiting) == (1, 0)


@pytest.mark.parametrize(("end", "images", "scanned", "drained"), [
    (FINISHED, 0, 3, True), (FINISHED, 3, 3, False), (FINISHED, 5, 3, True), (End(Reason.FEEDER_EMPTY), 0, 0, True),
    (End(Reason.CANCELED_BY_CLIENT), 0, 1, False)])
def test_whether_the_feeder_is_empty_afterwards(end, images, scanned, drained):
    found = client_job(job(phase=Phase.OVER, end=end, images=images, scanned=scanned), "x", 10.0)
    assert found.drained is drained
    assert not client_job(job(feeder=False, phase=Phase.OVER, end=end, images=1, scanned=1), "x", 10.0).drained
