"""Tests of `wsdgateway discover`: searches by multicast and by address."""

import attrs
import pytest
import pytest_twisted

from tests.loopback.announcing import OTHER
from tests.loopback.gateways import PATH
from tests.loopback.scanners import UUID
from tests.messages import envelope, fault
from tests.peers import ask
from wsdgateway.bridge.discovery.candidates import ScanDevice
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.cli.discover import search, show
from wsdgateway.discovery.messages import MAX_ENVELOPE, Sequence, TargetService, message_in
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_matches, write_probe
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.discovery.client import probe_directly
from wsdgateway.net.discovery.survey import Surveyed
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

pytestmark = pytest.mark.usefixtures("soon")


@pytest_twisted.ensureDeferred
async def test_a_search_by_multicast_and_by_address(virtual, capsys):
    from rich.console import Console
    from twisted.internet import reactor

    scanner = await virtual(interfaces=("lo",), name="Copy [red]Room")
    silent = await virtual(name="Silent", uuid=OTHER.removeprefix("urn:uuid:"), events="none")
    quiet = Console(stderr=True, width=300)
    shown = await search(reactor, ("lo",), (silent.base,), seconds=2.0, progress=quiet, events=True)
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
    device = ScanDevice(Labels("198.51.100.20", "Acme", "3000"), "http://198.51.100.20/d", "http://198.51.100.20/scan")
    spelled = Surveyed(Sighting(f"uuid:{OTHER[9:].upper()}", (), (), (), 1, None, "eth1", 0.0), device, True)
    show([spelled], toml=True, console=Console(width=300), progress=quiet)
    assert f'# 3000, Acme 3000, 198.51.100.20\n[[scanner]]\nname = "3000"\nuuid = "{OTHER}"' in capsys.readouterr().out
    nameless = attrs.evolve(spelled, found=attrs.evolve(device, labels=Labels()))
    show([nameless], toml=True, console=Console(width=300), progress=quiet)
    assert "# 198.51.100.20\n[[scanner]]" in capsys.readouterr().out
    show([], toml=True, console=Console(width=300), progress=quiet)
    assert "No scanner was found" in capsys.readouterr().err


@pytest_twisted.ensureDeferred
async def test_a_devices_answers_to_a_directed_probe(virtual):
    scanner = await virtual()
    for data, code in ((b"<x", "InvalidArgs"), (envelope(WS_2005_04.action("Hello")), "ActionNotSupported")):
        port = int(scanner.base.rpartition(":")[2])
        _, body = await ask(port, "/x", data)
        assert fault_of(read(body)) == code
    _, body = await ask(port, "/x", write_probe((), message_id="urn:uuid:q"))
    assert message_in(read(body)).content[0].endpoint == UUID


@pytest_twisted.ensureDeferred
async def test_an_answer_above_the_size_of_a_discovery_message_is_not_read(device):
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


@pytest_twisted.ensureDeferred
async def test_an_address_ends_the_search_with_its_answer_and_nobody_is_subscribed_to(gateway, virtual):
    from rich.console import Console
    from twisted.internet import reactor

    scanner = await virtual()
    service = await gateway(None, scanner={"device": scanner.device_url, "events": "off"})
    base = f"http://127.0.0.1:{service.port}"
    addresses = (scanner.base, base)
    found = await search(reactor, (), addresses, seconds=600.0, progress=Console(stderr=True))
    assert {(one.sighting.endpoint, one.is_stand_in, one.notifies) for one in found} == {
        (UUID, False, None), (service.scanners[0].stand_in.endpoint, True, None)}
    assert next(one.found.scan for one in found if one.is_stand_in) == f"{base}{PATH}"
    assert scanner.soap.asked["Subscribe"] == 0
    found = await search(reactor, (), addresses, seconds=600.0, progress=Console(stderr=True), events=True)
    assert {(one.is_stand_in, one.notifies) for one in found} == {(False, True), (True, None)}
    assert scanner.soap.asked["Subscribe"] == 1


@pytest_twisted.ensureDeferred
async def test_a_silent_address_does_not_keep_others_from_being_asked(virtual, capsys):
    from rich.console import Console
    from twisted.internet import reactor

    scanner, silent = await virtual(), await virtual(uuid=OTHER.removeprefix("urn:uuid:"))
    silent.troubles.silent = True
    progress = Console(stderr=True, width=300)
    found = await search(reactor, (), (silent.base, scanner.base), seconds=1.0, progress=progress)
    assert [one.sighting.endpoint for one in found] == [UUID]
    assert f"{silent.base} gives no usable answer: " in capsys.readouterr().err


@pytest_twisted.ensureDeferred
async def test_a_device_that_refuses_probe(device, capsys):
    from rich.console import Console
    from twisted.internet import reactor

    device.handle = lambda asked: asked.answer(fault("wsa:ActionNotSupported"), b"500 Internal Server Error")
    assert await search(reactor, (), (device.url,), seconds=2.0, progress=Console(stderr=True, width=300)) == []
    assert (f"{device.url} gives no usable answer: it refuses Probe (ActionNotSupported), but may be a scanner"
            in capsys.readouterr().err)
