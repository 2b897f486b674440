"""Devices in the styles of different makers (`fieldstyles`), offered by eSCL."""

import attrs
import pytest
import pytest_twisted

from tests.fielddevices import ELEMENTS, FieldDevice, page
from tests.fieldstyles import BROTHER, STYLES
from tests.loopback.escl.client import client, section, settings
from tests.waiting import until
from wsdgateway.escl.scannercapabilities import ScannerCapabilities

# Neither its metadata nor its URL have a uuid.
NAMELESS = attrs.evolve(BROTHER, name="nameless", has_host=False, serial="")


@pytest.fixture
def behind(gateway, started, tmp_path):
    """Starts a device of a style, and a gateway that offers it by eSCL: returns the client and the device."""

    async def start(style, **more):
        made = await started(FieldDevice(style, **more))
        service = await gateway(None, scanner={"device": made.url}, escl=section(tmp_path))
        await until(lambda: service.scanner.bridge.device is not None and service.escl_ports.listeners[0].port)
        one = client(service)
        one.service = service
        return one, made

    return start


@pytest.mark.parametrize("style", [*STYLES, NAMELESS], ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_the_capabilities_are_offered_without_discovery(behind, style):
    one, _ = await behind(style)
    answered = await one.get("ScannerCapabilities")
    assert answered.status == 200
    found = ScannerCapabilities.read(answered.body)
    assert found.make_and_model == f"Example {style.name} 1"
    assert found.serial_number == (style.serial or found.uuid)
    assert found.platen.max_width == 2550
    assert (await one.get("ScannerCapabilities")).value("UUID") == found.uuid


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8"])
@pytest_twisted.ensureDeferred
async def test_names_in_another_encoding(behind, charset, monkeypatch):
    # Answers with all that was asked for are kept for other clients.
    monkeypatch.setitem(ELEMENTS, "DefaultScanTicket", (
        '<n:ElementData Name="n:DefaultScanTicket" Valid="true"><n:DefaultScanTicket/></n:ElementData>'))
    one, device = await behind(attrs.evolve(BROTHER, name="B\u00fcro", encoding="iso-8859-1", charset=charset))
    for _ in range(2):
        found = ScannerCapabilities.read((await one.get("ScannerCapabilities")).body)
        assert found.make_and_model == "Example B\u00fcro 1"
    assert sum(b":DefaultScanTicket<" in raw for raw in device.raw) == 1


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_all_pages_of_the_feeder_arrive_unchanged(behind, style):
    one, device = await behind(style, sheets=3)
    job = await one.scan(settings("Feeder", resolution=100))
    pages, last = await one.pages(job)
    assert ([found.body for found in pages], last) == ([page(number) for number in (3, 2, 1)], 404)
    assert (await one.get("ScannerStatus")).values("JobState") == ["Completed"]
    assert (await one.ask("DELETE", job)).status == 200
    assert (device.operations.count("RetrieveImage"), device.operations.count("CancelJob")) == (4, 0)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_an_empty_feeder(behind, style):
    one, device = await behind(style, sheets=0)
    connection = await one.send("POST", "/eSCL/ScanJobs", settings("Feeder", resolution=100))
    await until(lambda: device.sent.get("CreateScanJob") or device.late)
    device.release()
    head, body = await connection.answer()
    assert (head.status, body) == (409, b"")
    status = await one.get("ScannerStatus")
    assert (status.value("AdfState"), status.values("JobState")) == ("ScannerAdfEmpty", [])
