"""Scanners configured by UUID: found by directed Probe and by multicast, and followed to new addresses."""

import socket

import pytest
import pytest_twisted

from tests.loopback.announcing import OTHER, SPELLED, hello
from tests.loopback.clients import found, probe, resolve
from tests.loopback.scanners import UUID, Metadata
from tests.messages import GET, envelope
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_bye, write_hello, write_matches, write_probe
from wsdgateway.net.discovery import multicast
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSDP

pytestmark = pytest.mark.usefixtures("soon")


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_ignores_multicast_is_found_by_directed_probe_and_followed(finding, virtual):
    scanner = await virtual(scopes=("http://floor/3",))
    port = scanner.base.rpartition(":")[2]
    service = await finding(directed=["http://127.0.0.1:1", scanner.base, f"127.0.0.2:{port}"])
    await until(service.found)
    assert service.scanner.bridge.device == scanner.scan_url
    [(endpoint, _)] = await found(service, "/", probe(scopes="<d:Scopes>http://floor</d:Scopes>"))
    assert endpoint == derived_endpoint(UUID)
    assert await found(service, "/", probe(scopes="<d:Scopes>http://cellar</d:Scopes>")) == []
    await scanner.stopService()
    again = await virtual(endpoint=f"tcp:{port}:interface=127.0.0.2")
    await until(lambda: service.scanner.bridge.device == again.scan_url)
    await until(lambda: again.soap.asked["Subscribe"] == 1)
    await until(service.found)


@pytest_twisted.ensureDeferred
async def test_found_by_multicast_and_announced(finding, virtual, own_link):
    await virtual(interfaces=("lo",), scopes=("http://floor/3",))
    service = await finding(device_interfaces=["lo"], client_interfaces=["lo"])
    await until(service.found)
    ours = derived_endpoint(UUID)
    await until(lambda: [one for one in own_link.received if one.name == "Hello" and one.content[0].endpoint == ours])
    own_link.received.clear()
    own_link.ask(write_probe(((WSDP, "Device"),), message_id="urn:uuid:test-1"))
    await until(lambda: {ours, UUID} == {
        one.content[0].endpoint for one in own_link.received if one.relates_to == "urn:uuid:test-1"})
    [stand_in] = {one.content[0] for one in own_link.received if one.relates_to and one.content[0].endpoint == ours}
    assert stand_in.xaddrs == (f"http://127.0.0.1:{service.port}/front-desk",)
    assert stand_in.scopes == ("http://floor/3",)
    own_link.received.clear()
    await service.stopService()
    await until(lambda: [one.content[0].endpoint for one in own_link.received if one.name == "Bye"] == [ours] * 2)


@pytest_twisted.ensureDeferred
async def test_found_by_multicast_again_after_a_reboot(finding, virtual):
    scanner = await virtual(interfaces=("lo",))
    service = await finding(device_interfaces=["lo"])
    await until(service.found)
    before = scanner.soap.asked["Renew"] + scanner.soap.asked["Subscribe"]
    scanner.reboot(0.05)
    await until(lambda: scanner.soap.asked["Renew"] + scanner.soap.asked["Subscribe"] > before)
    await until(lambda: service.found() and service.scanner.monitor.reachable)


@pytest_twisted.ensureDeferred
async def test_addresses_are_tried_in_order_and_a_hello_without_any_is_resolved(finding, device, own_link):
    Metadata(device)
    service = await finding(device_interfaces=["lo"], search=60)
    hello(own_link, device, xaddrs=())
    await until(lambda: [one for one in own_link.received if one.name == "Resolve" and one.content.endpoint == UUID])
    hello(own_link, device, number=2, xaddrs=(
        "https://127.0.0.1:1/x", "http://127.0.0.1:1/nobody", f"http://127.0.0.1:{device.port}/d"))
    await until(lambda: service.scanner.bridge.device == device.url)


@pytest_twisted.ensureDeferred
async def test_another_device_at_the_scanners_address_is_not_used(finding, device, own_link, said):
    Metadata(device, endpoint=OTHER)
    service = await finding(device_interfaces=["lo"], search=60)
    hello(own_link, device)
    await until(lambda: any(f"another device is at this address, {OTHER}; searching again" in line for line in said))
    assert service.scanner.bridge.device is None


