"""Capabilities that are kept over restarts, given at once, and read again when the scanner has restarted."""

import re

import pytest
import pytest_twisted

from tests.loopback.escl.client import Client, client, section
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import make_config


@pytest.fixture
def started(running, tmp_path):
    """Starts a gateway with a store in a file, in front of a scanner at a URL: `await started(scan)`."""
    port = free_port()

    async def start(scan):
        from twisted.internet import reactor

        service = await running(GatewayService(reactor, make_config({
            "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}, "listen": [{"endpoint": "tcp:0:interface=127.0.0.1"}],
            "admin": {"endpoint": "tcp:0:interface=127.0.0.1"},
            "escl": {"announce": False, "ports": str(port), "spool": str(tmp_path / "spool")},
            "scanner": [{"name": "front-desk", "scan": scan}]}, str(tmp_path / "g.toml"))))
        await until(lambda: service.escl_ports.port("front-desk"))
        service.escl_client = Client(port)
        return service

    return start


def _without_addresses(body):
    return re.sub(rb"<scan:AdminURI>[^<]*<", b"<", body)  # its port is another one after the restart


@pytest_twisted.ensureDeferred
async def test_capabilities_are_given_after_a_restart_with_the_scanner_off(virtual, started):
    device = await virtual(name="Front Desk")
    scan = device.scan_url
    first = await started(scan)
    known = await first.escl_client.get("ScannerCapabilities")
    await first.stopService()
    await device.stopService()
    second = await started(scan)
    again = await second.escl_client.get("ScannerCapabilities")
    assert again.status == 200
    assert _without_addresses(again.body) == _without_addresses(known.body)
    await until(lambda: second.scanners[0].health.reachable is False)
    assert (await second.escl_client.get("ScannerStatus")).value("State") == "Down"


@pytest_twisted.ensureDeferred
async def test_capabilities_of_another_address_are_not_given(virtual, started):
    device = await virtual()
    first = await started(device.scan_url)
    assert (await first.escl_client.get("ScannerCapabilities")).status == 200
    await first.stopService()
    second = await started(f"http://127.0.0.1:{free_port()}/scan")
    assert (await second.escl_client.get("ScannerCapabilities")).status == 503
    assert await second.store.escl_offers() == []


@pytest_twisted.ensureDeferred
async def test_known_capabilities_of_a_silent_scanner_are_given_at_once(offered, monkeypatch):
    service = await offered(limits={"stop_timeout": 0.1})
    known = await service.escl_client.get("ScannerCapabilities")
    service.clock.advance(301)
    service.device.troubles.silent = True
    reading = service.scanner.escl.offers
    monkeypatch.setattr("wsdgateway.net.escl.offer.ASK_SECONDS", 3600.0)  # that nobody waits for
    assert (await service.escl_client.get("ScannerCapabilities")).body == known.body
    assert reading.last is not None


@pytest_twisted.ensureDeferred
async def test_capabilities_are_read_again_when_the_scanner_has_restarted(offered, virtual):
    service = await offered(scanner={"name": "Before"})
    await service.escl_client.get("ScannerCapabilities")
    assert service.scanner.escl.offers.last.name == "Before"
    await service.device.stopService()
    await virtual(endpoint=service.device.settings.endpoint, name="After")
    service.scanner.subscriptions.check()
    await until(lambda: service.scanner.escl.offers.last.name == "After")
    assert [one.elements.count("After") for one in await service.store.escl_offers()] == [1]


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_given_by_its_device_address(gateway, virtual, tmp_path):
    device = await virtual(name="Front Desk")
    service = await gateway(None, scanner={"device": device.device_url}, escl=section(tmp_path))
    await until(lambda: service.escl_ports.port("front-desk") and service.scanner.escl.endpoint
                and service.scanner.bridge.device)
    answered = await client(service).get("ScannerCapabilities")
    assert (answered.status, answered.value("MakeAndModel")) == (200, service.scanner.monitor.labels.full_model)
