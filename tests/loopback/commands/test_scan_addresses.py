"""Tests of `wsdgateway scan` with each form of address, and of --list."""

from types import SimpleNamespace

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.loopback.clients import Ran, scanned
from tests.loopback.gateways import LOOPBACK, TOKEN, section
from tests.loopback.scanners import Metadata
from tests.messages import fault
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan import locating
from wsdgateway.cli.scan.outcomes import UNREACHABLE, ScanError
from wsdgateway.cli.scan.run import Order, offers
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_matches
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WXF

pytestmark = pytest.mark.usefixtures("cwd")
STABLE = "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"


@pytest.mark.parametrize("by", ["scan", "device"])
@pytest_twisted.ensureDeferred
async def test_every_address_of_one_scanner(gateway, virtual, by):
    device = await virtual()
    known = {"scan": device.scan_url} if by == "scan" else {"device": device.device_url}
    service = await gateway(None, scanner={"events": "off", **known})
    host = f"127.0.0.1:{service.port}"
    for url in (device.scan_url, device.device_url, f"http://{host}/front-desk/scan", f"http://{host}/front-desk",
                f"http://{host}/", f"http://{host}", host, f"{host}/front-desk", f"http://{host}{STABLE}"):
        ran = await scanned(url, "out.pdf", resolution=75)
        assert (ran.status, ran.files) == (0, ["out.pdf"]), (url, ran.error)
    assert device.soap.asked["CreateScanJob"] == 9


@pytest_twisted.ensureDeferred
async def test_several_scanners_are_listed(file, virtual):
    device = await virtual()
    service = await file.start(section("front-desk", device.scan_url) + section("lab", device.scan_url))
    base = f"http://127.0.0.1:{service.port}"
    ran = await scanned(f"{base}/")
    assert ran.status == WRONG
    assert ran.error.line().splitlines() == [
        f"{base}/: 2 scanners are here; give the address of one of them:",
        f"  {base}/front-desk/scan  Virtual scanner", f"  {base}/lab/scan  Virtual scanner"]
    for wrong in ("/front-desc/scan", "/front-desc", "/x/y/z"):
        ran = await scanned(base + wrong)
        assert ran.status == WRONG
        assert ran.error.line().splitlines()[0] == (
            f"{base}{wrong}: no scanner is at this address; this host has these scanners:")
        assert f"  {base}/lab/scan  Virtual scanner" in ran.error.line().splitlines()
    assert "CreateScanJob" not in device.soap.asked


@pytest_twisted.ensureDeferred
async def test_a_gateway_without_a_scanner(gateway):
    service = await gateway(None)
    ran = await scanned(f"127.0.0.1:{service.port}")
    assert ran.status == UNREACHABLE
    assert "no scanner is here at the moment" in str(ran.error)
    ran = await scanned(f"http://127.0.0.1:{service.port}/front-desk/scan")
    assert (ran.status, ran.error.items) == (WRONG, ())
    assert str(ran.error).endswith("no scanner is at this address, and this host has none at the moment")


@pytest_twisted.ensureDeferred
async def test_a_gateway_whose_scanner_is_off(gateway, virtual):
    device = await virtual()
    service = await gateway(device.scan_url, scanner={"events": "off"})
    await device.stopService()
    for path in ("/front-desk", "/front-desk/scan"):
        ran = await scanned(f"http://127.0.0.1:{service.port}{path}", wait=1)
        assert ran.status == UNREACHABLE
        assert str(ran.error).startswith("The gateway cannot reach the scanner: ")


@pytest.mark.parametrize("code", ["wscn:OperationFailed", "wscn:ClientErrorJobIdNotFound", "wsa:ActionNotSupported"])
@pytest_twisted.ensureDeferred
async def test_a_device_that_refuses_unknown_actions_with_any_fault(device, virtual, code):
    scanner = await virtual()
    metadata = Metadata(SimpleNamespace(url=scanner.scan_url, handle=None))

    def answer(asked):
        if read(asked.request.body).action == f"{WXF}/Get":
            metadata.take(asked)
        else:
            asked.answer(fault(code), b"500 Internal Server Error")

    device.handle = answer
    ran = await scanned(device.url, "out.pdf", resolution=75)
    assert (ran.status, ran.files) == (0, ["out.pdf"]), ran.error


class Host:
    """A host that answers a directed Probe with matches at these addresses, and everything else with 404."""

    def __init__(self, device, *xaddrs):
        self.url = f"http://127.0.0.1:{device.port}/"
        self._services = [TargetService(f"urn:uuid:{number}", xaddrs=(xaddr,)) for number, xaddr in enumerate(xaddrs)]
        device.handle = self._answer

    def _answer(self, asked):
        envelope = read(asked.request.body)
        if envelope.action.endswith("/Probe"):
            asked.answer(write_matches("ProbeMatches", self._services, version=WS_2005_04, sequence=Sequence(0, 0),
                                       relates_to=envelope.message_id, message_id="urn:uuid:m"))
        else:
            asked.answer(b"no", b"404 Not Found", b"text/plain")


@pytest_twisted.ensureDeferred
async def test_a_match_that_does_not_answer(device):
    host = Host(device, "http://127.0.0.1:1/x http://[")
    ran = await scanned(host.url)
    assert (ran.status, str(ran.error)) == (
        UNREACHABLE, "http://127.0.0.1:1/x: the scanner announces this address, but does not answer there")


