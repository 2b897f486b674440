"""The ports of eSCL scanners: kept over restarts, opened and closed at a reload, and reported if they are taken."""

import json

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory

from tests.loopback.clients import request
from tests.loopback.escl.client import Client
from tests.loopback.gateways import section
from tests.ports import free_port
from tests.waiting import until


@pytest.fixture
def ports():
    first = free_port()
    return [first, *(free_port() for _ in range(2))]


def text(tmp_path, *scanners, more=""):
    return "\n".join([f'[escl]\nannounce = false\nports = "{more}"\nspool = "{tmp_path}/spool"', *scanners])


def named(name, more=""):
    return section(name, "http://127.0.0.1:9/scan", more)


def addresses(service):
    return {name: service.escl_ports.url(name) for name in ("a", "b")}


@pytest_twisted.ensureDeferred
async def test_ports_follow_the_configuration(file, tmp_path, ports):
    fixed, other, both = ports
    service = await file.start(text(tmp_path, named("a", f"escl_port = {fixed}"), more=both))
    await until(lambda: service.escl_ports.url("a"))
    assert addresses(service) == {"a": f"http://127.0.0.1:{fixed}/eSCL", "b": None}
    await file.reload(text(tmp_path, named("a", f"escl_port = {fixed}"), named("b", f"escl_port = {other}"), more=both))
    await until(lambda: service.escl_ports.url("b"))
    assert (await Client(other).get("ScannerStatus")).status == 200
    await file.reload(text(tmp_path, named("a", f"escl_port = {fixed}\nescl = false"), named("b"), more=both))
    await until(lambda: addresses(service) == {"a": None, "b": f"http://127.0.0.1:{both}/eSCL"})
    assert (await Client(service.port, "/a/eSCL").get("ScannerStatus")).status == 404
    assert (await Client(service.port, "/b/eSCL").get("ScannerStatus")).status == 200
    await file.reload(text(tmp_path, named("a"), more=both))
    await until(lambda: addresses(service)["b"] is None)
    assert (await Client(service.port, "/b/eSCL").get("ScannerStatus")).status == 404


@pytest_twisted.ensureDeferred
async def test_a_replaced_scanner_keeps_its_port(file, tmp_path, ports):
    service = await file.start(text(tmp_path, named("a"), more=ports[0]))
    await until(lambda: service.escl_ports.url("a"))
    [listener] = service.escl_ports.listeners
    await file.reload(text(tmp_path, section("a", "http://127.0.0.1:10/scan"), more=ports[0]))
    assert service.escl_ports.listeners == [listener]
    assert (await Client(ports[0]).get("ScannerStatus")).status == 200


@pytest_twisted.ensureDeferred
async def test_a_port_is_kept_for_the_next_start(running, tmp_path, ports):
    from twisted.internet import reactor

    from wsdgateway.app.service import GatewayService
    from wsdgateway.config.reading import make_config

    def gateway(*names):
        low = min(ports)
        return GatewayService(reactor, make_config({
            "gateway": {"state": f"sqlite:{tmp_path}/g.sqlite"}, "listen": [{"endpoint": "tcp:0:interface=127.0.0.1"}],
            "admin": {"endpoint": "tcp:0:interface=127.0.0.1"},
            "escl": {"announce": False, "ports": f"{low}-{low + 2}", "spool": str(tmp_path / "spool")},
            "scanner": [{"name": name, "scan": "http://127.0.0.1:9/x"} for name in names]}, str(tmp_path / "g.toml")))

    first = await running(gateway("a", "b"))
    await until(lambda: len(first.escl_ports.listeners) == 2)
    assigned = await first.store.escl_ports()
    await first.stopService()
    second = await running(gateway("c", "b"))
    await until(lambda: len(second.escl_ports.listeners) == 2)
    again = await second.store.escl_ports()
    assert again["b"] == assigned["b"]
    assert again["c"] not in assigned.values()


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_when_a_scanner_is_added_is_reported_and_no_other_is_used(file, tmp_path, ports):
    """At the start, a port that is taken ends the gateway: tests/e2e/test_service.py."""
    from twisted.internet import reactor

    taken = await TCP4ServerEndpoint(reactor, ports[0], interface="127.0.0.1").listen(Factory())
    service = await file.start(text(tmp_path, more=f"{ports[0]}-{ports[0]}"))
    await file.reload(text(tmp_path, named("a"), more=f"{ports[0]}-{ports[0]}"))
    await until(lambda: service.escl_ports.listeners and service.escl_ports.listeners[0].tried)
    assert service.running and service.escl_ports.url("a") is None
    status, _, body = await request(service.admin_port, b"/readyz")
    assert status == 503
    assert str(ports[0]) in body.decode()
    assert "in use" in body.decode()
    [one] = json.loads((await request(service.admin_port, b"/api/scanners"))[2])
    assert one["escl_url"] is None
    await taken.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_size_of_the_spool_follows_the_configuration(file, tmp_path, ports):
    service = await file.start(text(tmp_path, more=ports[0]))
    assert service.escl.room.limit == 2 << 30
    await file.reload(text(tmp_path, "spool_size = 1048576", more=ports[0]))
    assert b"\nwsdgateway_spool_size_bytes 1.048576e+06\n" in service.metrics.render()
    assert (service.escl.room.limit_of("192.0.2.7"), service.escl.room.limit) == (1 << 19, 1 << 20)