@pytest.mark.parametrize("spelled", SPELLED)
@pytest_twisted.ensureDeferred
async def test_a_scanner_is_recognised_in_any_spelling_of_its_uuid(finding, device, own_link, spelled):
    metadata = Metadata(device, endpoint=spelled)
    service = await finding(device_interfaces=["lo"], scanner={"events": "off"}, search=60)
    hello(own_link, device, xaddrs=(), endpoint=spelled)
    await until(lambda: [one for one in own_link.received if one.name == "Resolve" and one.content.endpoint == spelled])
    hello(own_link, device, number=2, endpoint=spelled)
    await until(lambda: service.scanner.bridge.device == device.url)
    _, body = await ask(service.port, "/front-desk", GET)
    ours = read(body).body.findtext(f".//{{{WSDP}}}Host/{{{WSA}}}EndpointReference/{{{WSA}}}Address")
    assert ours == derived_endpoint(UUID)
    assert set(metadata.to) == {spelled}  # the scanner may compare it as text
    await ask(service.port, "/front-desk/scan", envelope("urn:vendor/Op", "<wscn:X/>", to=ours.removeprefix("urn:")))
    assert read(device.requests[-1].request.body).to == spelled
    assert len(await found(service, "/", resolve(ours.removeprefix("urn:")))) == 1
    own_link.announce(write_bye(spelled.swapcase(), sequence=Sequence(1, 9), message_id="urn:uuid:test-bye"))
    await until(lambda: service.scanner.monitor.reachable is False)


@pytest_twisted.ensureDeferred
async def test_metadata_gives_the_spelling_of_the_endpoint_without_discovery(gateway, device):
    description = Metadata(device, endpoint=f"uuid:{UUID[9:]}")
    service = await gateway(None, scanner={
        "device": f"http://127.0.0.1:{device.port}/{UUID[9:].upper()}", "events": "off"})
    await until(lambda: service.scanner.bridge.device == device.url)
    for _ in range(2):
        service.scanner.stand_in.metadata.forget()
        await ask(service.port, "/front-desk", GET)
    assert description.to[0] == f"urn:uuid:{UUID[9:].upper()}"
    assert description.to[-1] == description.endpoint
    assert service.scanner.bridge.endpoints == (derived_endpoint(UUID), description.endpoint)


def say(data, sender="127.0.0.1"):
    """Multicasts data on loopback from an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sending.bind((sender, 0))
        sending.sendto(data, (multicast.GROUPS[4], multicast.PORT))


@pytest.mark.parametrize("by", ["Hello", "directed Probe", "ResolveMatches"])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_announces_a_host_name_is_reached_at_its_source_address(
        finding, device, own_link, monkeypatch, by):
    metadata = Metadata(device)
    metadata.host = "acme-0001"
    looked_up = []
    monkeypatch.setattr("wsdgateway.net.transport.resolver.Resolver.resolveHostName",
                        lambda self, receiver, name, *more, **others: looked_up.append(name))
    service = await finding(device_interfaces=["lo"], scanner={"events": "off"}, search=60, directed=(
        [device.url] if by == "directed Probe" else []))
    scanner = TargetService(UUID, (), (), (f"http://acme-0001:{device.port}/d",), 1)
    if by == "Hello":
        say(write_hello(scanner, sequence=Sequence(1, 1), message_id="urn:uuid:test-1"))
    elif by == "ResolveMatches":  # with the query's own MessageID
        await until(lambda: [one for one in own_link.received if one.name == "Resolve"])
        asked = next(one.message_id for one in own_link.received if one.name == "Resolve")
        say(write_matches("ResolveMatches", [scanner], version=WS_2005_04, sequence=Sequence(1, 2), relates_to=asked,
                          message_id=asked))
    await until(lambda: service.scanner.bridge.device == device.url)
    _, body = await ask(service.port, "/front-desk", GET)
    assert b"acme-0001" not in body
    assert looked_up == []


@pytest_twisted.ensureDeferred
async def test_changed_metadata_may_name_another_scan_service(gateway, device, own_link):
    metadata = Metadata(device)
    service = await gateway(None, scanner={"device": f"http://127.0.0.1:{device.port}/{UUID[9:]}", "events": "off"},
                            discovery={"device_interfaces": ["lo"], "search": 60})
    await until(lambda: service.scanner.bridge.device == device.url)
    hello(own_link, device)
    device.url = device.url.replace("/scan", "/other")
    hello(own_link, device, number=2, version=2)
    await until(lambda: service.scanner.bridge.device == device.url)
    assert metadata.asked >= 2
