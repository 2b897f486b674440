"""Tests of simulator.device: what trouble does to jobs, to requests and to subscribers."""

import pytest

from tests.simulator.devices import Scanner, named
from wsdgateway.simulator.conditions import COVER_OPEN, KINDS

JAM, WARMING, BUSY = KINDS["jam"], KINDS["lamp-warming"], KINDS["busy"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_of_trouble_refuses_jobs_until_it_is_cleared(kind):
    scanner = Scanner()
    scanner.device.begin(kind)
    assert scanner.refused() == scanner.refused("ADF") == "ServerErrorNotAcceptingJobs"
    scanner.device.clear(kind)
    assert scanner.create("ADF").job_id == "1"


@pytest.mark.parametrize(("setting", "kind", "fault"), [
    ("ServerErrorTemporaryError", BUSY, "ServerErrorTemporaryError"), ("OperationFailed", JAM, "OperationFailed"),
    ("reason", WARMING, "LampWarming"), ("reason", BUSY, "ServerErrorNotAcceptingJobs")])
def test_the_fault_that_refuses_jobs_can_be_chosen(setting, kind, fault):
    scanner = Scanner(busy_fault=setting)
    scanner.device.begin(kind)
    assert scanner.refused() == fault


def test_an_empty_feeder_refuses_its_jobs_only():
    scanner = Scanner(feeder_pages=0)
    assert scanner.refused("ADF") == scanner.refused("ADFDuplex") == "ClientErrorNoImagesAvailable"
    assert scanner.retrieve(scanner.create()) == 1


def test_the_feeder_reports_that_it_is_empty_and_filled_again():
    scanner = Scanner(feeder_pages=1, refill=False)
    scanner.retrieve(scanner.create("ADF"))
    assert ("ScannerStatusCondition", "InputTrayEmpty") in scanner.told
    scanner.device.feeder = 0
    assert scanner.told == []
    scanner.device.feeder = 5
    assert scanner.told == [("ScannerStatusConditionCleared", "1")]


def test_a_jam_reports_itself_then_aborts_the_job():
    scanner = Scanner()
    job = scanner.create("ADF")
    scanner.retrieve(job)
    assert scanner.told
    scanner.device.jam()
    assert scanner.told == [("ScannerStatusCondition", "MediaJam"), ("ScannerStatusSummary", "Stopped"),
                            ("JobStatus", "Aborted"), ("JobEndState", "Aborted")]
    assert scanner.state(job) == ("Aborted", 1, "ScannerStopped")
    assert scanner.retrieve(job) == "ClientErrorNoImagesAvailable"
    scanner.device.clear()
    assert scanner.told == [("ScannerStatusConditionCleared", "1"), ("ScannerStatusSummary", "Idle")]


def test_a_jam_during_a_page_refuses_that_page():
    scanner = Scanner()
    job = scanner.create("ADF")
    page = scanner.do("RetrieveImage", named(job, job.job_token))
    scanner.device.jam()
    assert scanner.device.scan_page(page).name == "ClientErrorNoImagesAvailable"


@pytest.mark.parametrize(("setting", "fault"), [
    ("ClientErrorJobIdNotFound", "ClientErrorJobIdNotFound"), ("OperationFailed", "OperationFailed"),
    ("reason", "MediaJam")])
def test_the_fault_that_refuses_pages_of_an_aborted_job_can_be_chosen(setting, fault):
    scanner = Scanner(aborted_fault=setting, jam_after=1)
    job = scanner.create("ADF")
    assert [scanner.retrieve(job) for _ in range(3)] == [1, fault, fault]
    scanner.device.clear()
    job = scanner.create()
    scanner.do("CancelJob", named(job))
    assert scanner.retrieve(job) == "ClientErrorJobCancelled"


@pytest.mark.parametrize("source", ["ADF", "ADFDuplex"])
def test_the_feeder_jams_once_at_the_page_after_the_given_one(source):
    scanner = Scanner(jam_after=2, feeder_pages=5)
    assert scanner.retrieve(scanner.create()) == 1  # the platen does not count
    job = scanner.create(source)
    assert [scanner.retrieve(job) for _ in range(3)] == [1, 2, "ClientErrorNoImagesAvailable"]
    assert scanner.state(job) == ("Aborted", 2, "ScannerStopped")
    assert scanner.device.jammed
    scanner.device.clear()
    job = scanner.create(source)
    assert [scanner.retrieve(job) for _ in range(3)] == [1, 2, 3]


def test_a_feeder_that_is_empty_before_the_jam_does_not_jam():
    scanner = Scanner(jam_after=3, feeder_pages=3)
    job = scanner.create("ADF")
    assert [scanner.retrieve(job) for _ in range(4)] == [1, 2, 3, "ClientErrorNoImagesAvailable"]
    assert scanner.state(job) == ("Completed", 3, "None")
    assert not scanner.device.jammed


def test_a_job_waits_for_the_end_of_a_jam_and_continues():
    scanner = Scanner(stopped_jobs="wait", jam_after=1)
    job = scanner.create("ADF")
    assert [scanner.retrieve(job) for _ in range(3)] == [1, "ServerErrorTemporaryError", "ServerErrorTemporaryError"]
    assert scanner.state(job) == ("Processing", 1, "ScannerStopped")
    scanner.device.begin(COVER_OPEN)
    scanner.device.clear(JAM)
    assert scanner.state(job) == ("Processing", 1, "ScannerStopped")  # the cover is still open
    scanner.device.clear()
    assert scanner.state(job) == ("Processing", 1, "JobTransferring")
    assert [scanner.retrieve(job) for _ in range(2)] == [2, 3]
    assert scanner.state(job) == ("Completed", 3, "None")


def test_a_page_that_is_being_sent_is_sent_to_its_end_before_the_job_waits():
    scanner = Scanner(stopped_jobs="wait")
    job = scanner.create("ADF")
    page = scanner.do("RetrieveImage", named(job, job.job_token))
    assert scanner.device.scan_page(page) is None
    scanner.device.jam()
    scanner.device.page_sent(page.job)
    assert scanner.state(job) == ("Processing", 1, "ScannerStopped")


def test_a_job_that_waits_without_a_request_times_out():
    scanner = Scanner(stopped_jobs="wait", job_timeout=60.0)
    job = scanner.create()
    scanner.device.jam()
    assert scanner.state(job) == ("Pending", 0, "ScannerStopped")
    scanner.clock.advance(50)
    assert scanner.retrieve(job) == "ServerErrorTemporaryError"
    scanner.clock.advance(59)
    assert scanner.state(job)[0] == "Pending"
    scanner.clock.advance(1)
    assert scanner.state(job) == ("Aborted", 0, "JobTimedOut")


def test_the_lamp_warms_up_after_the_start_and_a_running_job_waits_for_it():
    scanner = Scanner(warm_up_seconds=15.0)
    scanner.device.switched_on()
    assert scanner.told == [("ScannerStatusCondition", "LampWarming"), ("ScannerStatusSummary", "Processing")]
    assert scanner.refused() == "ServerErrorNotAcceptingJobs"
    scanner.clock.advance(15)
    assert scanner.told == [("ScannerStatusConditionCleared", "1"), ("ScannerStatusSummary", "Idle")]
    job = scanner.create()
    scanner.device.begin(WARMING, 5.0)
    assert scanner.retrieve(job) == "ServerErrorTemporaryError"
    scanner.clock.advance(5)
    assert scanner.retrieve(job) == 1


def test_another_clients_job_lets_a_running_job_continue():
    scanner = Scanner()
    job = scanner.create()
    scanner.device.begin(BUSY)
    assert scanner.retrieve(job) == 1
    assert scanner.refused() == "ServerErrorNotAcceptingJobs"


def test_a_reboot_ends_all_trouble_and_leaves_no_timer():
    scanner = Scanner(warm_up_seconds=15.0, feeder_pages=0)
    scanner.device.switched_on()
    scanner.device.jam()
    scanner.device.forget()
    assert scanner.clock.getDelayedCalls() == []
    assert scanner.device.status.current == ("Idle", ("None",))
    assert [one.kind.reason for one in scanner.device.status.conditions.active()] == ["InputTrayEmpty"]
    scanner.device.switched_on()
    assert scanner.device.status.current == ("Processing", ("LampWarming",))
