"""Tests of simulator.device: tickets, jobs, operations and faults of the virtual scanner, without a network."""

import pytest
from lxml import etree

from tests.messages import create_scan_job
from tests.simulator.devices import Scanner, named
from wsdgateway.scan.jobstatus import read_summaries
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused


def test_a_page_from_the_platen():
    scanner = Scanner()
    job = scanner.create()
    assert scanner.state(job) == ("Pending", 0, "None")
    assert scanner.retrieve(job) == 1
    assert scanner.state(job) == ("Completed", 1, "None")
    assert scanner.fault("RetrieveImage", named(job, job.job_token)) == "ClientErrorNoImagesAvailable"
    assert scanner.told == [
        ("JobStatus", "Pending"), ("JobStatus", "Started"), ("JobStatus", "Processing"),
        ("ScannerStatusSummary", "Processing"), ("JobStatus", "Completed"), ("JobEndState", "Completed"),
        ("ScannerStatusSummary", "Idle")]


def test_the_feeder_empties_and_is_refilled():
    scanner = Scanner(feeder_pages=3)
    job = scanner.create("ADF")
    assert [scanner.retrieve(job) for _ in range(3)] == [1, 2, 3]
    assert scanner.state(job) == ("Completed", 3, "None")
    assert scanner.device.feeder == 3
    scanner = Scanner(feeder_pages=1, refill=False)
    scanner.retrieve(scanner.create("ADF"))
    with pytest.raises(Refused):
        scanner.create("ADF")


def test_duplex_scans_both_sides_of_each_sheet():
    scanner = Scanner(feeder_pages=2, refill=False)
    job = scanner.create("ADFDuplex")
    assert [scanner.retrieve(job) for _ in range(4)] == [1, 2, 3, 4]
    assert scanner.state(job) == ("Completed", 4, "None")
    assert scanner.device.feeder == 0
    scanner.device.feeder = 2
    job = scanner.create("ADFDuplex</wscn:InputSource><wscn:ImagesToTransfer>3</wscn:ImagesToTransfer>"
                         "<wscn:InputSource>ADFDuplex")
    assert [scanner.retrieve(job) for _ in range(3)] == [1, 2, 3]
    assert scanner.state(job) == ("Completed", 3, "None")
    assert scanner.device.feeder == 0


def test_an_empty_feeder_is_a_condition():
    asked = "<wscn:RequestedElements><wscn:Name>wscn:ScannerStatus</wscn:Name></wscn:RequestedElements>"
    scanner = Scanner()
    assert scanner.do("GetScannerElements", asked).find(".//{*}DeviceCondition") is None
    scanner.device.feeder = 0
    assert scanner.do("GetScannerElements", asked).findtext(".//{*}DeviceCondition/{*}Name") == "InputTrayEmpty"


def test_a_job_whose_images_are_not_fetched_times_out():
    scanner = Scanner(job_timeout=60.0)
    job = scanner.create("ADF")
    scanner.clock.advance(59)
    scanner.retrieve(job)
    scanner.clock.advance(59)
    assert scanner.state(job)[0] == "Processing"
    scanner.clock.advance(1)
    assert scanner.state(job) == ("Aborted", 1, "JobTimedOut")


def test_cancel_and_a_broken_page():
    scanner = Scanner()
    job = scanner.create()
    scanner.do("CancelJob", named(job))
    assert scanner.state(job)[0] == "Canceled"
    assert scanner.fault("RetrieveImage", named(job, job.job_token)) == "ClientErrorJobCancelled"
    scanner.do("CancelJob", named(job))
    job = scanner.create()
    scanner.do("RetrieveImage", named(job, job.job_token))
    assert scanner.fault("RetrieveImage", named(job, job.job_token)) == "ServerErrorNotAcceptingJobs"
    scanner.device.page_broken(scanner.device.jobs.get(job.job_id))
    assert scanner.state(job) == ("Aborted", 0, "ImageTransferError")


@pytest.mark.parametrize(("name", "content", "code"), [
    ("GetJobElements", "<wscn:JobId>9</wscn:JobId>", "ClientErrorJobIdNotFound"),
    ("CancelJob", "<wscn:JobId>9</wscn:JobId>", "ClientErrorJobIdNotFound"),
    ("RetrieveImage", "", "ClientErrorJobIdNotFound"), ("CreateScanJob", "", "InvalidArgs"),
    ("Vendor", "", "ActionNotSupported"),
    ("CreateScanJob", "<wscn:ScanTicket><wscn:DocumentParameters><wscn:Format>xps</wscn:Format>"
     "</wscn:DocumentParameters></wscn:ScanTicket>", "ClientErrorFormatNotSupported"),
    ("CreateScanJob", "<wscn:DestinationToken>bad</wscn:DestinationToken><wscn:ScanTicket/>",
     "ClientErrorInvalidDestinationToken"),
    ("CreateScanJob", "<wscn:ScanIdentifier>bad</wscn:ScanIdentifier><wscn:ScanTicket/>",
     "ClientErrorInvalidScanIdentifier"),
])
def test_faults(name, content, code):
    assert Scanner().fault(name, content) == code


def test_a_wrong_token_and_two_jobs():
    scanner = Scanner()
    job = scanner.create()
    assert scanner.fault("RetrieveImage", named(job, "wrong")) == "ClientErrorInvalidJobToken"
    with pytest.raises(Refused):
        scanner.create()


def test_lists_of_jobs():
    scanner = Scanner()
    first = scanner.create()
    assert [job.job_id for job in read_summaries(scanner.do("GetActiveJobs"), "ActiveJobs")] == [first.job_id]
    scanner.retrieve(first)
    assert read_summaries(scanner.do("GetActiveJobs"), "ActiveJobs") == ()
    assert [job.state for job in read_summaries(scanner.do("GetJobHistory"), "JobHistory")] == ["Completed"]


def test_a_ticket_is_validated():
    body = read(create_scan_job()).body
    content = "".join(etree.tostring(child, encoding="unicode") for child in body)
    answer = Scanner().do("ValidateScanTicket", content)
    assert answer.findtext(".//{*}ValidTicket") == "true"
    assert int(answer.findtext(".//{*}PixelsPerLine")) > 100


def test_elements_are_requested_by_name():
    answer = Scanner().do("GetScannerElements", "<wscn:RequestedElements><wscn:Name>wscn:ScannerStatus</wscn:Name>"
                          "<wscn:Name>wscn:ScannerConfiguration</wscn:Name></wscn:RequestedElements>")
    assert answer.findtext(".//{*}ScannerState") == "Idle"
    assert answer.find(".//{*}ADFSupportsDuplex") is not None
    assert answer.find(".//{*}ScannerDescription") is None
