"""Tests of bridge.frontends.escl.status: the state, the feeder and the jobs that one client sees."""

import attrs
import pytest

from wsdgateway.bridge.frontends.escl.status import (
    EMPTY_SHOWN,
    ClientJob,
    adf_state_of,
    feeder_condition,
    is_silent,
    job_info_of,
    job_state_of,
    state_of,
    status_of,
)
from wsdgateway.escl.jobinfo import JobInfo
from wsdgateway.escl.scannerstatus import ScannerStatus as EsclStatus
from wsdgateway.scan.scannerstatus import DeviceCondition, ScannerStatus

IDLE, BUSY, STOPPED = (ScannerStatus(state) for state in ("Idle", "Processing", "Stopped"))
LOADED, EMPTY, JAM = "ScannerAdfLoaded", "ScannerAdfEmpty", "ScannerAdfJam"
JOB = ClientJob("/eSCL/ScanJobs/1", "0f1e", "Processing", True)


def stopped(*conditions, state="Stopped", reasons=()):
    return ScannerStatus(state, reasons, tuple(DeviceCondition(name, None, "", component)
                                               for name, component in conditions))


@pytest.mark.parametrize(("wsd", "escl"), [
    ("Creating", "Pending"), ("Pending", "Pending"), ("Held", "Pending"), ("Started", "Processing"),
    ("Processing", "Processing"), ("Terminating", "Processing"), ("Completed", "Completed"), ("Canceled", "Canceled"),
    ("Aborted", "Aborted"), ("Vendor", "Processing")])
def test_states_of_jobs(wsd, escl):
    assert job_state_of(wsd) == escl


@pytest.mark.parametrize(("changes", "state", "reason"), [
    ({"state": "Pending"}, "Pending", "JobQueued"), ({}, "Processing", "JobScanning"),
    ({"waiting": 2}, "Processing", "JobScanningAndTransferring"),
    ({"state": "Completed", "waiting": 1}, "Processing", "JobTransferring"),
    ({"state": "Completed"}, "Completed", "JobCompletedSuccessfully"),
    ({"state": "Aborted", "waiting": 1}, "Processing", "JobTransferring"),
    ({"state": "Aborted"}, "Aborted", "AbortedBySystem"),
    ({"state": "Aborted", "fault": "ClientErrorNoImagesAvailable"}, "Aborted", "ResourcesAreNotReady"),
    ({"state": "Aborted", "fault": "ClientErrorJobIdNotFound", "drained": True}, "Aborted", "ResourcesAreNotReady"),
    ({"state": "Canceled"}, "Canceled", "JobCanceledAtDevice"),
    ({"state": "Canceled", "canceled_here": True, "waiting": 3}, "Canceled", "JobCanceledByUser"),
    ({"state": "Terminating"}, "Processing", "JobScanning")])
def test_a_job_ends_when_its_client_has_the_last_page(changes, state, reason):
    job = attrs.evolve(JOB, taken=4, retries=1, age=7, **changes)
    assert job_info_of(job) == JobInfo("/eSCL/ScanJobs/1", state, "0f1e", 7, 4, job.waiting, 1, (reason,))
    assert job.is_active == (state in ("Pending", "Processing"))


DONE = attrs.evolve(JOB, state="Completed", taken=1)
SPOOLED = attrs.evolve(JOB, state="Completed", waiting=1)


@pytest.mark.parametrize(("scanner", "jobs", "state"), [
    (IDLE, (), "Idle"), (BUSY, (), "Idle"), (STOPPED, (), "Stopped"), (None, (), "Down"),
    (ScannerStatus(None), (), "Idle"), (ScannerStatus("Vendor"), (), "Idle"),
    (BUSY, (JOB,), "Processing"), (IDLE, (JOB,), "Processing"), (BUSY, (DONE,), "Idle"),
    (BUSY, (DONE, JOB), "Processing"),
    (BUSY, (attrs.evolve(JOB, state="Pending"),), "Processing"), (STOPPED, (JOB,), "Stopped"),
    (None, (JOB,), "Down"),
    (STOPPED, (SPOOLED,), "Processing"), (None, (SPOOLED,), "Processing"), (IDLE, (SPOOLED,), "Processing"),
    (stopped(("Calibrating", "Platen")), (), "Testing"), (stopped(("LampWarming", "Platen")), (JOB,), "Testing"),
    (stopped(reasons=("LampWarming", "Calibrating")), (), "Testing"),
    (stopped(("LampWarming", "Platen"), ("MediaJam", "ADF")), (), "Stopped"),
    (stopped(("LampWarming", "Platen"), state="Idle"), (), "Idle")])
def test_states(scanner, jobs, state):
    assert state_of(scanner, jobs) == state


