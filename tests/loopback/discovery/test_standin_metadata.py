"""Metadata of stand-ins: names and endpoints."""

import json

import pytest
import pytest_twisted

from tests.loopback.announcing import ADOPT, OTHER, has_asked_for_adoption, hello
from tests.loopback.clients import found, get, probe
from tests.loopback.scanners import UUID, Metadata
from tests.messages import GET, envelope
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint, proxy_service
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2008_09
from wsdgateway.discovery.writing import write_hello, write_probe
from wsdgateway.metadata.messages import scan_service_addresses
from wsdgateway.metadata.standin import find_metadata, host_endpoint, is_stand_in
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSDP
from wsdgateway.storage.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("soon")


@pytest_twisted.ensureDeferred
async def test_changed_metadata_raises_the_announced_version(finding, device, own_link):
    metadata = Metadata(device)
    service = await finding(device_interfaces=["lo"], client_interfaces=["lo"], suffix=" (gateway)", search=60)
    hello(own_link, device)
    await until(lambda: service.scanner.stand_in.service)
    assert service.scanner.stand_in.service.metadata_version == 1
    _, body = await ask(service.port, "/front-desk", GET)
    assert b">Copy Room (gateway)<" in body
    metadata.name = "Hall"
    own_link.received.clear()
    hello(own_link, device, number=2, version=2)
    await until(lambda: service.scanner.stand_in.service.metadata_version == 2)
    _, body = await ask(service.port, "/front-desk", GET)
    assert b">Hall (gateway)<" in body
    ours = derived_endpoint(UUID)
    await until(lambda: [one for one in own_link.received if one.name == "Hello" and one.content[0].endpoint == ours
                         and one.content[0].metadata_version == 2])
    asked = metadata.asked
    hello(own_link, device, number=3, version=2)  # nothing new
    await until(lambda: [one for one in own_link.received if one.message_id == "urn:uuid:test-1-3"])
    assert metadata.asked == asked


@pytest_twisted.ensureDeferred
async def test_identity_same_keeps_the_scanners_uuid(finding, device, own_link):
    Metadata(device)
    service = await finding(device_interfaces=["lo"], scanner={"identity": "same"}, search=60)
    hello(own_link, device)
    await until(lambda: service.scanner.bridge.device)
    _, body = await ask(service.port, "/front-desk", GET)
    assert read(body).body.findtext(f".//{{{WSDP}}}Host/{{{WSA}}}EndpointReference/{{{WSA}}}Address") == UUID


@pytest_twisted.ensureDeferred
async def test_to_with_the_stand_ins_uuid_is_rewritten_to_the_scanners(finding, device, own_link):
    Metadata(device)
    service = await finding(device_interfaces=["lo"], scanner={"events": "off"}, search=60)
    hello(own_link, device)
    await until(lambda: service.scanner.bridge.device)
    for to, expected in ((derived_endpoint(UUID).upper(), UUID), ("urn:uuid:x", "urn:uuid:x")):
        await ask(service.port, "/front-desk/scan", envelope("urn:vendor/Op", "<wscn:X/>", to=to))
        assert read(device.requests[-1].request.body).to == expected


@pytest.mark.parametrize("friendly", ["", "198.51.100.20", "http://[fe80::20]:80/"])
@pytest_twisted.ensureDeferred
async def test_the_api_shows_the_stand_ins_friendly_name(gateway, device, friendly):
    Metadata(device, name=friendly)
    service = await gateway(None, scanner={"events": "off", "device": f"http://127.0.0.1:{device.port}/wsd"})
    _, body = await ask(service.port, "/front-desk", GET)
    assert b"FriendlyName>Acme 3000<" in body
    [scanner] = json.loads((await get(service.admin_port, b"/api/scanners"))[2])
    assert scanner["friendly_name"] == "Acme 3000"


