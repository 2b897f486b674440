"""Tests of `wsdgateway scan` with an eSCL root."""

import io

import pytest
import pytest_twisted
from lxml import etree
from PIL import Image
from twisted.internet.threads import deferToThread

from tests.loopback.clients import Ran, scanned
from tests.scannedfiles import names_in, pages_of
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan import escl
from wsdgateway.cli.scan.outcomes import ATTENTION, BUSY, FAILED, NO_PAPER, UNREACHABLE
from wsdgateway.cli.scan.run import Order, offers
from wsdgateway.cli.scan.sizes import read_size
from wsdgateway.escl.reading import PWG, SCAN

pytestmark = pytest.mark.usefixtures("cwd")
IMAGE = io.BytesIO()
Image.new("L", (50, 50)).save(IMAGE, "JPEG")
PAGE = b"200 OK", IMAGE.getvalue()
JOB = "/eSCL/ScanJobs/4f0c"
NAMESPACES = f'xmlns:scan="{SCAN}" xmlns:pwg="{PWG}"'


def caps(name, height=3510):
    return (f"<scan:{name}><scan:MinWidth>16</scan:MinWidth><scan:MaxWidth>2550</scan:MaxWidth><scan:MinHeight>16"
            f"</scan:MinHeight><scan:MaxHeight>{height}</scan:MaxHeight><scan:SettingProfiles><scan:SettingProfile>"
            "<scan:ColorModes><scan:ColorMode>Grayscale8</scan:ColorMode><scan:ColorMode>RGB24</scan:ColorMode>"
            "</scan:ColorModes><scan:DocumentFormats><pwg:DocumentFormat>application/pdf</pwg:DocumentFormat>"
            "<pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat></scan:DocumentFormats><scan:SupportedResolutions>"
            "<scan:DiscreteResolutions><scan:DiscreteResolution><scan:XResolution>100</scan:XResolution>"
            "<scan:YResolution>100</scan:YResolution></scan:DiscreteResolution><scan:DiscreteResolution>"
            "<scan:XResolution>300</scan:XResolution><scan:YResolution>300</scan:YResolution></scan:DiscreteResolution>"
            "</scan:DiscreteResolutions></scan:SupportedResolutions></scan:SettingProfile></scan:SettingProfiles>"
            f"</scan:{name}>")


CAPABILITIES = (
    f"<scan:ScannerCapabilities {NAMESPACES}><pwg:Version>2.6</pwg:Version>"
    f"<pwg:MakeAndModel>Example 7</pwg:MakeAndModel>"
    f"<scan:Platen>{caps('PlatenInputCaps')}</scan:Platen><scan:Adf>{caps('AdfSimplexInputCaps', 4200)}</scan:Adf>"
    "</scan:ScannerCapabilities>").encode()


def status(state="Idle", adf="ScannerAdfLoaded", job="Processing", reason="JobScanning"):
    return (f"<scan:ScannerStatus {NAMESPACES}><pwg:Version>2.6</pwg:Version><pwg:State>{state}</pwg:State>"
            f"<scan:AdfState>{adf}</scan:AdfState><scan:Jobs><scan:JobInfo><pwg:JobUri>{JOB}</pwg:JobUri>"
            f"<pwg:JobState>{job}</pwg:JobState><pwg:JobStateReasons><pwg:JobStateReason>{reason}</pwg:JobStateReason>"
            "</pwg:JobStateReasons></scan:JobInfo></scan:Jobs></scan:ScannerStatus>").encode()