@pytest.mark.parametrize(("scanner", "state"), [
    (IDLE, None), (stopped(("InputTrayEmpty", "ADF")), EMPTY), (stopped(("InputTrayEmpty", "MediaPath")), EMPTY),
    (stopped(("MediaJam", "ADF")), JAM), (stopped(("MediaJam", "MediaPath")), JAM),
    (stopped(("MultipleFeedError", "ADF")), "ScannerAdfMultipickDetected"),
    (stopped(("CoverOpen", "ADF")), "ScannerAdfHatchOpen"), (stopped(("InterlockOpen", "ADF")), "ScannerAdfHatchOpen"),
    (stopped(("CoverOpen", "Platen")), None), (stopped(("CoverOpen", "")), None), (stopped(("MediaJam", "")), JAM),
    (stopped(("MediaJam", "Platen")), None), (stopped(("MediaJam", "Platen"), reasons=("MediaJam",)), None),
    (stopped(reasons=("MediaJam",)), JAM), (stopped(reasons=("InputTrayEmpty",)), EMPTY),
    (stopped(reasons=("CoverOpen",)), None), (stopped(("LampError", "ADF"), ("Vendor", "ADF")), None),
    (stopped(("InputTrayEmpty", "ADF"), ("MediaJam", "ADF")), JAM),
    (stopped(("InputTrayEmpty", "ADF"), state="Idle"), EMPTY)])
def test_conditions_of_the_feeder(scanner, state):
    assert feeder_condition(scanner) == state
    assert adf_state_of(scanner, ()) == (state or LOADED)


RAN_OUT = attrs.evolve(DONE, drained=True)
NOTHING = attrs.evolve(JOB, state="Aborted", fault="ClientErrorNoImagesAvailable")
EMPTIED = stopped(("InputTrayEmpty", "ADF"), state="Idle")
JAMMED = stopped(("MediaJam", "ADF"))


@pytest.mark.parametrize(("scanner", "jobs", "state"), [
    (IDLE, (), LOADED), (None, (), LOADED), (IDLE, (JOB,), LOADED), (EMPTIED, (), EMPTY), (EMPTIED, (JOB,), LOADED),
    (EMPTIED, (SPOOLED,), LOADED), (JAMMED, (SPOOLED,), LOADED), (JAMMED, (JOB,), JAM), (JAMMED, (DONE,), JAM),
    (EMPTIED, (DONE,), EMPTY), (EMPTIED, (attrs.evolve(JOB, feeder=False),), EMPTY),
    (IDLE, (DONE,), LOADED), (IDLE, (RAN_OUT,), EMPTY), (IDLE, (NOTHING,), EMPTY), (None, (RAN_OUT,), EMPTY),
    (IDLE, (attrs.evolve(RAN_OUT, age=EMPTY_SHOWN - 1),), EMPTY),
    (IDLE, (attrs.evolve(RAN_OUT, age=EMPTY_SHOWN),), LOADED),
    (IDLE, (attrs.evolve(RAN_OUT, waiting=1),), LOADED), (IDLE, (JOB, RAN_OUT), LOADED),
    (IDLE, (attrs.evolve(DONE, feeder=False), RAN_OUT), EMPTY), (IDLE, (attrs.evolve(RAN_OUT, feeder=False),), LOADED),
    (IDLE, (attrs.evolve(RAN_OUT, state="Canceled"),), EMPTY)])
def test_the_feeder_as_one_client_sees_it(scanner, jobs, state):
    assert adf_state_of(scanner, jobs) == state


@pytest.mark.parametrize(("scanner", "jobs", "age", "state"), [
    (IDLE, (), 0.0, EMPTY), (IDLE, (), EMPTY_SHOWN - 0.1, EMPTY), (IDLE, (), EMPTY_SHOWN, LOADED),
    (IDLE, (DONE,), 1.0, EMPTY), (IDLE, (JOB,), 1.0, LOADED), (IDLE, (SPOOLED,), 1.0, LOADED), (JAMMED, (), 1.0, JAM),
    (IDLE, (attrs.evolve(RAN_OUT, age=EMPTY_SHOWN),), 1.0, EMPTY), (IDLE, (RAN_OUT,), 100.0, EMPTY)])
def test_a_job_that_was_refused_because_the_feeder_is_empty(scanner, jobs, age, state):
    assert adf_state_of(scanner, jobs, age) == state
    assert status_of(scanner, jobs, has_feeder=True, refused_age=age).adf_state == state


def test_a_status_lists_the_clients_jobs_and_a_feeder_only_if_there_is_one():
    assert status_of(BUSY, (JOB, DONE), has_feeder=True) == EsclStatus(
        "Processing", LOADED, (job_info_of(JOB), job_info_of(DONE)))
    assert status_of(STOPPED, (), has_feeder=False) == EsclStatus("Stopped")
    assert status_of(None, (), has_feeder=True) == EsclStatus("Down", LOADED)


@pytest.mark.parametrize(("asked", "received", "now", "silent"), [
    (None, 0.0, 99.0, False), (10.0, 5.0, 13.9, False), (10.0, 5.0, 14.0, True), (10.0, 10.0, 14.0, True),
    (10.0, 10.1, 99.0, False)])
def test_a_scanner_that_does_not_answer(asked, received, now, silent):
    assert is_silent(asked, received, now) is silent
