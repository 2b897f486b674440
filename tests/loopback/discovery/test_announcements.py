"""Hello and Bye, of stand-ins to clients and of scanners to the gateway."""

import pytest
import pytest_twisted

from tests.loopback.announcing import hello
from tests.loopback.clients import found, probe
from tests.loopback.scanners import UUID, Metadata
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint
from wsdgateway.discovery.messages import Sequence
from wsdgateway.discovery.writing import write_bye
from wsdgateway.net.discovery import multicast

pytestmark = pytest.mark.usefixtures("soon")


@pytest_twisted.ensureDeferred
async def test_with_discovery_off_there_is_no_udp_socket(gateway, virtual, monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(multicast, "open_socket", refuse)
    scanner = await virtual()
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    assert not service.discovery.running


@pytest.mark.parametrize("events", ["auto", "off"])
@pytest_twisted.ensureDeferred
async def test_bye_is_sent_for_a_scanner_that_has_left_without_bye(gateway, virtual, own_link, events):
    scanner = await virtual()
    service = await gateway(scanner.scan_url, scanner={"events": events}, events={"check": 0.2}, discovery={
        "client_interfaces": ["lo"], "announce_rate": 10000})
    ours = derived_endpoint("front-desk")

    def announced(name):
        return [one for one in own_link.received if one.name == name and one.content[0].endpoint == ours]

    await until(lambda: announced("Hello"))
    scanner.reboot(1000.0)
    await until(lambda: announced("Bye"))
    assert await found(service, "/", probe()) == []
    own_link.received.clear()
    scanner.reboot(0.0)
    await until(lambda: announced("Hello"))


@pytest_twisted.ensureDeferred
async def test_a_stand_in_checks_an_absent_scanner_before_it_answers_a_probe(gateway, virtual):
    scanner = await virtual()
    service = await gateway(None, scanner={"device": scanner.device_url, "events": "off"})
    await until(lambda: service.scanner.bridge.device)
    scanner.reboot(1000.0)
    assert await found(service, "/", probe()) == []
    scanner.reboot(0.0)
    await until(lambda: scanner.is_on)
    assert len(await found(service, "/front-desk", probe())) == 1


@pytest_twisted.ensureDeferred
async def test_a_bye_counts_until_the_scanner_answers(finding, virtual, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.discovery.announcements.BYE_SECONDS", 0.0)
    scanner = await virtual()
    service = await finding(directed=[scanner.base], search=60)
    await until(service.found)
    service.scanner.monitor.said_bye()
    assert service.scanner.monitor.reachable is False
    health = service.scanner.health
    assert (health.reachable, health.problem.cause) == (False, "has left the network (it sent Bye)")
    assert len(await found(service, "/", probe())) == 1  # the scanner answered the check
    assert service.scanner.monitor.reachable is True
    assert (service.scanner.health.reachable, service.scanner.health.problem) == (True, None)


@pytest_twisted.ensureDeferred
async def test_the_scanner_gets_a_subscription_with_the_gateways_new_address(gateway, virtual, monkeypatch):
    scanner = await virtual()
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    before = service.scanner.subscriptions.own.held.notify_to

    async def elsewhere(reactor, host, port):
        return "127.0.0.9"

    monkeypatch.setattr("wsdgateway.app.listeners.local_address", elsewhere)
    monkeypatch.setattr("wsdgateway.app.listeners.base_url",
                        lambda local, ports: f"http://{local}:{service.port}")
    service.discovery.on_address_change()
    await until(lambda: scanner.soap.asked["Subscribe"] == 2)
    await until(lambda: service.scanner.bridge.table.listening and len(scanner.device.subscribers.held) == 1)
    after = service.scanner.subscriptions.own.held.notify_to
    assert after.startswith("http://127.0.0.9:")
    assert after.rpartition("/")[2] != before.rpartition("/")[2]


@pytest_twisted.ensureDeferred
async def test_a_forged_bye_has_only_a_short_effect(finding, device, own_link, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.discovery.announcements.BYE_SECONDS", 0.2)
    metadata = Metadata(device)
    service = await finding(device_interfaces=["lo"], client_interfaces=["lo"], scanner={"events": "off"}, search=60)
    hello(own_link, device)
    ours = derived_endpoint(UUID)
    await until(lambda: [one for one in own_link.received if one.name == "Hello" and one.content[0].endpoint == ours])
    first = next(one.message_id for one in own_link.received if one.name == "Hello" and one.content[0].endpoint == ours)
    checks = []
    device.handle = checks.append  # it answers when the test has looked
    own_link.announce(write_bye(UUID, sequence=Sequence(1 << 40, 1), message_id="urn:uuid:test-bye"))
    await until(lambda: [one for one in own_link.received if one.name == "Bye" and one.content[0].endpoint == ours])
    await until(lambda: checks)
    assert service.scanner.monitor.reachable is False
    device.handle = metadata.take
    for asked in checks:
        metadata.take(asked)
    await until(lambda: [one for one in own_link.received if one.name == "Hello" and one.content[0].endpoint == ours
                         and one.message_id != first])
    assert service.scanner.monitor.reachable is True
    assert len(await found(service, "/", probe())) == 1
