"""Scanners that are switched on late or start slowly: they are found once they answer, and announced only then."""

from ipaddress import ip_interface

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.clients import found, probe
from tests.messages import GET, envelope, get_scanner_elements, scanner_elements, subscribe
from tests.peers import Device, ask
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint
from wsdgateway.discovery.messages import Sequence, TargetService, read_message
from wsdgateway.discovery.writing import write_hello
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.transport.interfaces import Interface
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSDP, WSX, WXF

UUID = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca"
DESCRIPTION = get_scanner_elements("ScannerDescription")
SCAN = "/front-desk/scan"


def metadata(scan=None):
    """Returns a device's metadata, with the address of its scan service if there is one."""
    hosted = "" if scan is None else (
        f"<d:Hosted><wsa:EndpointReference><wsa:Address>{scan}</wsa:Address></wsa:EndpointReference>"
        "<d:Types>wscn:ScannerServiceType</d:Types></d:Hosted>")
    return envelope(f"{WXF}/GetResponse", (
        f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:Relationship><d:Host><wsa:EndpointReference><wsa:Address>'
        f"{UUID}</wsa:Address></wsa:EndpointReference></d:Host>{hosted}</d:Relationship></m:Metadata>"))


@pytest.fixture
def late():
    """A device that is absent until `await late.start(late.port)`; `late.scan` is the scan address in its metadata."""
    made = Device()

    async def find_port():
        await made.start()
        await made.stop()

    def take(asked):
        action = read(asked.request.body).action
        if action == f"{WXF}/Get":
            asked.answer(metadata(made.scan))
        elif action.endswith("/GetScannerElements"):
            asked.answer(scanner_elements("ScannerDescription"))
        else:
            asked.answer(b"", b"503 Busy")

    pytest_twisted.blockon(ensureDeferred(find_port()))
    made.scan, made.handle = made.url, take
    made.device_url = f"http://127.0.0.1:{made.port}/wsd"
    yield made
    pytest_twisted.blockon(ensureDeferred(made.stop()))


@pytest.fixture
def patience(monkeypatch):
    """Keeps the gateway from retrying by itself."""
    for name in ("backoff.FIRST", "backoff.LONGEST_AWAY", "location.LONGEST_PAUSE"):
        monkeypatch.setattr(f"wsdgateway.bridge.discovery.{name}", 60.0)
    monkeypatch.setattr("wsdgateway.net.presence.metadatacache.LONGEST_PAUSE", 60.0)


async def tried(said):
    """Waits until the gateway's first attempt to find the scan service has failed."""
    await until(lambda: any("the scan service was not found" in line for line in said))


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_answers_get_is_ready_to_scan(gateway, late, patience, said):
    service = await gateway(None, scanner={"device": late.device_url, "events": "off"})
    await tried(said)
    assert await found(service, "/", probe()) == []
    head, body = await ask(service.port, "/front-desk", GET)
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError")
    await late.start(late.port)
    head, _ = await ask(service.port, "/front-desk", GET)
    assert head.status == 200
    head, _ = await ask(service.port, SCAN, DESCRIPTION)
    assert head.status == 200
    assert await found(service, "/", probe()) == [
        (derived_endpoint(UUID), f"http://127.0.0.1:{service.port}/front-desk")]


@pytest.mark.parametrize("by", ["device", "uuid"])
@pytest.mark.parametrize("message", [DESCRIPTION, subscribe("http://127.0.0.1:1/", events=["JobStatusEvent"])])
@pytest_twisted.ensureDeferred
async def test_a_clients_request_makes_the_gateway_search(gateway, late, patience, monkeypatch, by, message, said):
    monkeypatch.setattr("wsdgateway.net.presence.monitor.LOCATE_SECONDS", 0.0)
    discovery = {"device_interfaces": ["lo"], "search": 60} if by == "uuid" else {}
    service = await gateway(None, discovery=discovery, scanner={
        **({"uuid": UUID} if by == "uuid" else {"device": late.device_url}), "events": "off"})
    if by == "uuid":
        await sighted(late)
    await tried(said)
    head, body = await ask(service.port, SCAN, DESCRIPTION)
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError")
    await late.start(late.port)
    await ask(service.port, SCAN, message)
    await until(lambda: service.scanner.bridge.device is not None)
    assert service.scanner.bridge.device == late.url
    head, _ = await ask(service.port, SCAN, DESCRIPTION)
    assert head.status == 200


async def sighted(late):
    """Announces the device, which does not answer yet."""
    from twisted.internet import reactor

    link = Link(reactor, Interface("lo", 1, (ip_interface("127.0.0.1/8"),)), 4, has_own_port=True,
                on_datagram=lambda *said: None)
    link.announce(write_hello(TargetService(UUID, (), (), (late.device_url,), 1), sequence=Sequence(1, 1),
                              message_id="urn:uuid:late-1"))
    await link.close()


@pytest_twisted.ensureDeferred
async def test_frequent_requests_do_not_cause_frequent_searches(gateway, late, patience, said):
    service = await gateway(None, scanner={"device": late.device_url, "events": "off"})
    await tried(said)
    late.handle = lambda asked: asked.answer(b"", b"503 Busy")
    await late.start(late.port)
    for _ in range(20):
        await ask(service.port, SCAN, DESCRIPTION)
    await until(lambda: late.requests)
    assert len(late.requests) <= 2


@pytest.mark.parametrize("is_ready", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_scanner_is_announced_once_its_scan_service_is_known(gateway, late, monkeypatch, is_ready, said):
    from twisted.internet import reactor

    for name in ("location.LONGEST_PAUSE", "backoff.LONGEST_AWAY"):
        monkeypatch.setattr(f"wsdgateway.bridge.discovery.{name}", 0.1)
    received = []
    own_link = Link(reactor, Interface("lo", 1, (ip_interface("127.0.0.1/8"),)), 4, has_own_port=False,
               on_datagram=lambda link, data, host, port, answer: received.append((
                   read_message(data), service.scanner.bridge.device)))
    try:
        late.scan = late.url if is_ready else None
        service = await gateway(None, scanner={"device": late.device_url, "events": "off"}, discovery={
            "client_interfaces": ["lo"], "announce_rate": 10000})
        await tried(said)
        await late.start(late.port)
        if not is_ready:  # it answers, but has no scan service yet
            await until(lambda: len(late.requests) >= 3)
            head, _ = await ask(service.port, "/front-desk", GET)
            assert head.status == 500
            assert await found(service, "/", probe()) == []
            assert received == []
            late.scan = late.url
        await until(lambda: received)
        message, where = received[0]
        assert (message.name, message.content[0].endpoint, where) == ("Hello", derived_endpoint(UUID), late.url)
        head, _ = await ask(service.port, SCAN, DESCRIPTION)
        assert head.status == 200
    finally:
        await own_link.close()


@pytest_twisted.ensureDeferred
async def test_a_moved_scan_service_is_found_with_the_next_metadata(gateway, late):
    await late.start(late.port)
    service = await gateway(None, scanner={"device": late.device_url, "events": "off"})
    await until(lambda: service.scanner.bridge.device == late.url)
    elsewhere = Device()
    elsewhere.handle = late.handle
    await elsewhere.start()
    try:
        late.scan = elsewhere.url
        service.scanner.stand_in.metadata.forget()
        await ask(service.port, "/front-desk", GET)
        assert service.scanner.bridge.device == elsewhere.url
        head, _ = await ask(service.port, SCAN, DESCRIPTION)
        assert head.status == 200
        assert elsewhere.requests
    finally:
        await elsewhere.stop()
