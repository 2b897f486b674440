"""Adoption of scanners: finding, exclusion, restart, and replacement by a section of the configuration."""

import pytest
import pytest_twisted

from tests.loopback.announcing import ADOPT, OTHER, SPELLED, has_asked_for_adoption, hello
from tests.loopback.scanners import UUID, Metadata
from tests.messages import GET
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.discovery.adoption import Adopted

pytestmark = pytest.mark.usefixtures("soon")


@pytest_twisted.ensureDeferred
async def test_an_adopted_scanner_is_kept_over_a_restart_until_excluded(gateway, virtual, tmp_path):
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
    assert [one.name for one in excluding.scanners] == ["buro-3"]  # its name is not known yet
    await until(lambda: not excluding.scanners)
    assert await excluding.store.adopted() == []
    head, _ = await ask(excluding.port, "/buro-3", GET)
    assert head.status == 404
    assert scanner.soap.asked["CreateScanJob"] == 0


@pytest.mark.parametrize("stored", [UUID, UUID.upper(), f"uuid:{UUID[9:]}"])
@pytest_twisted.ensureDeferred
async def test_an_adopted_scanner_is_the_same_after_a_restart_in_any_spelling(
        gateway, device, own_link, tmp_path, stored):
    metadata = Metadata(device, endpoint=f"uuid:{UUID[9:]}")
    kept = {"discovery": {**ADOPT["discovery"], "search": 60}, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await service.store.adopt(Adopted(stored, "from-of-old"))
    await service.store.adopt(Adopted(f"urn:uuid:{{{UUID[9:]}}}", "the-same"))
    await service.stopService()
    again = await gateway(None, **kept)
    assert [one.name for one in again.scanners] == ["from-of-old"]
    assert await again.store.adopted() == [Adopted(UUID, "from-of-old")]
    hello(own_link, device, endpoint=metadata.endpoint)
    await until(lambda: again.scanners[0].bridge.device == device.url)
    await again.stopService()
    by_section = await gateway(None, scanner={"name": "desk", "uuid": f"uuid:{UUID[9:].upper()}"}, **kept)
    assert [one.name for one in by_section.scanners] == ["desk"]
    assert await by_section.store.adopted() == []


@pytest.mark.parametrize("spelled", SPELLED)
@pytest_twisted.ensureDeferred
async def test_adoption_and_exclusion_in_any_spelling(gateway, device, own_link, spelled):
    metadata = Metadata(device, endpoint=spelled)
    discovery = {**ADOPT["discovery"], "search": 60}
    service = await gateway(None, discovery=discovery)
    excluding = await gateway(None, discovery={**discovery, "exclude": [f"uuid:{UUID[9:]}"]})
    hello(own_link, device, endpoint=spelled)
    await until(lambda: [one.name for one in service.scanners] == ["copy-room"])
    assert service.scanners[0].options.uuid == UUID
    await until(lambda: metadata.asked >= 2 and excluding.discovery.adoption.is_idle)
    assert excluding.scanners == []


@pytest_twisted.ensureDeferred
async def test_configured_scanners_and_stand_ins_are_not_adopted(gateway, virtual, own_link):
    scanner = await virtual(interfaces=("lo",))
    other = await virtual(interfaces=("lo",), uuid=OTHER.removeprefix("urn:uuid:"))
    service = await gateway(scanner.scan_url, discovery={
        **ADOPT["discovery"], "client_interfaces": ["lo"], "exclude": [OTHER]})
    second = await gateway(None, **ADOPT)  # sees the stand-in, too
    await until(lambda: len(second.scanners) == 2)
    await until(lambda: other.soap.asked["Get"] >= 2)
    await until(lambda: [one for one in own_link.received if one.name == "Probe"])
    assert len(service.scanners) == 1
    assert {one.options.uuid for one in second.scanners} == {UUID, OTHER}


@pytest_twisted.ensureDeferred
async def test_an_adopted_scanner_is_renamed_if_a_section_has_its_name(gateway):
    service = await gateway("http://127.0.0.1:1/scan", discovery=ADOPT["discovery"])
    await service.store.adopt(Adopted(UUID, "front-desk"))
    await service.discovery.load()
    assert [one.name for one in service.scanners] == ["front-desk", "front-desk-4509"]


@pytest_twisted.ensureDeferred
async def test_name_conflicts_at_a_restart_are_resolved(gateway, tmp_path):
    kept = {"discovery": {**ADOPT["discovery"], "exclude": ["urn:uuid:47f86d35-e6ac-4241-964f-1d9ae46fb366"]},
            "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    for uuid, name in ((UUID, "hp"), (OTHER, "hp-4509"), ("urn:uuid:47f86d35-e6ac-4241-964f-1d9ae46fb366", "gone")):
        await service.store.adopt(Adopted(uuid, name))
    await service.stopService()
    again = await gateway("http://127.0.0.1:1/scan", scanner={"name": "hp"}, **kept)
    assert [one.name for one in again.scanners] == ["hp", "hp-4509a320", "hp-4509"]
    assert {one.name for one in await again.store.adopted()} == {"hp-4509a320", "hp-4509"}


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
async def test_a_section_replaces_an_adopted_scanner(gateway, virtual, tmp_path, by):
    scanner = await virtual(interfaces=("lo",), name="Copy Room")
    kept = {**ADOPT, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    await service.stopService()
    urls = {"scan": scanner.scan_url, "device": scanner.device_url,
            "host name": scanner.scan_url.replace("127.0.0.1", "localhost")}
    again = await gateway(None, scanner={"name": "copy-room", "scan" if by != "device" else by: urls[by]}, **kept)
    await until(lambda: again.scanner.bridge.table.listening)
    await until(lambda: [one.name for one in again.scanners] == ["copy-room"] and again.bridged.is_settled)
    await until(lambda: len(scanner.device.subscribers.held) == 1)
    assert await again.store.adopted() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/x", "http://localhost:{port}/x"])
@pytest_twisted.ensureDeferred
async def test_a_scanner_with_bridge_false_is_not_adopted(gateway, virtual, url):
    scanner = await virtual(interfaces=("lo",), name="Copy Room")
    service = await gateway(None, scanner={
        "name": "copy-room", "bridge": False, "device": url.format(port=scanner.base.rpartition(":")[2])}, **ADOPT)
    await until(lambda: has_asked_for_adoption(service))
    assert service.scanners == []


@pytest_twisted.ensureDeferred
async def test_the_messages_of_finding_a_scanner_are_logged(gateway, virtual):
    await virtual(interfaces=("lo",), name="Copy Room")
    service = await gateway(None, **ADOPT)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    said = {(one.entry.source, one.entry.operation) for one in service.recording.log.since(0)}
    assert {("own", "Get"), ("own", "Subscribe")} <= said
    assert said & {("discovery", "Hello"), ("discovery", "ProbeMatches")}


@pytest_twisted.ensureDeferred
async def test_the_subscription_at_an_excluded_scanner_is_ended(gateway, virtual, tmp_path):
    scanner = await virtual(interfaces=("lo",), name="Copy Room")
    kept = {**ADOPT, "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}}
    service = await gateway(None, **kept)
    await until(lambda: service.scanners and service.scanners[0].bridge.table.listening)
    await service.stopService()
    again = await gateway(None, **{**kept, "discovery": {**kept["discovery"], "exclude": ["copy*"]}})
    await until(lambda: not again.scanners and again.bridged.is_settled)
    assert scanner.device.subscribers.held == {}


@pytest_twisted.ensureDeferred
async def test_two_scanners_of_the_same_name_are_adopted_at_once(gateway, virtual, monkeypatch):
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
