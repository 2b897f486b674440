"""Scanners that are found: by directed Probe, and by multicast on loopback; followed, adopted, announced."""

import json
import socket
from ipaddress import ip_interface

import attrs
import pytest
import pytest_twisted

from tests.loopback.clients import found, get, probe, resolve, until
from tests.loopback.scanners import UUID, Metadata
from tests.messages import envelope
from tests.peers import ask
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.discovery.presence import derived_endpoint, proxy_service
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.cli.discover import search, show
from wsdgateway.discovery.messages import MAX_ENVELOPE, Sequence, TargetService, message_in, read_message
from wsdgateway.discovery.versions import WS_2005_04, WS_2008_09
from wsdgateway.discovery.writing import write_bye, write_hello, write_matches, write_probe
from wsdgateway.metadata.messages import Labels, scan_service_addresses
from wsdgateway.metadata.standin import find_metadata, host_endpoint, is_stand_in
from wsdgateway.net.discovery import multicast
from wsdgateway.net.discovery.adoption import Found
from wsdgateway.net.discovery.client import probe_directly
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.survey import Surveyed
from wsdgateway.net.scanners.address import usable
from wsdgateway.net.transport.interfaces import Interface
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSA, WSDP, WXF
from wsdgateway.soap.parsing import Malformed

OTHER = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
GET = envelope(f"{WXF}/Get")
LO = Interface("lo", 1, (ip_interface("127.0.0.1/8"),))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """No test waits for the repeat of a message, or until a scanner may be asked again."""
    monkeypatch.setattr("wsdgateway.discovery.schedule.MAX_DELAY", 0.05)
    monkeypatch.setattr("wsdgateway.bridge.events.upstream.RECHECK", 0.1)


@pytest.fixture
def ear():
    """A link on loopback of the test's own: what it hears is in `ear.heard`."""
    from twisted.internet import reactor

    heard = []
    made = Link(reactor, LO, 4, asks=True,
                heard=lambda link, data, host, port, answer: heard.append(read_message(data)))
    made.heard = heard
    yield made
    pytest_twisted.blockon(made.close())


@pytest.fixture
def finding(gateway):
    """A gateway that finds its scanner by uuid: `await finding(uuid, **discovery)`."""

    async def start(uuid=UUID, *, scanner=None, more=None, **discovery):
        service = await gateway(None, scanner={"uuid": uuid, **(scanner or {})}, discovery={
            "search": 0.5, "announce_rate": 10000, **discovery}, **(more or {}))
        service.found = lambda: service.scanner.bridge.table.listening
        return service

    return start


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
async def test_found_by_multicast_and_announced(finding, virtual, ear):
    scanner = await virtual(interfaces=("lo",), scopes=("http://floor/3",))
    service = await finding(device_interfaces=["lo"], client_interfaces=["lo"])
    await until(service.found)
    ours = derived_endpoint(UUID)
    await until(lambda: [one for one in ear.heard if one.name == "Hello" and one.content[0].endpoint == ours])
    ear.heard.clear()
    ear.ask(write_probe(((WSDP, "Device"),), message_id="urn:uuid:test-1"))
    await until(lambda: {one.content[0].endpoint for one in ear.heard if one.relates_to == "urn:uuid:test-1"} == {
        ours, UUID})
    [stand_in] = {one.content[0] for one in ear.heard if one.relates_to and one.content[0].endpoint == ours}
    assert stand_in.xaddrs == (f"http://127.0.0.1:{service.port}/front-desk",)
    assert stand_in.scopes == ("http://floor/3",)
    # It has started again, with other things to tell.
    before = scanner.soap.asked["Renew"] + scanner.soap.asked["Subscribe"]
    scanner.reboot(0.05)
    await until(lambda: scanner.soap.asked["Renew"] + scanner.soap.asked["Subscribe"] > before)
    await until(service.found)
    ear.heard.clear()
    await service.stopService()
    assert [one.content[0].endpoint for one in ear.heard if one.name == "Bye"] == [ours] * 2


def hello(ear, device, instance=1, number=1, version=1, xaddrs=None, endpoint=UUID):
    xaddrs = (f"http://127.0.0.1:{device.port}/d",) if xaddrs is None else xaddrs
    ear.announce(write_hello(TargetService(endpoint, (), (), xaddrs, version), sequence=Sequence(instance, number),
                             message_id=f"urn:uuid:test-{instance}-{number}"))