@pytest.mark.parametrize("by", ["device", "uuid"])
@pytest_twisted.ensureDeferred
async def test_a_scanner_whose_metadata_has_no_host_is_bridged(gateway, device, own_link, by):
    Metadata(device, name="198.51.100.20", has_host=False)
    service = await gateway(None, scanner={"events": "off", **(
        {"uuid": UUID} if by == "uuid" else {"device": f"http://127.0.0.1:{device.port}/wsd"})}, discovery={
            "client_interfaces": ["lo"], "device_interfaces": ["lo"], "announce_rate": 10000, "search": 60})
    if by == "uuid":
        hello(own_link, device)
    ours = derived_endpoint(UUID if by == "uuid" else "front-desk")
    await until(lambda: [one for one in own_link.received if one.name == "Hello" and one.content[0].endpoint == ours])
    for path in ("/", "/front-desk"):
        [(endpoint, _)] = await found(service, path, probe())
        assert endpoint == ours
    _, body = await ask(service.port, "/front-desk", GET)
    metadata = find_metadata(read(body).body)
    assert (host_endpoint(metadata), is_stand_in(metadata)) == (ours, True)
    assert b">Acme 3000<" in body and b"198.51.100.20" not in body
    second = await gateway(None, discovery={**ADOPT["discovery"], "search": 60})
    own_link.announce(write_hello(TargetService(OTHER, (), (), (f"http://127.0.0.1:{service.port}/front-desk",), 1),
                             sequence=Sequence(1, 1), message_id="urn:uuid:test-other"))
    await until(lambda: has_asked_for_adoption(second))
    assert second.scanners == []
    hello(own_link, device, number=2, version=2)
    await until(lambda: [one.name for one in second.scanners] == ["acme-3000"])
    await until(lambda: second.scanners[0].bridge.device == device.url)
    await ask(second.port, "/acme-3000", GET)
    [scanner] = json.loads((await get(second.admin_port, b"/api/scanners"))[2])
    assert scanner["friendly_name"] == "Acme 3000"


@pytest_twisted.ensureDeferred
async def test_a_proxy_answers_over_http_for_every_scanner(finding, virtual, own_link):
    scanner = await virtual()
    service = await finding(directed=[scanner.base], client_interfaces=["lo"], proxy=True, more={
        "gateway": {"state": "memory:", "name": "gw"}})
    await until(service.found)
    proxy = proxy_service("gw")
    own_link.ask(write_probe(proxy.types[:1], message_id="urn:uuid:test-9"))
    await until(lambda: [one for one in own_link.received if one.relates_to == "urn:uuid:test-9"])
    [match] = next(one.content for one in own_link.received if one.relates_to == "urn:uuid:test-9")
    assert (match.endpoint, match.xaddrs) == (proxy.endpoint, (f"http://127.0.0.1:{service.port}/",))
    [(endpoint, xaddrs)] = await found(service, "/", probe(WS_2008_09), WS_2008_09)
    _, body = await ask(service.port, xaddrs.removeprefix(f"http://127.0.0.1:{service.port}"), GET)
    assert scan_service_addresses(read(body)) == (f"{xaddrs}/scan",)
    assert endpoint == derived_endpoint(UUID)


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_a_failing_store_does_not_hide_a_scanner(gateway, virtual, monkeypatch):
    scanner = await virtual()

    def fail(store, endpoint, digest):
        raise OSError("the disk is full")

    monkeypatch.setattr(MemoryStore, "metadata_version", fail)
    service = await gateway(scanner.scan_url)
    head, _ = await ask(service.port, "/front-desk", GET)
    assert head.status == 200


@pytest_twisted.ensureDeferred
async def test_a_gateway_does_not_use_another_gateways_stand_in_as_a_scanner(gateway, virtual, own_link, said):
    scanner = await virtual()
    first = await gateway(None, scanner={"device": scanner.device_url, "identity": "same"})
    await until(lambda: first.scanner.bridge.table.listening)
    second = await gateway(None, scanner={"name": "again", "uuid": UUID}, discovery={
        "device_interfaces": ["lo"], "adopt": True, "search": 60})
    stand_in = f"http://127.0.0.1:{first.port}/front-desk"
    for number, endpoint in enumerate((UUID, OTHER)):
        own_link.announce(write_hello(TargetService(endpoint, (), (), (stand_in,), 1), sequence=Sequence(1, 1),
                                 message_id=f"urn:uuid:test-{number}"))
    await until(lambda: any("a gateway's stand-in is at this address" in line and "searching again" in line
                            for line in said))
    await until(lambda: has_asked_for_adoption(second))
    assert second.scanner.bridge.device is None
    assert len(second.scanners) == 1
