"""The whole service in front of devices in the styles of different makers (`fieldstyles`)."""

import re

import attrs
import pytest
import pytest_twisted
from lxml import etree
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.fielddevices import FieldDevice, page, unused_prefixes
from tests.fieldstyles import BROTHER, EPSON, KYOCERA, LINK_LOCAL, NOWHERE, SAMSUNG, STYLES, UUID
from tests.loopback.clients import Granted
from tests.messages import SCAN, envelope, get_scanner_elements, subscribe
from tests.peers import ask
from tests.schema import checked
from tests.waiting import until
from wsdgateway.cli.scan.client import ScanService
from wsdgateway.cli.scan.scanner import ScannerRefusal
from wsdgateway.cli.scan.securing import BY_THE_SYSTEM
from wsdgateway.cli.scan.web import Web
from wsdgateway.config.reading import make_config
from wsdgateway.metadata.messages import scan_service_addresses, write_get
from wsdgateway.metadata.standin import is_stand_in
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.reading import tag
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSA, WSCN, WSDP, WSE

PATH = "/front-desk/scan"
ELEMENTS = get_scanner_elements("ScannerDescription", message_id="urn:uuid:elements")
CONTEXTS = ("Scan", "ScanToPrint", "ScanToEmail", "ScanToFax", "ScanToOCR")


@pytest.fixture
def field(started):
    """Starts devices of a style: `await field(BROTHER)`."""
    return lambda style, **more: started(FieldDevice(style, **more))


@pytest.fixture
def behind(gateway, field):
    """Starts a device of a style, and a gateway that knows its device address: `await behind(BROTHER)`."""

    async def start(style, *, by="device", **more):
        made = await field(style, **more)
        service = await gateway(None, scanner={by: {"device": made.url, "scan": made.scan_url}[by]})
        await until(lambda: service.scanner.bridge.table.listening if style.is_eventful else (
            "Subscribe" in made.operations))
        return service, made

    return start


def named(number):
    """Returns a MessageID of the client."""
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


def create(number, *, token=None, identifier=None):
    """Returns a CreateScanJob from the feeder, optionally with the token and identifier of a button press."""
    pressed = (f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier>" if identifier else "") + (
        f"<wscn:DestinationToken>{token}</wscn:DestinationToken>" if token else "")
    return envelope(f"{SCAN}/CreateScanJob", (
        f"<wscn:CreateScanJobRequest>{pressed}<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>n</wscn:JobName>"
        "<wscn:JobOriginatingUserName>u</wscn:JobOriginatingUserName></wscn:JobDescription><wscn:DocumentParameters>"
        "<wscn:InputSource>ADF</wscn:InputSource></wscn:DocumentParameters></wscn:ScanTicket>"
        "</wscn:CreateScanJobRequest>"), message_id=named(number))


def retrieve(job, number):
    return envelope(f"{SCAN}/RetrieveImage", (
        f"<wscn:RetrieveImageRequest><wscn:JobId>{job}</wscn:JobId><wscn:JobToken>token-{job}</wscn:JobToken>"
        "<wscn:DocumentDescription><wscn:DocumentName>1</wscn:DocumentName></wscn:DocumentDescription>"
        "</wscn:RetrieveImageRequest>"), message_id=named(number))


async def scanned(service, device, number=1, **pressed):
    """Scans all pages in the feeder and checks their bytes; returns their number, and the final status and answer."""
    head, answer = await ask(service.port, PATH, create(number, **pressed))
    assert head.status == 200, answer
    job = read(answer).body.findtext(tag("JobId"))
    pages = 0
    while True:
        head, answer = await ask(service.port, PATH, retrieve(job, number := number + 1))
        if head.status != 200:
            return pages, head.status, answer
        assert answer == device.sent["RetrieveImage"]
        assert page(device.sheets - pages) in answer
        pages += 1


def metadata_of(service):
    return ask(service.port, "/front-desk", write_get(to="urn:uuid:x", message_id="urn:uuid:1"))


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_pages_elements_and_faults_pass_byte_for_byte(behind, style):
    service, device = await behind(style, by="scan", sheets=3)
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, answer) == (200, device.sent["GetScannerElements"])
    assert b"<%b:ScannerName>" % style.prefixes["n"].encode() in answer
    pages, status, ended = await scanned(service, device)
    assert (pages, status, ended) == (3, style.no_images.status, device.sent["RetrieveImage"])
    assert fault_of(read(ended)) == style.no_images.name
    assert read(ended).relates_to == named(5)