@pytest_twisted.ensureDeferred
async def test_new_metadata_raises_the_version_that_clients_are_told(finding, device, ear):
    told = Metadata(device)
    service = await finding(device_interfaces=["lo"], client_interfaces=["lo"], suffix=" (gateway)", search=60)
    hello(ear, device)
    await until(lambda: service.scanner.stand_in.service)
    assert service.scanner.stand_in.service.metadata_version == 1
    _, body = await ask(service.port, "/front-desk", GET)
    assert b">Copy Room (gateway)<" in body
    told.name = "Hall"
    ear.heard.clear()
    hello(ear, device, number=2, version=2)
    await until(lambda: service.scanner.stand_in.service.metadata_version == 2)
    _, body = await ask(service.port, "/front-desk", GET)
    assert b">Hall (gateway)<" in body
    ours = derived_endpoint(UUID)
    await until(lambda: [one for one in ear.heard if one.name == "Hello" and one.content[0].endpoint == ours
                         and one.content[0].metadata_version == 2])
    asked = told.asked
    hello(ear, device, number=3, version=2)  # nothing new
    await until(lambda: [one for one in ear.heard if one.message_id == "urn:uuid:test-1-3"])
    assert told.asked == asked


@pytest_twisted.ensureDeferred
async def test_addresses_are_tried_in_order_and_a_hello_without_any_is_resolved(finding, device, ear):
    Metadata(device)
    service = await finding(device_interfaces=["lo"], search=60)
    hello(ear, device, xaddrs=())
    await until(lambda: [one for one in ear.heard if one.name == "Resolve" and one.content.endpoint == UUID])
    hello(ear, device, number=2, xaddrs=(
        "https://127.0.0.1:1/x", "http://127.0.0.1:1/nobody", f"http://127.0.0.1:{device.port}/d"))
    await until(lambda: service.scanner.bridge.device == device.url)


@pytest_twisted.ensureDeferred
async def test_another_device_at_its_address_is_not_taken_for_it(finding, device, ear):
    told = Metadata(device, endpoint=OTHER)
    service = await finding(device_interfaces=["lo"], search=60)
    hello(ear, device)
    await until(lambda: told.asked)
    await until(lambda: service.scanner.monitor._locator._timer is not None)
    assert service.scanner.bridge.device is None


@pytest_twisted.ensureDeferred
async def test_the_scanners_own_uuid_on_request(finding, device, ear):
    Metadata(device)
    service = await finding(device_interfaces=["lo"], scanner={"identity": "same"}, search=60)
    hello(ear, device)
    await until(lambda: service.scanner.bridge.device)
    _, body = await ask(service.port, "/front-desk", GET)
    assert read(body).body.findtext(f".//{{{WSDP}}}Host/{{{WSA}}}EndpointReference/{{{WSA}}}Address") == UUID


@pytest_twisted.ensureDeferred
async def test_to_the_stand_ins_uuid_becomes_the_scanners(finding, device, ear):
    Metadata(device)
    service = await finding(device_interfaces=["lo"], scanner={"events": "off"}, search=60)
    hello(ear, device)
    await until(lambda: service.scanner.bridge.device)
    for to, expected in ((derived_endpoint(UUID).upper(), UUID), ("urn:uuid:x", "urn:uuid:x")):
        await ask(service.port, "/front-desk/scan", envelope("urn:vendor/Op", "<wscn:X/>", to=to))
        assert read(device.requests[-1].request.body).to == expected


SPELLED = [UUID.removeprefix("urn:"), UUID.upper(), f"uuid:{UUID[9:].upper()}", f"urn:uuid:{{{UUID[9:]}}}"]


@pytest.mark.parametrize("spelled", SPELLED)
@pytest_twisted.ensureDeferred
async def test_a_scanner_is_the_same_however_it_spells_its_uuid(finding, device, ear, spelled):
    told = Metadata(device, endpoint=spelled)
    service = await finding(device_interfaces=["lo"], scanner={"events": "off"}, search=60)
    hello(ear, device, xaddrs=(), endpoint=spelled)
    await until(lambda: [one for one in ear.heard if one.name == "Resolve" and one.content.endpoint == spelled])
    hello(ear, device, number=2, endpoint=spelled)
    await until(lambda: service.scanner.bridge.device == device.url)
    _, body = await ask(service.port, "/front-desk", GET)
    ours = read(body).body.findtext(f".//{{{WSDP}}}Host/{{{WSA}}}EndpointReference/{{{WSA}}}Address")
    assert ours == derived_endpoint(UUID)
    assert set(told.to) == {spelled}  # it may compare it as text
    await ask(service.port, "/front-desk/scan", envelope("urn:vendor/Op", "<wscn:X/>", to=ours.removeprefix("urn:")))
    assert read(device.requests[-1].request.body).to == spelled
    assert len(await found(service, "/", resolve(ours.removeprefix("urn:")))) == 1
    ear.announce(write_bye(spelled.swapcase(), sequence=Sequence(1, 9), message_id="urn:uuid:test-bye"))
    await until(lambda: service.scanner.monitor.reachable is False)