@pytest_twisted.ensureDeferred
async def test_unusable_addresses_in_matches(device):
    host = Host(device, "http://[", "", "ftp://127.0.0.1/")
    ran = await scanned(host.url)
    assert ran.status == UNREACHABLE
    assert "no scanner is here at the moment" in str(ran.error)


@pytest_twisted.ensureDeferred
async def test_an_address_with_other_characters_than_a_url_has_is_escaped(device):
    host = Host(device, f"http://127.0.0.1:{device.port}/é|\x9b")
    asked = []
    device.handle, answer = lambda one: (asked.append(one.request.path), answer(one)), device.handle
    ran = await scanned(host.url)
    assert ran.status == UNREACHABLE and ran.error.line().isprintable()
    assert b"/%C3%A9%7C%C2%9B" in asked


@pytest_twisted.ensureDeferred
async def test_names_of_many_scanners_are_not_asked_for(device, monkeypatch):
    monkeypatch.setattr(locating, "MAX_LISTED", 1)
    host = Host(device, "http://127.0.0.1:1/x", "http://device.invalid:2/y")
    ran = await scanned(host.url)
    assert (ran.status, ran.error.items) == (WRONG, ("http://127.0.0.1:1/x", "http://127.0.0.1:2/y"))


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest_twisted.ensureDeferred
async def test_the_admin_site_is_recognized(gateway, virtual, token):
    device = await virtual()
    service = await gateway(device.scan_url, scanner={"events": "off"},
                            admin={"endpoint": LOOPBACK, **({"token": token} if token else {})})
    for path in ("", "/", "/jobs"):
        ran = await scanned(f"http://127.0.0.1:{service.admin_port}{path}")
        assert ran.status == WRONG
        first, *listed = ran.error.line().splitlines()
        assert f"{path}: this is the admin site of a gateway" in first
        assert listed == ([] if token else [f"  http://127.0.0.1:{service.port}/front-desk/scan"])


@pytest.mark.parametrize("body", [b"[{}]", b"[" * 100000, b"[1]", b"[null]", b'[{"client_url": 0}]'])
@pytest_twisted.ensureDeferred
async def test_a_list_that_is_not_that_of_a_gateway(device, body):
    device.handle = lambda asked: asked.answer(body, content_type=b"application/json") if (
        asked.request.path == b"/api/scanners") else asked.answer(b"no", b"404 Not Found", b"text/plain")
    ran = await scanned(f"http://127.0.0.1:{device.port}/")
    assert (ran.status, ran.error.items) == (WRONG, ())


@pytest_twisted.ensureDeferred
async def test_a_host_without_a_port_is_asked_at_the_port_of_devices_first(gateway, virtual, monkeypatch):
    device = await virtual()
    service = await gateway(device.scan_url, scanner={"events": "off"})
    monkeypatch.setattr(locating, "DEVICE_PORT", service.port)
    assert (await scanned("127.0.0.1", "out.pdf", resolution=75)).status == 0


@pytest_twisted.ensureDeferred
async def test_a_list_of_what_the_scanner_offers(gateway, virtual):
    device = await virtual(name="Front desk")
    service = await gateway(None, scanner={"device": device.device_url, "events": "off"})
    device.device.jam()
    url = f"http://127.0.0.1:{service.port}/front-desk"
    ran = Ran()
    lines = await deferToThread(offers, Order(url), ran.progress, times=ran.times)
    offer = "up to 216 x 297 mm; 75, 100, 150, 200, 300, 600 dpi; color (RGB24), gray (Grayscale8), bw (BlackAndWhite1)"
    assert lines == [
        "Scanner:    Front desk", "Model:      wsdgateway Virtual scanner", "Info:       Simulated by wsdgateway",
        "Location:   Memory",
        f"Address:    {url}/scan", "State:      stopped", "Conditions: paper jam",
        f"Sources:    platen: {offer}", f"            adf: {offer}", f"            duplex: {offer}",
        "Formats:    jpeg (jfif, exif), png", "Default:    platen, 150 dpi, color, 210 x 297 mm, jfif"]
    assert ran.said == ""
    assert "CreateScanJob" not in device.soap.asked


@pytest_twisted.ensureDeferred
async def test_a_list_of_a_scanner_that_reports_nothing(device):
    device.handle = lambda asked: asked.answer(fault("wscn:OperationFailed", code="Receiver"))
    ran = Ran()
    lines = await deferToThread(offers, Order(device.url), ran.progress, times=ran.times)
    assert [line.split(None, 1)[1] for line in lines] == [
        "not reported", "not reported", device.url, *["not reported"] * 4]
    assert ran.said == "The scanner's capabilities are not known: No. (OperationFailed)\n"


@pytest_twisted.ensureDeferred
async def test_a_list_of_another_web_server_is_an_error(device):
    device.handle = lambda asked: asked.answer(b"no", b"404 Not Found", b"text/plain")
    ran = Ran()
    with pytest.raises(ScanError, match=r"no scanner answers here: Not Found \(HTTP 404\)") as caught:
        await deferToThread(offers, Order(device.url), ran.progress, times=ran.times)
    assert caught.value.status == WRONG


@pytest_twisted.ensureDeferred
async def test_a_list_ends_with_the_time(device):
    from queue import Empty

    ran = Ran()

    def get(answers, seconds):
        ran.slept += seconds
        raise Empty

    ran.get = get
    device.handle = lambda asked: None
    with pytest.raises(ScanError, match=r"Stopped after 9 s \(--timeout\) while waiting for an answer"):
        await deferToThread(offers, Order(device.url, timeout=9.0), ran.progress, times=ran.times)
    assert len(ran.said.splitlines()) == 1