@pytest.mark.parametrize("style", [BROTHER, SAMSUNG, EPSON], ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_the_metadata_contains_the_gateways_addresses_only(behind, style):
    await leads_to_the_gateway(*await behind(style))


async def leads_to_the_gateway(service, device):
    head, answer = await metadata_of(service)
    assert head.status == 200
    message = read(answer)
    assert set(scan_service_addresses(message)) == {f"http://127.0.0.1:{service.port}{PATH}"}
    for address in (f"127.0.0.1:{device.device.port}", LINK_LOCAL, NOWHERE):
        assert address.encode() not in answer
    for types in message.body.iter(f"{{{WSDP}}}Types"):
        assert all(name.partition(":")[0] in types.nsmap for name in types.text.split())
    assert {types.nsmap[name.partition(":")[0]] for types in message.body.iter(f"{{{WSDP}}}Types")
            for name in types.text.split() if name.endswith("ScannerServiceType")} == {WSCN}
    assert "hall" in message.body.findtext(f".//{{{WSDP}}}FriendlyName")
    assert (await scanned(service, device))[0] == device.sheets


@pytest_twisted.ensureDeferred
async def test_a_late_fault_for_an_empty_feeder(behind):
    service, device = await behind(BROTHER, sheets=0)
    waiting = ensureDeferred(ask(service.port, PATH, create(1)))
    await until(lambda: device.late)
    head, _ = await ask(service.port, PATH, ELEMENTS)  # other clients are served in the meantime
    assert head.status == 200 and not waiting.called
    device.release()
    head, answer = await waiting
    assert (head.status, answer) == (500, device.sent["CreateScanJob"])
    assert fault_of(read(answer)) == "ServerErrorNotAcceptingJobs"
    assert device.operations.count("CreateScanJob") == 1


@pytest_twisted.ensureDeferred
async def test_a_device_without_events_gets_one_subscribe(behind):
    service, device = await behind(BROTHER)
    assert (await scanned(service, device))[0] == 2
    assert device.operations.count("Subscribe") == 1
    assert not service.scanner.bridge.table.listening


@pytest_twisted.ensureDeferred
async def test_answers_in_small_chunks_are_complete(behind):
    service, device = await behind(KYOCERA, by="scan")
    _, answer = await ask(service.port, PATH, ELEMENTS)
    assert len(answer) > 4 * KYOCERA.chunk and answer == device.sent["GetScannerElements"]
    assert len(re.findall(rb"xmlns:", answer)) == 46


@pytest_twisted.ensureDeferred
async def test_a_misspelt_fault_name_is_passed_on(behind):
    service, device = await behind(SAMSUNG)
    head, answer = await ask(service.port, PATH, create(1, token="Client_0000000000000", identifier="x"))
    assert (head.status, answer) == (400, device.sent["CreateScanJob"])
    assert fault_of(read(answer)) == "ClientErrorInvalidDetinationToken"


async def panel(service, listener, contexts):
    """Subscribes once for each context, and returns the client's subscriptions by context."""
    return {context: Granted(*await ask(service.port, PATH, subscribe(
        listener.url, events=["ScanAvailableEvent"], destinations=[(context, f"{context} here")])))
        for context in contexts}


async def pressed(listener, device, context):
    """Presses the button, and returns the ScanIdentifier that the client receives."""
    before = len(listener.received)
    assert await device.press(context) == [202]
    await until(lambda: len(listener.received) > before)
    body = listener.received[-1].body
    assert body.findtext(tag("ClientContext")) == context
    return body.findtext(tag("ScanIdentifier"))


@pytest_twisted.ensureDeferred
async def test_five_names_on_the_panel_are_renewed_and_ended_separately(behind, sink):
    service, device = await behind(SAMSUNG, expires="PT3S")
    listener = await sink()
    await panel(service, listener, CONTEXTS)
    held = set(device.listeners)
    assert len(held) == 6  # the gateway's own for job events, and five for the panel
    assert all(identifier.startswith("uuid:") for identifier in held)

    def named_by(operation):
        return [message.header.findtext(f"{{{WSE}}}Identifier") for name, message in device.asked if name == operation]

    await until(lambda: set(named_by("Renew")) == held)
    assert set(device.listeners) == held and device.operations.count("Subscribe") == 6
    await service.stopService()
    assert not device.listeners
    assert sorted(named_by("Unsubscribe")) == sorted(held)


@pytest_twisted.ensureDeferred
async def test_after_a_reboot_a_press_arrives_and_the_old_token_works(behind, sink):
    service, device = await behind(SAMSUNG, expires="PT2S")
    listener = await sink()
    granted = await panel(service, listener, CONTEXTS[:1])
    token = granted["Scan"].tokens["Scan"]
    identifier = await pressed(listener, device, "Scan")
    assert (await scanned(service, device, 1, token=token, identifier=identifier))[0] == 2
    device.reboot()
    await until(lambda: any("Scan" in one.tokens for one in device.listeners.values()))
    identifier = await pressed(listener, device, "Scan")
    assert (await scanned(service, device, 100, token=token, identifier=identifier))[0] == 2
    assert b"Detination" not in device.sent["CreateScanJob"]


@pytest_twisted.ensureDeferred
async def test_part_headers_without_a_blank_are_passed_on(behind):
    service, device = await behind(EPSON, by="scan", sheets=1)
    assert (await scanned(service, device))[0] == 1
    job = read((await ask(service.port, PATH, create(50)))[1]).body.findtext(tag("JobId"))
    _, answer = await ask(service.port, PATH, retrieve(job, 51))
    assert b"\r\nContent-Type:image/jpeg\r\n" in answer and answer == device.sent["RetrieveImage"]


@pytest_twisted.ensureDeferred
async def test_three_button_presses_at_a_strict_device_give_three_images(behind, sink):
    service, device = await behind(EPSON, sheets=1)
    listener = await sink()
    granted = await panel(service, listener, ("Desk",))
    for number in range(3):
        identifier = await pressed(listener, device, "Desk")
        pages, _, _ = await scanned(service, device, 10 * number + 1, token=granted["Desk"].tokens["Desk"],
                                    identifier=identifier)
        assert pages == 1
    assert device.refused == []


def own_requests(device):
    """Checks the requests of the gateway and of the scan client against the schema, and returns their operations."""
    return {checked(etree.tostring(message.root)).action.rpartition("/")[2] for _, message in device.asked}


@pytest.mark.parametrize("style", [SAMSUNG, EPSON], ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_the_gateways_own_requests_conform_to_the_schema(behind, style):
    service, device = await behind(style)
    head, _ = await metadata_of(service)
    assert head.status == 200
    await service.stopService()
    assert own_requests(device) >= {"Get", "Subscribe", "Unsubscribe"}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_the_scan_client_scans_and_conforms_to_the_schema(field, style):
    device = await field(style)

    def scan():
        service, pages = ScanService(device.scan_url, Web(BY_THE_SYSTEM)), 0
        service.condition()
        job, _ = service.create(DocumentParameters("jfif", "ADFDuplex", 0, "RGB24", 75, (1000, 500)))
        service.status(job)
        try:
            while service.retrieve(job, "1", lambda piece: None):
                pages += 1
        except ScannerRefusal as ended:
            service.cancel(job)
            return pages, ended

    pages, ended = await deferToThread(scan)
    assert (pages, ended.code, ended.over) == (2, style.no_images.name, True)
    assert own_requests(device) == {"GetScannerElements", "CreateScanJob", "GetJobElements", "RetrieveImage",
                                    "CancelJob"}


# Devices whose metadata or endpoint is odd.

@pytest_twisted.ensureDeferred
async def test_the_metadata_of_a_device_without_a_host_contains_the_gateways_addresses(behind):
    service, device = await behind(KYOCERA)
    await leads_to_the_gateway(service, device)
    message = read((await metadata_of(service))[1])
    assert message.body.find(f".//{{{WSDP}}}Host//{{{WSA}}}Address") is not None
    assert is_stand_in(message.body)


@pytest_twisted.ensureDeferred
async def test_an_unreachable_first_address_may_have_another_port(behind):
    await leads_to_the_gateway(*await behind(attrs.evolve(SAMSUNG, hosted=(f"http://{NOWHERE}:9", "{base}"))))


@pytest_twisted.ensureDeferred
async def test_to_is_rewritten_to_the_endpoint_as_the_scanner_spells_it(behind):
    service, device = await behind(BROTHER)
    _, answer = await metadata_of(service)
    endpoint = read(answer).body.findtext(f".//{{{WSDP}}}Host//{{{WSA}}}Address")
    for spelled in (endpoint, endpoint.removeprefix("urn:"), endpoint.upper().replace("URN:UUID:", "urn:uuid:")):
        await ask(service.port, PATH, get_scanner_elements("ScannerDescription", "ScannerStatus", to=spelled))
        assert device.asked[-1][1].to == f"uuid:{UUID}", spelled


@pytest.mark.parametrize("spelled", [f"uuid:{UUID}", f"urn:uuid:{UUID}", f"URN:UUID:{UUID.upper()}"])
def test_the_configured_uuid_may_have_the_scanners_spelling(spelled):
    make_config({"listen": [{"endpoint": "tcp:0:interface=127.0.0.1"}],
                 "scanner": [{"name": "front-desk", "uuid": spelled}],
                 "discovery": {"device_interfaces": ["lo"]}}, "test.toml")


# The gateway's own requests.

@pytest.mark.parametrize("style", [KYOCERA, SAMSUNG, EPSON], ids=lambda style: style.name)
@pytest_twisted.ensureDeferred
async def test_the_gateways_own_requests_declare_no_unused_prefix(gateway, field, sink, style):
    device = await field(style, expires="PT2S")
    service = await gateway(device.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    await panel(service, await sink(), CONTEXTS[:2])
    await until(lambda: device.operations.count("Renew") >= 3)
    await service.stopService()
    own = [(operation, device.raw[number]) for number, operation in enumerate(device.operations)
           if operation in ("Get", "Subscribe", "Renew", "Unsubscribe")]
    assert {operation for operation, _ in own} >= {"Subscribe", "Renew", "Unsubscribe"}
    assert [(operation, unused_prefixes(raw)) for operation, raw in own if unused_prefixes(raw)] == []
    assert device.refused == [] and not device.listeners


@pytest_twisted.ensureDeferred
async def test_a_strict_device_refuses_no_request_of_the_gateway(behind):
    service, device = await behind(EPSON, expires="PT2S")
    await until(lambda: device.operations.count("Renew") >= 2)
    assert device.operations.count("Subscribe") == 1
    await service.stopService()
    assert device.operations.count("Unsubscribe") == 1
    assert device.refused == [] and not device.listeners