@pytest_twisted.ensureDeferred
async def test_metadata_tells_the_spelling_where_discovery_does_not(gateway, device):
    told = Metadata(device, endpoint=f"uuid:{UUID[9:]}")
    service = await gateway(None, scanner={
        "device": f"http://127.0.0.1:{device.port}/{UUID[9:].upper()}", "events": "off"})
    await until(lambda: service.scanner.bridge.device == device.url)
    for _ in range(2):
        service.scanner.stand_in.metadata.forget()
        await ask(service.port, "/front-desk", GET)
    assert told.to[0] == f"urn:uuid:{UUID[9:].upper()}"
    assert told.to[-1] == told.endpoint
    assert service.scanner.bridge.endpoints == (derived_endpoint(UUID), told.endpoint)


def say(data, sender="127.0.0.1"):
    """Tell everybody on loopback something, from that address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sending.bind((sender, 0))
        sending.sendto(data, (multicast.GROUPS[4], multicast.PORT))


@pytest.mark.parametrize("by", ["Hello", "directed Probe", "ResolveMatches"])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_knows_itself_by_a_name_is_asked_where_it_spoke(finding, device, ear, monkeypatch, by):
    told = Metadata(device)
    told.host = "acme-0001"
    looked_up = []
    monkeypatch.setattr("wsdgateway.net.transport.resolver.Resolver.resolveHostName",
                        lambda self, receiver, name, *more, **others: looked_up.append(name))
    service = await finding(device_interfaces=["lo"], scanner={"events": "off"}, search=60, directed=(
        [device.url] if by == "directed Probe" else []))
    scanner = TargetService(UUID, (), (), (f"http://acme-0001:{device.port}/d",), 1)
    if by == "Hello":
        say(write_hello(scanner, sequence=Sequence(1, 1), message_id="urn:uuid:test-1"))
    elif by == "ResolveMatches":  # with the question's own MessageID
        await until(lambda: [one for one in ear.heard if one.name == "Resolve"])
        asked = next(one.message_id for one in ear.heard if one.name == "Resolve")
        say(write_matches("ResolveMatches", [scanner], version=WS_2005_04, sequence=Sequence(1, 2), relates_to=asked,
                          message_id=asked))
    await until(lambda: service.scanner.bridge.device == device.url)
    _, body = await ask(service.port, "/front-desk", GET)
    assert b"acme-0001" not in body
    assert looked_up == []


@pytest.mark.parametrize("friendly", ["", "198.51.100.20", "http://[fe80::20]:80/"])
@pytest_twisted.ensureDeferred
async def test_the_api_has_the_name_that_clients_are_told(gateway, device, friendly):
    Metadata(device, name=friendly)
    service = await gateway(None, scanner={"events": "off", "device": f"http://127.0.0.1:{device.port}/wsd"})
    _, body = await ask(service.port, "/front-desk", GET)
    assert b"FriendlyName>Acme 3000<" in body
    [scanner] = json.loads((await get(service.admin_port, b"/api/scanners"))[2])
    assert scanner["friendly_name"] == "Acme 3000"


@pytest.mark.parametrize("by", ["device", "uuid"])
@pytest_twisted.ensureDeferred
async def test_a_scanner_whose_metadata_has_no_host_is_bridged_all_the_same(gateway, device, ear, by):
    Metadata(device, name="198.51.100.20", has_host=False)
    service = await gateway(None, scanner={"events": "off", **(
        {"uuid": UUID} if by == "uuid" else {"device": f"http://127.0.0.1:{device.port}/wsd"})}, discovery={
            "client_interfaces": ["lo"], "device_interfaces": ["lo"], "announce_rate": 10000, "search": 60})
    if by == "uuid":
        hello(ear, device)
    ours = derived_endpoint(UUID if by == "uuid" else "front-desk")
    await until(lambda: [one for one in ear.heard if one.name == "Hello" and one.content[0].endpoint == ours])
    for path in ("/", "/front-desk"):
        [(endpoint, _)] = await found(service, path, probe())
        assert endpoint == ours
    _, body = await ask(service.port, "/front-desk", GET)
    told = find_metadata(read(body).body)
    assert (host_endpoint(told), is_stand_in(told)) == (ours, True)
    assert b">Acme 3000<" in body and b"198.51.100.20" not in body
    second = await gateway(None, discovery={**ADOPT["discovery"], "search": 60})
    ear.announce(write_hello(TargetService(OTHER, (), (), (f"http://127.0.0.1:{service.port}/front-desk",), 1),
                             sequence=Sequence(1, 1), message_id="urn:uuid:test-other"))
    await until(lambda: OTHER in second.discovery.adoption._looked_at
                and not second.discovery.adoption._running._running)
    assert second.scanners == []
    hello(ear, device, number=2, version=2)
    await until(lambda: [one.name for one in second.scanners] == ["acme-3000"])
    await until(lambda: second.scanners[0].bridge.device == device.url)
    await ask(second.port, "/acme-3000", GET)
    [scanner] = json.loads((await get(second.admin_port, b"/api/scanners"))[2])
    assert scanner["friendly_name"] == "Acme 3000"


ADOPT = {"discovery": {"adopt": True, "search": 0.5, "device_interfaces": ["lo"]}}


@pytest_twisted.ensureDeferred
async def test_adopted_once_and_kept_over_a_restart(gateway, virtual, tmp_path):
    scanner = await virtual(interfaces=("lo",), name="Büro 3")
    kept = {**ADOPT, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    assert [one.name for one in service.scanners] == ["buro-3"]
    instance = service.instance_id
    await service.stopService()
    again = await gateway(None, **kept)
    assert [one.name for one in again.scanners] == ["buro-3"]
    assert again.instance_id > instance
    await until(lambda: again.scanners[0].bridge.table.listening)
    head, _ = await ask(again.port, "/buro-3", GET)
    assert head.status == 200
    await again.stopService()
    excluding = await gateway(None, **{**kept, "discovery": {**kept["discovery"], "exclude": ["büro*"]}})
    assert [one.name for one in excluding.scanners] == ["buro-3"]  # nobody knows better yet
    await until(lambda: not excluding.scanners)
    assert await excluding.store.adopted() == []
    head, _ = await ask(excluding.port, "/buro-3", GET)
    assert head.status == 404
    assert scanner.soap.asked["CreateScanJob"] == 0


@pytest.mark.parametrize("stored", [UUID, UUID.upper(), f"uuid:{UUID[9:]}"])
@pytest_twisted.ensureDeferred
async def test_an_adopted_scanner_is_the_same_after_a_restart_however_it_is_spelled(
        gateway, device, ear, tmp_path, stored):
    told = Metadata(device, endpoint=f"uuid:{UUID[9:]}")
    kept = {"discovery": {**ADOPT["discovery"], "search": 60}, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await service.store.adopt(Adopted(stored, "from-of-old"))
    await service.store.adopt(Adopted(f"urn:uuid:{{{UUID[9:]}}}", "the-same"))
    await service.stopService()
    again = await gateway(None, **kept)
    assert [one.name for one in again.scanners] == ["from-of-old"]
    assert await again.store.adopted() == [Adopted(UUID, "from-of-old")]
    hello(ear, device, endpoint=told.endpoint)
    await until(lambda: again.scanners[0].bridge.device == device.url)
    await again.stopService()
    by_section = await gateway(None, scanner={"name": "desk", "uuid": f"uuid:{UUID[9:].upper()}"}, **kept)
    assert [one.name for one in by_section.scanners] == ["desk"]
    assert await by_section.store.adopted() == []


@pytest.mark.parametrize("spelled", SPELLED)
@pytest_twisted.ensureDeferred
async def test_adopted_and_excluded_in_any_spelling(gateway, device, ear, spelled):
    told = Metadata(device, endpoint=spelled)
    discovery = {**ADOPT["discovery"], "search": 60}
    service = await gateway(None, discovery=discovery)
    excluding = await gateway(None, discovery={**discovery, "exclude": [f"uuid:{UUID[9:]}"]})
    hello(ear, device, endpoint=spelled)
    await until(lambda: [one.name for one in service.scanners] == ["copy-room"])
    assert service.scanners[0].options.uuid == UUID
    await until(lambda: told.asked >= 2 and not excluding.discovery.adoption._running._running)
    assert excluding.scanners == []


@pytest_twisted.ensureDeferred
async def test_what_is_configured_or_is_a_stand_in_is_not_adopted(gateway, virtual, ear):
    scanner = await virtual(interfaces=("lo",))
    other = await virtual(interfaces=("lo",), uuid=OTHER.removeprefix("urn:uuid:"))
    service = await gateway(scanner.scan_url, discovery={
        **ADOPT["discovery"], "client_interfaces": ["lo"], "exclude": [OTHER]})
    second = await gateway(None, **ADOPT)  # sees the stand-in, too
    await until(lambda: len(second.scanners) == 2)
    await until(lambda: other.soap.asked["Get"] >= 2)
    await until(lambda: [one for one in ear.heard if one.name == "Probe"])
    assert len(service.scanners) == 1
    assert {one.options.uuid for one in second.scanners} == {UUID, OTHER}


@pytest_twisted.ensureDeferred
async def test_a_proxy_answers_over_http_for_every_scanner(finding, virtual, ear):
    scanner = await virtual()
    service = await finding(directed=[scanner.base], client_interfaces=["lo"], proxy=True, more={
        "gateway": {"state": "memory:", "name": "gw"}})
    await until(service.found)
    proxy = proxy_service("gw")
    ear.ask(write_probe(proxy.types[:1], message_id="urn:uuid:test-9"))
    await until(lambda: [one for one in ear.heard if one.relates_to == "urn:uuid:test-9"])
    [match] = next(one.content for one in ear.heard if one.relates_to == "urn:uuid:test-9")
    assert (match.endpoint, match.xaddrs) == (proxy.endpoint, (f"http://127.0.0.1:{service.port}/",))
    [(endpoint, xaddrs)] = await found(service, "/", probe(WS_2008_09), WS_2008_09)
    _, body = await ask(service.port, xaddrs.removeprefix(f"http://127.0.0.1:{service.port}"), GET)
    assert scan_service_addresses(read(body)) == (f"{xaddrs}/scan",)
    assert endpoint == derived_endpoint(UUID)


@pytest_twisted.ensureDeferred
async def test_with_discovery_off_there_is_no_udp_socket(gateway, virtual, monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(multicast, "_open", refuse)
    scanner = await virtual()
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    assert not service.discovery.running


@pytest_twisted.ensureDeferred
async def test_a_name_that_a_section_has_taken_is_changed(gateway):
    service = await gateway("http://127.0.0.1:1/scan", discovery=ADOPT["discovery"])
    await service.store.adopt(Adopted(UUID, "front-desk"))
    await service.discovery.load()
    assert [one.name for one in service.scanners] == ["front-desk", "front-desk-4509"]


@pytest_twisted.ensureDeferred
async def test_names_that_run_into_each_other_at_a_restart(gateway, tmp_path):
    kept = {"discovery": {**ADOPT["discovery"], "exclude": ["urn:uuid:47f86d35-e6ac-4241-964f-1d9ae46fb366"]},
            "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    for uuid, name in ((UUID, "hp"), (OTHER, "hp-4509"), ("urn:uuid:47f86d35-e6ac-4241-964f-1d9ae46fb366", "gone")):
        await service.store.adopt(Adopted(uuid, name))
    await service.stopService()
    again = await gateway("http://127.0.0.1:1/scan", scanner={"name": "hp"}, **kept)
    assert [one.name for one in again.scanners] == ["hp", "hp-4509a320", "hp-4509"]
    assert {one.name for one in await again.store.adopted()} == {"hp-4509a320", "hp-4509"}


# `wsdgateway discover`.

@pytest_twisted.ensureDeferred
async def test_a_survey_by_multicast_and_by_address(virtual, capsys):
    from rich.console import Console
    from twisted.internet import reactor

    scanner = await virtual(interfaces=("lo",), name="Copy [red]Room")
    silent = await virtual(name="Silent", uuid=OTHER.removeprefix("urn:uuid:"), events="none")
    quiet = Console(stderr=True, width=300)
    shown = await search(reactor, ("lo",), (silent.base,), seconds=0.5, progress=quiet)
    assert {(one.sighting.endpoint, one.notifies) for one in shown} == {(UUID, True), (OTHER, False)}
    assert scanner.device.subscribers.held == {}
    capsys.readouterr()
    show(shown, toml=False, console=Console(width=300), progress=quiet)
    table = capsys.readouterr().out
    assert "Copy [red]Room" in table
    assert UUID.removeprefix("urn:uuid:") in table
    show(shown, toml=True, console=Console(width=300), progress=quiet)
    toml = capsys.readouterr().out
    assert f'name = "copy-red-room"\nuuid = "{UUID}"' in toml
    assert f'name = "silent"\ndevice = "{silent.device_url}"' in toml
    told = Found(Labels("198.51.100.20", "Acme", "3000"), "http://198.51.100.20/d", "http://198.51.100.20/scan")
    spelled = Surveyed(Sighting(f"uuid:{OTHER[9:].upper()}", (), (), (), 1, None, "eth1", 0.0), told, True)
    show([spelled], toml=True, console=Console(width=300), progress=quiet)
    assert f'# 3000, Acme 3000, 198.51.100.20\n[[scanner]]\nname = "3000"\nuuid = "{OTHER}"' in capsys.readouterr().out
    nameless = attrs.evolve(spelled, found=attrs.evolve(told, labels=Labels()))
    show([nameless], toml=True, console=Console(width=300), progress=quiet)
    assert "# 198.51.100.20\n[[scanner]]" in capsys.readouterr().out
    show([], toml=True, console=Console(width=300), progress=quiet)
    assert "no scanner was found" in capsys.readouterr().err


@pytest_twisted.ensureDeferred
async def test_what_a_device_may_be_asked_by_directed_probe(virtual):
    scanner = await virtual()
    for data, code in ((b"<x", "InvalidArgs"), (envelope(WS_2005_04.action("Hello")), "ActionNotSupported")):
        port = int(scanner.base.rpartition(":")[2])
        _, body = await ask(port, "/x", data)
        assert fault_of(read(body)) == code
    _, body = await ask(port, "/x", write_probe((), message_id="urn:uuid:q"))
    assert message_in(read(body)).content[0].endpoint == UUID


# Bridged once, under the name that it should have.

@pytest_twisted.ensureDeferred
async def test_another_scanner_at_the_address_of_an_adopted_one_is_adopted(gateway, virtual):
    first = await virtual(interfaces=("lo",), name="First")
    port = first.base.rpartition(":")[2]
    service = await gateway(None, **ADOPT)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    await first.stopService()
    await virtual(interfaces=("lo",), name="Second", uuid=OTHER.removeprefix("urn:uuid:"),
                  endpoint=f"tcp:{port}:interface=127.0.0.1")
    await until(lambda: {one.name for one in service.scanners} == {"first", "second"})
    await until(lambda: service.scanners[1].bridge.table.listening)
    assert service.scanners[0].monitor.reachable is False


@pytest.mark.parametrize("by", ["scan", "device", "host name"])
@pytest_twisted.ensureDeferred
async def test_a_section_takes_an_adopted_scanner_over(gateway, virtual, tmp_path, by):
    scanner = await virtual(interfaces=("lo",), name="Copy Room")
    kept = {**ADOPT, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    await service.stopService()
    urls = {"scan": scanner.scan_url, "device": scanner.device_url,
            "host name": scanner.scan_url.replace("127.0.0.1", "localhost")}
    again = await gateway(None, scanner={"name": "copy-room", "scan" if by != "device" else by: urls[by]}, **kept)
    await until(lambda: again.scanner.bridge.table.listening)
    await until(lambda: [one.name for one in again.scanners] == ["copy-room"] and not again.bridged._ending)
    await until(lambda: len(scanner.device.subscribers.held) == 1)
    assert await again.store.adopted() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/x", "http://localhost:{port}/x"])
@pytest_twisted.ensureDeferred
async def test_what_is_not_to_be_bridged_is_not_adopted_whatever_it_is_called(gateway, virtual, url):
    scanner = await virtual(interfaces=("lo",), name="Copy Room")
    service = await gateway(None, scanner={
        "name": "copy-room", "bridge": False, "device": url.format(port=scanner.base.rpartition(":")[2])}, **ADOPT)
    await until(lambda: service.discovery.adoption._looked_at)
    await until(lambda: not service.discovery.adoption._running._running)
    assert service.scanners == []


@pytest_twisted.ensureDeferred
async def test_what_is_said_to_find_a_scanner_is_in_the_log(gateway, virtual):
    await virtual(interfaces=("lo",), name="Copy Room")
    service = await gateway(None, **ADOPT)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    said = {(one.entry.source, one.entry.operation) for one in service.recording.log.since(0)}
    assert {("own", "Get"), ("own", "Subscribe")} <= said
    assert said & {("discovery", "Hello"), ("discovery", "ProbeMatches")}


@pytest_twisted.ensureDeferred
async def test_an_excluded_scanner_is_left_in_peace(gateway, virtual, tmp_path):
    scanner = await virtual(interfaces=("lo",), name="Copy Room")
    kept = {**ADOPT, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    await service.stopService()
    again = await gateway(None, **{**kept, "discovery": {**kept["discovery"], "exclude": ["copy*"]}})
    await until(lambda: not again.scanners and not again.bridged._ending)
    assert scanner.device.subscribers.held == {}


@pytest_twisted.ensureDeferred
async def test_two_of_the_same_name_at_once(gateway, virtual, monkeypatch):
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await virtual(interfaces=("lo",), name="Copy Room")
    await virtual(interfaces=("lo",), name="Copy Room", uuid=OTHER.removeprefix("urn:uuid:"))
    service = await gateway(None, **ADOPT)
    adopt = service.store.adopt
    monkeypatch.setattr(service.store, "adopt", lambda adopted: deferLater(reactor, 0.1, adopt, adopted))
    await until(lambda: len(service.scanners) == 2)
    names = {one.name for one in service.scanners}
    assert names in ({"copy-room", "copy-room-4509"}, {"copy-room", "copy-room-37f8"})


# A scanner that goes and comes without a word.

@pytest.mark.parametrize("events", ["auto", "off"])
@pytest_twisted.ensureDeferred
async def test_clients_are_told_of_a_scanner_that_has_gone_without_a_word(gateway, virtual, ear, events):
    scanner = await virtual()
    service = await gateway(scanner.scan_url, scanner={"events": events}, events={"check": 0.2}, discovery={
        "client_interfaces": ["lo"], "announce_rate": 10000})
    ours = derived_endpoint("front-desk")

    def told(name):
        return [one for one in ear.heard if one.name == name and one.content[0].endpoint == ours]

    await until(lambda: told("Hello"))
    scanner.reboot(1.0)
    await until(lambda: told("Bye"))
    assert await found(service, "/", probe()) == []
    ear.heard.clear()
    await until(lambda: told("Hello"))


@pytest_twisted.ensureDeferred
async def test_a_stand_in_that_seemed_gone_asks_before_it_is_silent(gateway, virtual):
    scanner = await virtual()
    service = await gateway(None, scanner={"device": scanner.device_url, "events": "off"})
    await until(lambda: service.scanner.bridge.device)
    scanner.reboot(0.3)
    assert await found(service, "/", probe()) == []
    await until(lambda: scanner._port is not None)
    assert len(await found(service, "/front-desk", probe())) == 1


@pytest_twisted.ensureDeferred
async def test_a_bye_counts_until_the_scanner_says_something(finding, virtual, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.presence.reachability.BYE_SECONDS", 0.0)
    scanner = await virtual()
    service = await finding(directed=[scanner.base], search=60)
    await until(service.found)
    service.scanner.monitor.said_bye()
    assert service.scanner.monitor.reachable is False
    assert len(await found(service, "/", probe())) == 1  # it answered the question whether it is there
    assert service.scanner.monitor.reachable is True


@pytest_twisted.ensureDeferred
async def test_our_new_address_is_told_to_the_scanner(gateway, virtual, monkeypatch):
    scanner = await virtual()
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    before = service.scanner.subscription.held.notify_to

    async def elsewhere(reactor, host, port):
        return "127.0.0.9"

    monkeypatch.setattr("wsdgateway.app.listeners.local_address", elsewhere)
    monkeypatch.setattr("wsdgateway.app.listeners.base_url",
                        lambda local, doors: f"http://{local}:{service.port}")
    service.discovery._readdressed()
    await until(lambda: scanner.soap.asked["Subscribe"] == 2)
    await until(lambda: service.scanner.bridge.table.listening and len(scanner.device.subscribers.held) == 1)
    after = service.scanner.subscription.held.notify_to
    assert after.startswith("http://127.0.0.9:")
    assert after.rpartition("/")[2] != before.rpartition("/")[2]


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_a_store_that_fails_hides_no_scanner(gateway, virtual, monkeypatch):
    scanner = await virtual()
    service = await gateway(scanner.scan_url)

    def fail(endpoint, digest):
        raise OSError("the disk is full")

    monkeypatch.setattr(service.scanner.stand_in, "_version_of", fail)
    head, _ = await ask(service.port, "/front-desk", GET)
    assert head.status == 200


@pytest_twisted.ensureDeferred
async def test_new_metadata_may_name_another_scan_service(gateway, device, ear):
    told = Metadata(device)
    service = await gateway(None, scanner={"device": f"http://127.0.0.1:{device.port}/{UUID[9:]}", "events": "off"},
                            discovery={"device_interfaces": ["lo"], "search": 60})
    await until(lambda: service.scanner.bridge.device == device.url)
    hello(ear, device)
    device.url = device.url.replace("/scan", "/other")
    hello(ear, device, number=2, version=2)
    await until(lambda: service.scanner.bridge.device == device.url)
    assert told.asked >= 2


@pytest_twisted.ensureDeferred
async def test_no_gateway_takes_a_stand_in_for_the_scanner(gateway, virtual, ear):
    scanner = await virtual()
    first = await gateway(None, scanner={"device": scanner.device_url, "identity": "same"})
    await until(lambda: first.scanner.bridge.table.listening)
    second = await gateway(None, scanner={"name": "again", "uuid": UUID}, discovery={
        "device_interfaces": ["lo"], "adopt": True, "search": 60})
    stand_in = f"http://127.0.0.1:{first.port}/front-desk"
    for number, endpoint in enumerate((UUID, OTHER)):
        ear.announce(write_hello(TargetService(endpoint, (), (), (stand_in,), 1), sequence=Sequence(1, 1),
                                 message_id=f"urn:uuid:test-{number}"))
    await until(lambda: second.scanner.monitor._locator._timer is not None)
    await until(lambda: second.discovery.adoption._looked_at
                and not second.discovery.adoption._running._running)
    assert second.scanner.bridge.device is None
    assert len(second.scanners) == 1


@pytest_twisted.ensureDeferred
async def test_a_forged_bye_silences_for_a_moment_only(finding, device, ear, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.presence.reachability.BYE_SECONDS", 0.2)
    Metadata(device)
    service = await finding(device_interfaces=["lo"], client_interfaces=["lo"], scanner={"events": "off"}, search=60)
    hello(ear, device)
    ours = derived_endpoint(UUID)
    await until(lambda: [one for one in ear.heard if one.name == "Hello" and one.content[0].endpoint == ours])
    first = next(one.message_id for one in ear.heard if one.name == "Hello" and one.content[0].endpoint == ours)
    ear.announce(write_bye(UUID, sequence=Sequence(1 << 40, 1), message_id="urn:uuid:test-bye"))
    await until(lambda: [one for one in ear.heard if one.name == "Bye" and one.content[0].endpoint == ours])
    assert service.scanner.monitor.reachable is False
    await until(lambda: [one for one in ear.heard if one.name == "Hello" and one.content[0].endpoint == ours
                         and one.message_id != first])
    assert service.scanner.monitor.reachable is True
    assert len(await found(service, "/", probe())) == 1


@pytest_twisted.ensureDeferred
async def test_an_answer_larger_than_a_discovery_message_is_not_read(device):
    from twisted.internet import reactor

    answer = write_matches("ProbeMatches", [TargetService(UUID)], version=WS_2005_04, sequence=Sequence(1, 1),
                           relates_to="urn:uuid:m", message_id="urn:uuid:n")
    for size in (MAX_ENVELOPE, MAX_ENVELOPE + 1):
        device.handle = lambda asked, size=size: asked.answer(answer.ljust(size))
        asking = probe_directly(reactor, device.url, lambda: "urn:uuid:m", 5.0)
        if size > MAX_ENVELOPE:
            with pytest.raises(Malformed, match="longer"):
                await asking
        else:
            assert (await asking).content[0].endpoint == UUID


@pytest.mark.parametrize(("via", "xaddrs", "usable_ones"), [
    ("eth1", ("http://198.51.100.20/x", "https://198.51.100.20/x", "http://[fe80::20]/x"),
     ["http://198.51.100.20/x", "https://198.51.100.20/x", "http://[fe80::20]/x"]),
    ("eth1", ("http://127.0.0.1:8357/", "http://[::1]/", "http://localhost/", "http://0.0.0.0/", "http://2130706433/",
              "http://[::ffff:127.0.0.1]/", "http://239.255.255.250/", "http://scanner.example/", "http://[x"), []),
    ("", ("http://scanner.example/",), ["http://scanner.example/"])])
def test_where_a_device_may_send_us(via, xaddrs, usable_ones):
    assert usable(Sighting(UUID, (), (), xaddrs, 1, None, via, 0.0)) == usable_ones
