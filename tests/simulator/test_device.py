"""Tests of simulator.device: tickets, jobs, operations and faults of the virtual scanner, without a network."""

import re

import pytest
from lxml import etree
from twisted.internet.task import Clock

from tests.messages import SCAN, create_scan_job, envelope, get_job_elements
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.scan.jobstatus import read_summaries
from wsdgateway.simulator.device import Page, VirtualDevice
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused


class FakeSubscribers:
    """Replaces the subscribers, and keeps the events that they would get."""

    def __init__(self):
        self.events = []
        self.held = {}

    def publish(self, event, body):
        self.events.append((event, body))

    def has_token(self, token):
        return token == "good"

    def forget(self):
        """Does nothing, since there are no subscriptions."""


class Scanner:
    def __init__(self, **settings):
        self.clock, self.subscribers = Clock(), FakeSubscribers()
        self.device = VirtualDevice(
            Settings(**settings), self.subscribers, later=self.clock.callLater, wall=lambda: 1e9)

    def do(self, name, content=""):
        body = read(envelope(f"{SCAN}/{name}", f"<wscn:{name}Request>{content}</wscn:{name}Request>")).body
        result = self.device.operate(name, body)
        if isinstance(result, Page):
            return result
        return read(envelope("x", result)).body

    def fault(self, name, content=""):
        with pytest.raises(Refused) as caught:
            self.do(name, content)
        return caught.value.fault.subcode.partition(":")[2]

    def create(self, source="Platen", more=""):
        ticket = (f"{more}<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>n</wscn:JobName></wscn:JobDescription>"
                  f"<wscn:DocumentParameters><wscn:InputSource>{source}</wscn:InputSource></wscn:DocumentParameters>"
                  "</wscn:ScanTicket>")
        return read_created(self.do("CreateScanJob", ticket))

    def retrieve(self, job):
        page = self.do("RetrieveImage", named(job, job.job_token))
        self.device.page_sent(page.job)
        return page.number

    def state(self, job):
        result = self.device.operate("GetJobElements", read(get_job_elements(job.job_id)).body)
        status = read_response(read(envelope("x", result)).body).status
        return status.state, status.scans_completed, status.reasons[0]


def named(job, token=None):
    token = f"<wscn:JobToken>{token}</wscn:JobToken>" if token else ""
    return f"<wscn:JobId>{job.job_id}</wscn:JobId>{token}"


def test_a_page_from_the_platen():
    scanner = Scanner()
    job = scanner.create()
    assert scanner.state(job) == ("Pending", 0, "None")
    assert scanner.retrieve(job) == 1
    assert scanner.state(job) == ("Completed", 1, "None")
    assert scanner.fault("RetrieveImage", named(job, job.job_token)) == "ClientErrorNoImagesAvailable"
    states = [re.search("Job(?:Completed)?State>([^<]+)<", body)[1] for _, body in scanner.subscribers.events]
    assert states == ["Pending", "Started", "Processing", "Completed", "Completed"]
    assert scanner.subscribers.events[-1][0] == "JobEndStateEvent"


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


def test_cancel_jam_and_a_broken_page():
    scanner = Scanner()
    job = scanner.create()
    scanner.do("CancelJob", named(job))
    assert scanner.state(job)[0] == "Canceled"
    scanner.do("CancelJob", named(job))
    job = scanner.create()
    scanner.do("RetrieveImage", named(job, job.job_token))
    assert scanner.fault("RetrieveImage", named(job, job.job_token)) == "ServerErrorNotAcceptingJobs"
    scanner.device.page_broken(scanner.device.jobs.get(job.job_id))
    assert scanner.state(job) == ("Aborted", 0, "ImageTransferError")
    job = scanner.create()
    scanner.device.jam()
    assert scanner.state(job) == ("Aborted", 0, "ScannerStopped")
    with pytest.raises(Refused):
        scanner.create()


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