class Escl:
    """An eSCL scanner that answers NextDocument with the listed answers in turn, and the last one repeatedly."""

    def __init__(self, device, pages, *, create=b"201 Created", status=status, location=JOB):
        self.url = f"http://127.0.0.1:{device.port}/eSCL"
        self.asked, self.settings = [], None
        self._pages, self._create, self._status, self._location = list(pages), create, status, location
        device.handle = self._answer

    def _answer(self, asked):
        method, path = asked.request.method.decode(), asked.request.path.decode()
        self.asked.append(f"{method} {path.removeprefix('/eSCL/')}")
        if path == "/eSCL/ScannerCapabilities":
            asked.answer(CAPABILITIES, content_type=b"text/xml")
        elif path == "/eSCL/ScannerStatus":
            asked.answer(self._status(), content_type=b"text/xml")
        elif method == "POST":
            self.settings = asked.request.body.decode()
            asked.answer(b"", self._create, headers=f"Location: {self._location}\r\n".encode())
        elif method == "DELETE":
            asked.answer(b"")
        else:
            answer = self._pages.pop(0) if len(self._pages) > 1 else self._pages[0]
            asked.answer(answer[1], answer[0], b"image/jpeg")


GONE = b"404 Not Found", b""


@pytest_twisted.ensureDeferred
async def test_a_page_from_the_platen(device, cwd):
    scanner = Escl(device, [PAGE], location="http://device.invalid:9" + JOB)
    ran = await scanned(f"{scanner.url}/", "a.jpg", color="gray", size=read_size("100x150mm"))
    assert (ran.status, ran.files) == (0, ["a.jpg"]), ran.error
    assert (cwd / "a.jpg").read_bytes() == PAGE[1]
    settings = etree.fromstring(scanner.settings.encode())
    assert {etree.QName(element).localname: element.text for element in settings.iter() if not len(element)} == {
        "Version": "2.6", "ContentRegionUnits": "escl:ThreeHundredthsOfInches", "Height": "1772", "Width": "1181",
        "XOffset": "0", "YOffset": "0", "InputSource": "Platen", "ColorMode": "Grayscale8",
        "DocumentFormat": "image/jpeg", "DocumentFormatExt": "image/jpeg", "XResolution": "300", "YResolution": "300"}
    assert [one for one in scanner.asked if "Status" not in one] == [
        "GET ScannerCapabilities", "POST ScanJobs", "GET ScanJobs/4f0c/NextDocument", "DELETE ScanJobs/4f0c"]


@pytest.mark.parametrize(("location", "path"), [
    ("http://device.invalid//127.0.0.1:1/j/", "/127.0.0.1:1/j"), ("//device.invalid/eSCL/j", "j"),
    ("../j k", "/j%20k"), ("j%20k?x#y", "j%20k")])
@pytest_twisted.ensureDeferred
async def test_a_job_is_at_the_scanner_wherever_its_location_leads(device, location, path):
    scanner = Escl(device, [PAGE], location=location)
    ran = await scanned(scanner.url, "a.jpg")
    assert (ran.status, ran.files) == (0, ["a.jpg"]), ran.error
    assert f"GET {path}/NextDocument" in scanner.asked


@pytest.mark.parametrize("location", ["http://[", "//[::1/x"])
@pytest_twisted.ensureDeferred
async def test_an_invalid_location_is_a_failure(device, location):
    ran = await scanned(Escl(device, [PAGE], location=location).url)
    assert (ran.status, str(ran.error)) == (FAILED, "The scanner's answer to ScanJobs contains no valid Location")


@pytest_twisted.ensureDeferred
async def test_the_feeder_into_a_pdf(device, cwd, monkeypatch):
    monkeypatch.setattr(escl, "PAUSE", 0.0)
    scanner = Escl(device, [(b"503 Service Unavailable", b""), PAGE, PAGE, GONE])
    ran = await scanned(scanner.url, "a.pdf", source="adf")
    assert (ran.status, pages_of("a.pdf")) == (0, 2), ran.error
    assert "<pwg:InputSource>Feeder<" in scanner.settings and "<scan:Duplex>false<" in scanner.settings
    assert scanner.asked.count("GET ScanJobs/4f0c/NextDocument") == 4
    assert scanner.asked[-1] == "DELETE ScanJobs/4f0c"


CONFLICT = b"409 Conflict", b""


