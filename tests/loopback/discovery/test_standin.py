"""Stand-ins for clients that know only an address: directed Probe and Resolve, Get, and then every other operation."""

import pytest
import pytest_twisted

from tests.loopback.clients import Granted, found, probe, resolve
from tests.messages import GET, envelope, subscribe
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint
from wsdgateway.discovery.versions import VERSIONS, WS_2005_04
from wsdgateway.metadata.messages import scan_service_addresses
from wsdgateway.net.clients.discoveryendpoint import STABLE
from wsdgateway.net.presence import standin
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import PNPX, WSA, WSCN, WSDP, WSX, WXF

A, W = f"{{{WSA}}}", f"{{{WSDP}}}"
MESSAGE_ID = b"<wsa:MessageID>urn:uuid:q</wsa:MessageID>"


@pytest.fixture
def bridged(gateway, virtual):
    """Starts a gateway in front of a virtual scanner, configured by its device address or only by its scan address."""

    async def start(by="device", **more):
        scanner = await virtual(name="Copy room")
        service = await gateway(scanner.scan_url if by == "scan" else None, scanner=(
            {"device": scanner.device_url} if by == "device" else {}), **more)
        await until(lambda: service.scanner.bridge.table.listening)
        service.device = scanner
        return service

    return start


@pytest.mark.parametrize("by", ["device", "scan"])
@pytest_twisted.ensureDeferred
async def test_from_an_address_to_a_subscription(bridged, sink, by):
    service = await bridged(by)
    base = f"http://127.0.0.1:{service.port}"
    for path in ("/", STABLE.decode(), "/front-desk"):
        [(endpoint, xaddrs)] = await found(service, path, probe())
        assert xaddrs == f"{base}/front-desk"
        assert await found(service, path, resolve(endpoint)) == [(endpoint, xaddrs)]
        assert await found(service, path, resolve("urn:uuid:other")) == []
        assert await found(service, path, probe(types="wsdp:Printer")) == []
    _, body = await ask(service.port, xaddrs.removeprefix(base), GET)
    message = read(body)
    assert (message.action, message.body.tag) == (f"{WXF}/GetResponse", f"{{{WSX}}}Metadata")
    assert message.body.findtext(f".//{W}Host/{A}EndpointReference/{A}Address") == endpoint
    assert endpoint == derived_endpoint(
        f"urn:uuid:{service.device.settings.uuid}" if by == "device" else "front-desk")
    assert message.body.findtext(f".//{W}FriendlyName") == "Copy room"
    assert message.body.find(f".//{{{PNPX}}}HardwareId") is not None
    assert b"/control/" not in body
    [scan] = scan_service_addresses(message)
    assert scan == f"{base}/front-desk/scan"
    granted = Granted(*await ask(service.port, scan.removeprefix(base), subscribe((await sink()).url)))
    assert granted.manager.startswith(base)


@pytest.mark.parametrize("version", VERSIONS)
@pytest_twisted.ensureDeferred
async def test_every_version_of_discovery_is_answered_in_that_version(bridged, version):
    service = await bridged()
    for path in ("/", "/front-desk"):
        [(endpoint, _)] = await found(service, path, probe(version), version)
        assert len(await found(service, path, resolve(endpoint.upper(), version), version)) == 1


@pytest_twisted.ensureDeferred
async def test_the_scanner_is_asked_once_and_again_after_a_reboot(bridged):
    service = await bridged()
    before = service.device.soap.asked["Get"]
    for _ in range(5):
        await ask(service.port, "/front-desk", GET)
    assert service.device.soap.asked["Get"] == before + 1
    service.scanner.subscription_lost()
    await ask(service.port, "/front-desk", GET)
    assert service.device.soap.asked["Get"] == before + 2


@pytest_twisted.ensureDeferred
async def test_invalid_discovery_requests_get_a_fault(bridged):
    service = await bridged()
    for path, message, code in (
            ("/", probe(scopes='<d:Scopes MatchBy="urn:rule">x</d:Scopes>'), "MatchingRuleNotSupported"),
            ("/", envelope(WS_2005_04.action("Probe")), "InvalidArgs"),
            ("/", probe().replace(MESSAGE_ID, b""), "MessageInformationHeaderRequired"),
            ("/front-desk", resolve("urn:uuid:x").replace(MESSAGE_ID, b""), "MessageInformationHeaderRequired"),
            ("/front-desk", envelope(WS_2005_04.action("Resolve"), "<wscn:X/>"), "InvalidArgs"),
            ("/", envelope(f"{WSCN}/GetJobElements"), "ActionNotSupported"),
            ("/front-desk", envelope(WS_2005_04.action("Hello")), "ActionNotSupported")):
        head, body = await ask(service.port, path, message)
        assert (head.status, fault_of(read(body))) == (400, code)


@pytest_twisted.ensureDeferred
async def test_the_stand_in_of_an_unreachable_scanner_does_not_match(gateway):
    service = await gateway("http://127.0.0.1:1/scan")
    await until(lambda: service.scanner.device.reachable is False)
    assert await found(service, "/", probe()) == []
    head, body = await ask(service.port, "/front-desk", GET)
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError")


@pytest_twisted.ensureDeferred
async def test_clients_get_the_advertised_address(bridged):
    service = await bridged(listen=[{"endpoint": "tcp:0:interface=127.0.0.1", "advertise": "http://192.0.2.5:80"}],
                            events={"address": "http://127.0.0.1:1"})
    [(_, xaddrs)] = await found(service, "/", probe())
    assert xaddrs == "http://192.0.2.5:80/front-desk"
    _, body = await ask(service.port, "/front-desk", GET)
    assert scan_service_addresses(read(body)) == ("http://192.0.2.5:80/front-desk/scan",)


@pytest_twisted.ensureDeferred
async def test_the_endpoint_of_a_device_is_requested_if_its_address_has_no_uuid(gateway, device, monkeypatch):
    monkeypatch.setattr(standin, "PATIENCE", 0.2)
    service = await gateway(None, scanner={"device": f"http://127.0.0.1:{device.port}/wsd"})
    await until(lambda: device.requests)
    before = len(device.requests)
    for _ in range(3):
        assert await found(service, "/", probe()) == []  # the device does not answer
    assert len(device.requests) <= before + 1  # and is not asked again in the meantime
    metadata = envelope(f"{WXF}/GetResponse", (
        f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:Relationship><d:Host><wsa:EndpointReference><wsa:Address>'
        "urn:uuid:its-own</wsa:Address></wsa:EndpointReference></d:Host><d:Hosted><wsa:EndpointReference>"
        f"<wsa:Address>{device.url}</wsa:Address></wsa:EndpointReference><d:Types>wscn:ScannerServiceType</d:Types>"
        "</d:Hosted></d:Relationship></m:Metadata>"))
    device.handle = lambda asked: asked.answer(metadata)
    for asked in device.requests:
        asked.answer(metadata)
    [(endpoint, _)] = await found(service, "/", probe())
    assert endpoint == derived_endpoint("urn:uuid:its-own")
    service.scanner.stand_in.metadata.forget()
    device.handle = lambda asked: asked.answer(b"", b"503 Busy")
    head, body = await ask(service.port, "/front-desk", GET)
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError")
    assert await found(service, "/", resolve(endpoint)) == [(endpoint, f"http://127.0.0.1:{service.port}/front-desk")]
