"""The virtual scanner without a network: tickets, pages, jobs, operations and their faults."""

import re
from io import BytesIO

import attrs
import pytest
from lxml import etree
from PIL import Image
from twisted.internet.task import Clock

from tests.messages import SCAN, create_scan_job, envelope, get_job_elements
from wsdgateway.config.numbers import Number
from wsdgateway.discovery.messages import message_in
from wsdgateway.discovery.writing import write_probe, write_resolve
from wsdgateway.metadata.messages import scan_service_addresses
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.scan.jobstatus import read_summaries
from wsdgateway.simulator.description import metadata
from wsdgateway.simulator.device import Page, VirtualDevice
from wsdgateway.simulator.discovery import VirtualTarget
from wsdgateway.simulator.pages import PageFormat, draw_page
from wsdgateway.simulator.settings import Settings, SettingsError, make_settings, read_settings
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.namespaces import PNPX, WSCN, WSDP, WSX


class Told:
    """Stands in for the subscribers: remembers what they would be told."""

    def __init__(self):
        self.events = []
        self.held = {}

    def publish(self, event, body):
        self.events.append((event, body))

    def has_token(self, token):
        return token == "good"

    def forget(self):
        """Nothing is held."""


class Scanner:
    def __init__(self, **settings):
        self.clock, self.told = Clock(), Told()
        self.device = VirtualDevice(Settings(**settings), self.told, later=self.clock.callLater, wall=lambda: 1e9)

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
    states = [re.search("Job(?:Completed)?State>([^<]+)<", body)[1] for _, body in scanner.told.events]
    assert states == ["Pending", "Started", "Processing", "Completed", "Completed"]
    assert scanner.told.events[-1][0] == "JobEndStateEvent"


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


def test_both_sides_of_each_sheet():
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


def test_a_job_that_nobody_fetches_times_out():
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


def test_elements_are_asked_for_by_name():
    answer = Scanner().do("GetScannerElements", "<wscn:RequestedElements><wscn:Name>wscn:ScannerStatus</wscn:Name>"
                          "<wscn:Name>wscn:ScannerConfiguration</wscn:Name></wscn:RequestedElements>")
    assert answer.findtext(".//{*}ScannerState") == "Idle"
    assert answer.find(".//{*}ADFSupportsDuplex") is not None
    assert answer.find(".//{*}ScannerDescription") is None


def test_metadata_names_the_scan_service():
    text = metadata(Settings(), "http://127.0.0.1:1")
    declared = "".join(f" xmlns:{prefix}='{uri}'" for prefix, uri in
                       {"wsx": WSX, "wsdp": WSDP, "pnpx": PNPX, "wscn": WSCN}.items())
    message = read(envelope("x", text.replace("<wsx:Metadata>", f"<wsx:Metadata{declared}>", 1)))
    assert scan_service_addresses(message) == ("http://127.0.0.1:1/WDP/SCAN",)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_metadata_and_discovery_tell_the_same_endpoint(scheme):
    base, settings = f"{scheme}://127.0.0.1:1", Settings()
    target = VirtualTarget(settings, wall=lambda: 1e9, new_id=lambda: "urn:uuid:n", listener=lambda: None)
    endpoint = {"http": f"urn:uuid:{settings.uuid}", "https": f"{base}/{settings.uuid}"}[scheme]
    for asked in (write_probe((), message_id="urn:uuid:q"), write_resolve(endpoint, message_id="urn:uuid:q")):
        [match] = message_in(read(target.answer(read(asked), base))).content
        assert (match.endpoint, match.xaddrs) == (endpoint, (f"{base}/{settings.uuid}",))
    assert f"<wsa:Address>{endpoint}</wsa:Address></wsa:EndpointReference><wsdp:Types>wscn:ScanDeviceType" in (
        metadata(settings, base))


@pytest.mark.parametrize(("color", "mode"), [("RGB24", "RGB"), ("Grayscale8", "L"), ("BlackAndWhite1", "1")])
@pytest.mark.parametrize("kind", ["jfif", "png"])
def test_pages_are_what_the_ticket_says(color, mode, kind):
    page = PageFormat(1000, 2000, 75, color, kind)
    image = Image.open(BytesIO(draw_page(page, 1, "Platen", "now")))
    assert image.size == page.size == (75, 150)
    assert image.mode == ("L" if (mode, kind) == ("1", "jfif") else mode)


def test_pages_are_the_same_for_the_same_arguments_and_differ_by_number():
    page = PageFormat(2000, 2000, 75)
    assert draw_page(page, 1, "ADF", "x") == draw_page(page, 1, "ADF", "x") != draw_page(page, 2, "ADF", "x")


@pytest.mark.parametrize(("table", "message"), [
    ({"colour": 1}, "must be one of the keys"), ({"feeder_pages": "x"}, "between 0 and 100000"),
    ({"page_seconds": -1}, r"between 0\.001 and 3600, or 0 for no wait"), ({"events": "some"}, "one of"),
    ({"refill": 1}, "true or false"), ({"feeder_pages": True}, "whole number"), ({"uuid": "x"}, "without urn:uuid:"),
    ({"endpoint": "tcp:99999"}, "between 0 and 65535"), ({"scopes": "x"}, "list of texts"),
    ({"endpoint": "ssl:1:privateKey=none.pem"}, "No such file"), ({"name": 5}, "must be a text of 1 to 127"),
    ({"name": ""}, "1 to 127 characters"), ({"name": "x" * 128}, "1 to 127 characters"),
    ({"connections": int("f" * 5000, 16)}, r"= \.\.\.: must be a whole number")])
def test_settings_are_checked(table, message):
    with pytest.raises(SettingsError, match=message):
        make_settings(table, "s.toml")


@pytest.mark.parametrize("field", [field for field in attrs.fields(Settings) if field.type in (int, float)],
                         ids=lambda field: field.name)
def test_every_number_of_the_settings_has_bounds(field):
    check = field.metadata["check"]
    assert isinstance(check, Number) and 0 <= check.lowest < check.highest <= 2**32
    for bad in (1e12, 1e-300, -1, True, float("nan"), float("inf"), check.highest + 1):
        with pytest.raises(SettingsError, match=rf"s\.toml: \[scanner\] {field.name} = .*: must be .* between "):
            make_settings({field.name: bad}, "s.toml")


def test_settings_from_a_file(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("[scanner]\nname = 'x'\npage_seconds = 1\n")
    assert read_settings(str(file)) == Settings(name="x", page_seconds=1)
    file.write_text("[other]\n")
    with pytest.raises(SettingsError, match="the only section"):
        read_settings(str(file))
    with pytest.raises(SettingsError, match="can't be read"):
        read_settings(str(tmp_path / "none"))
