"""Tests of escl.scannerstatus, escl.jobinfo and escl.scanimageinfo: states, jobs and pages."""

import pytest

from tests.escl.test_scansettings import document
from wsdgateway.escl.jobinfo import JobInfo
from wsdgateway.escl.reading import PWG, SCAN, Unreadable
from wsdgateway.escl.scanimageinfo import ScanImageInfo
from wsdgateway.escl.scannerstatus import ADF_LOADED, MAX_JOBS, ScannerStatus

JOB = JobInfo("/eSCL/ScanJobs/1", "Processing", "0f1e", 5, 2, 1, 3, ("JobScanning", "JobTransferring"))


def test_a_written_status_is_read_back():
    status = ScannerStatus("Processing", ADF_LOADED, (JOB, JobInfo("/eSCL/ScanJobs/2", "Aborted")))
    assert ScannerStatus.read(status.write()) == status
    assert ScannerStatus("Idle").write().split(b"\n")[1] == (
        f'<scan:ScannerStatus xmlns:scan="{SCAN}" xmlns:pwg="{PWG}"><pwg:Version>2.63</pwg:Version><pwg:State>Idle'
        "</pwg:State></scan:ScannerStatus>").encode()


def test_jobs_are_written_in_the_order_of_devices_and_bounded():
    text = ScannerStatus("Idle", None, (JOB,) * 20).write().decode()
    assert text.count("<scan:JobInfo>") == MAX_JOBS
    assert ("<scan:JobInfo><pwg:JobUri>/eSCL/ScanJobs/1</pwg:JobUri><pwg:JobUuid>0f1e</pwg:JobUuid>"
            "<scan:Age>5</scan:Age><pwg:ImagesCompleted>2</pwg:ImagesCompleted><pwg:ImagesToTransfer>1</pwg:ImagesToTransfer>"
            "<scan:TransferRetryCount>3</scan:TransferRetryCount><pwg:JobState>Processing</pwg:JobState>"
            "<pwg:JobStateReasons><pwg:JobStateReason>JobScanning</pwg:JobStateReason>") in text


def test_jobs_without_address_or_state_are_left_out():
    found = ScannerStatus.read(document(
        "<scan:Jobs><scan:JobInfo/><scan:JobInfo><pwg:JobUri>/a</pwg:JobUri></scan:JobInfo><scan:JobInfo>"
        "<pwg:JobState>Completed</pwg:JobState><pwg:JobUri>/b</pwg:JobUri><scan:Age>-5</scan:Age></scan:JobInfo>"
        "</scan:Jobs><scan:State>Idle</scan:State>", "scan:ScannerStatus"))
    assert found == ScannerStatus("Idle", None, (JobInfo("/b", "Completed"),))
    assert ScannerStatus.read(document("", "scan:ScannerStatus")) == ScannerStatus("")


def test_image_information():
    info = ScanImageInfo("/eSCL/ScanJobs/1", 2480, 3508, 7440, "0f1e")
    assert ScanImageInfo.read(info.write()) == info
    assert ScanImageInfo.read(document("", "scan:ScanImageInfo")) == ScanImageInfo("", 0, 0)
    assert b"<pwg:JobUri>/eSCL/ScanJobs/1</pwg:JobUri><pwg:JobUuid>0f1e</pwg:JobUuid><scan:ActualWidth>" in info.write()


@pytest.mark.parametrize("read", [ScannerStatus.read, ScanImageInfo.read])
def test_another_document_is_unreadable(read):
    with pytest.raises(Unreadable, match="the root element must be"):
        read(document(""))
