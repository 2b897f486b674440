"""Fixtures that run the whole service on port 0 in this process, and check that nothing is left in the reactor."""

import json
from pathlib import Path

import jsonschema
import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.certificates import Certified
from tests.loopback.announcing import LO
from tests.loopback.gateways import LOOPBACK, PATH, File, start_on_steady_clock
from tests.loopback.scanners import UUID, Subscribed
from tests.messages import get_job_elements, status_event, status_response
from tests.peers import Device, Sink, ask
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.config.reading import make_config
from wsdgateway.discovery.messages import read_message
from wsdgateway.net.discovery import multicast
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.simulator.service import VirtualScanner
from wsdgateway.simulator.settings import Settings

pytestmark = pytest.mark.loopback


def pytest_collection_modifyitems(items):
    for item in items:
        if "loopback" in item.path.parts:
            item.add_marker(pytest.mark.loopback)


@pytest.fixture(scope="session", autouse=True)
def _own_discovery_port():
    """A multicast port for this process alone, because multicast on loopback reaches every process of the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multicast, "PORT", free_port())
        yield


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    from twisted.internet import reactor

    yield

    async def settle():
        for _ in range(500):  # seconds on a loaded machine, on which other processes answer late
            if not leftovers():
                return
            await deferLater(reactor, 0.01)

    def leftovers():
        sockets = [reader for reader in reactor.getReaders() if hasattr(reader, "getHost")]
        return [call for call in reactor.getDelayedCalls() if call.active()] + sockets

    pytest_twisted.blockon(ensureDeferred(settle()))
    left = leftovers()
    for call in reactor.getDelayedCalls():
        call.cancel()
    assert not left


@pytest.fixture
def running():
    """Starts services, and stops them at the end in reverse order."""
    services = []

    async def start(service):
        service.startService()
        services.append(service)
        return service

    yield start
    for service in reversed(services):
        if service.running:
            pytest_twisted.blockon(service.stopService())


@pytest.fixture
def gateway(running):
    """Starts a gateway in front of the scanner at a URL: `await gateway(url, **sections)`."""

    async def start(scan, *, scanner=None, **sections):
        config = make_config({
            "gateway": {"state": "memory:", "name": "test"}, "listen": [{"endpoint": LOOPBACK}],
            "scanner": [] if scan is None and scanner is None else [
                {"name": "front-desk", **({"scan": scan} if scan else {}), **(scanner or {})}],
            "admin": {"endpoint": LOOPBACK},
            **sections}, "test.toml")
        return await start_on_steady_clock(running, config)

    return start


@pytest.fixture
def virtual(running):
    """Starts a virtual scanner: `await virtual(**settings)`."""

    async def start(**settings):
        import time

        from twisted.internet import reactor

        scanner = VirtualScanner(reactor, Settings(**{
            "endpoint": f"tcp:{free_port()}:interface=127.0.0.1", "page_seconds": 0.0, "stamp": "test", **settings}),
            wall=time.time)
        await running(scanner)
        await scanner.listening
        return scanner

    return start


@pytest.fixture
def bridged(gateway, virtual):
    """Starts a gateway that is subscribed at a virtual scanner: `await bridged(**sections)`."""

    async def start(scanner=None, **sections):
        device = await virtual(**(scanner or {}))
        service = await gateway(device.scan_url, **sections)
        await until(lambda: service.scanner.bridge.table.listening)
        service.device = device
        return service

    return start


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certification authority for the tests."""
    return Certified(tmp_path_factory.mktemp("ca"), "authority", ca=True)


@pytest.fixture
def device():
    """A device controlled by the test."""
    made = Device()
    pytest_twisted.blockon(ensureDeferred(made.start()))
    yield made
    pytest_twisted.blockon(ensureDeferred(made.stop()))


@pytest.fixture
def started():
    """Starts devices and event sinks, and stops them at the end: `await started(peer, *arguments of its start)`."""
    peers = []

    async def start(peer, *arguments):
        await peer.start(*arguments)
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        pytest_twisted.blockon(ensureDeferred(peer.stop()))


@pytest.fixture
def sink(started):
    """Starts event sinks: `await sink()`."""
    return lambda port=0: started(Sink(), port)


@pytest.fixture
def har_problems():
    """Validates a value against the HAR schema, and returns the error messages."""
    schema = json.loads((Path(__file__).parents[1] / "har.schema.json").read_text())
    return lambda har: [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(har)]


@pytest.fixture
def device_with_events(device):
    return Subscribed(device)


@pytest.fixture
def subscribed(gateway, device_with_events):
    async def start(**more):
        service = await gateway(device_with_events.device.url, **more)
        await until(lambda: service.scanner.bridge.table.listening)
        return service
    return start


@pytest.fixture
def echo(device):
    """A device that answers every request with the same status."""
    device.handle = lambda asked: asked.answer(status_response("1", "Completed", 1))
    return device


@pytest.fixture
def file(tmp_path, running):
    return File(tmp_path / "g.toml", running)


@pytest.fixture
def soon(monkeypatch):
    """Makes retransmissions immediate, and lets the gateway check scanners again at once."""
    monkeypatch.setattr("wsdgateway.discovery.schedule.MAX_DELAY", 0.05)
    monkeypatch.setattr("wsdgateway.bridge.events.upstream.RECHECK", 0.1)


@pytest.fixture
def own_link():
    """The test's own link on loopback: `own_link.received` holds the messages that it receives."""
    from twisted.internet import reactor

    received = []
    made = Link(reactor, LO, 4, has_own_port=True,
                on_datagram=lambda link, data, host, port, answer: received.append(read_message(data)))
    made.received = received
    yield made
    pytest_twisted.blockon(made.close())


@pytest.fixture
def finding(gateway):
    """Starts a gateway that finds its scanner by UUID: `await finding(uuid, **discovery)`."""

    async def start(uuid=UUID, *, scanner=None, more=None, **discovery):
        service = await gateway(None, scanner={"uuid": uuid, **(scanner or {})}, discovery={
            "search": 0.5, "announce_rate": 10000, **discovery}, **(more or {}))
        service.found = lambda: service.scanner.bridge.table.listening
        return service

    return start


@pytest.fixture
def gateway_with_job(gateway, device):
    """Starts a gateway whose scanner has reported a job with a hostile name."""
    async def start(**sections):
        events = Subscribed(device)
        service = await gateway(device.url, **sections)
        await until(lambda: service.scanner.bridge.table.listening)
        for state in ("Pending", "Processing"):
            await ask(service.port, events.path, status_event("&lt;script&gt;7", state, message_id=f"urn:{state}"))
        await ask(service.port, PATH, get_job_elements("&lt;script&gt;7"))
        return service
    return start