@pytest.mark.parametrize(("pages", "more", "expected", "said"), [
    ([GONE], {"status": lambda: status(adf="ScannerAdfEmpty")}, NO_PAPER, "The feeder is empty"),
    ([GONE], {"status": lambda: status(adf="ScannerAdfEmpty", job="Aborted", reason="ResourcesAreNotReady")}, NO_PAPER,
     "The feeder is empty"),
    ([GONE], {"create": b"409 Conflict", "status": lambda: status(adf="ScannerAdfEmpty")}, NO_PAPER,
     "The feeder is empty"),
    ([GONE], {"create": b"409 Conflict"}, FAILED, "The scanner refused the request: "),
    ([GONE], {"create": b"503 Service Unavailable"}, BUSY, "The scanner is busy: "),
    ([GONE], {"create": b"503 Service Unavailable", "status": lambda: status("Down")}, UNREACHABLE,
     "The gateway cannot reach the scanner: its state is Down"),
    ([PAGE, CONFLICT], {"status": lambda: status("Stopped", "ScannerAdfJam")}, ATTENTION,
     "The scanner needs attention: paper jam"),
    ([PAGE, GONE], {"status": lambda: status("Stopped", "ScannerAdfHatchOpen")}, ATTENTION,
     "The scanner needs attention: cover open"),
    ([PAGE, (b"410 Gone", b"")], {"status": lambda: status(job="Canceled", reason="JobCanceledByUser")}, FAILED,
     "The scanner ended the job: job canceled by user"),
    ([PAGE, (b"500 Internal Server Error", b"")], {}, FAILED, "The scanner refused the request: "),
    ([PAGE, (b"200 OK", b"")], {}, FAILED, "The scanner's answer to NextDocument contains no image")])
@pytest_twisted.ensureDeferred
async def test_the_exit_status_of_a_feeder_job(device, cwd, pages, more, expected, said):
    scanner = Escl(device, pages, **more)
    ran = await scanned(scanner.url, "a.pdf", source="adf", wait=3)
    assert ran.status == expected, ran.error
    assert str(ran.error).startswith(said)
    assert names_in(cwd) == (["a.pdf"] if PAGE in pages else [])


@pytest_twisted.ensureDeferred
async def test_options_that_are_not_offered_create_no_job(device):
    scanner = Escl(device, [PAGE])
    for more in ({"resolution": 75}, {"source": "duplex"}, {"size": read_size("300x300mm")}, {"format": "png"}):
        assert (await scanned(scanner.url, None, **more)).status == WRONG
    assert set(scanner.asked) == {"GET ScannerCapabilities"}


@pytest_twisted.ensureDeferred
async def test_a_list(device):
    scanner = Escl(device, [PAGE], status=lambda: status("Testing"))
    ran = Ran()
    lines = await deferToThread(offers, Order(scanner.url), ran.progress, times=ran.times)
    assert lines == [
        "Scanner:    Example 7", "Model:      Example 7", f"Address:    {scanner.url}", "State:      stopped",
        "Conditions: calibrating",
        "Sources:    platen: up to 216 x 297 mm; 100, 300 dpi; gray (Grayscale8), color (RGB24)",
        "            adf: up to 216 x 356 mm; 100, 300 dpi; gray (Grayscale8), color (RGB24)",
        "Formats:    jpeg (jfif)", "Default:    not reported"]


@pytest_twisted.ensureDeferred
async def test_an_address_without_an_escl_scanner_is_a_wrong_url(gateway, virtual):
    device = await virtual()
    service = await gateway(device.scan_url, scanner={"events": "off"})
    ran = await scanned(f"http://127.0.0.1:{service.port}/front-desk/eSCL")
    assert ran.status == WRONG
    assert f"  http://127.0.0.1:{service.port}/front-desk/scan  Virtual scanner" in ran.error.line().splitlines()
    assert str((await scanned(f"{device.base}/eSCL")).error).endswith(
        f"; a scan service is at {device.scan_url}")
