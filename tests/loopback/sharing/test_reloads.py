"""Tests of reloads, adoption, and starts and ends of gateways that share scanners."""

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from tests.loopback.gateways import LOOPBACK, PATH, section
from tests.loopback.scanners import Subscribed
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.messages import get_job_elements, status_response
from tests.peers import Device, ask
from tests.ports import free_port
from tests.redisserver import RedisServer, skip_without_redis
from tests.waiting import until
from wsdgateway.app.service import GatewayService
from wsdgateway.app.storedstate import END_SECONDS
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.config.reading import read_config


class Files:
    """Gateways with configuration files, which share their scanners."""

    def __init__(self, folder, url, running):
        self._folder, self._url, self._running = folder, url, running

    def write(self, name, text):
        file = self._folder / f"{name}.toml"
        file.write_text(f'[gateway]\nname = "{name}"\nstate = "{self._url}"\n[cluster]\nendpoint = "{LOOPBACK}"\n'
                        f'lease = 4.0\n[[listen]]\nendpoint = "{LOOPBACK}"\n[admin]\nendpoint = "{LOOPBACK}"\n{text}')
        return file

    async def start(self, name, text):
        from twisted.internet import reactor

        service = GatewayService(reactor, read_config(str(self.write(name, text))))
        await self._running(service)
        await gatherResults([listener.opened for listener in (*service.listeners, service.admin)])
        service.port = service.listeners[0].address[1]
        return service

    async def reload(self, service, text):
        self.write(service.config.gateway.name, text)
        service.reload()
        await until(lambda: service.reloading is None)


@pytest_twisted.ensureDeferred
async def test_scanners_are_added_and_removed_in_both_states(tmp_path, fresh, running, device_with_events, started):
    other = Subscribed(await started(Device()))
    one, two = section(NAME, device_with_events.device.url), section("other", other.device.url)
    files = Files(tmp_path, fresh.url, running)
    owner = await files.start("one", one)
    await until(lambda: serves(owner))
    follower = await files.start("two", one)
    await until(lambda: owner_of(follower) == "one")
    await files.reload(follower, one + two)
    await until(lambda: serves(follower, "other"))
    await files.reload(owner, one + two)
    await until(lambda: owner_of(owner, "other") == "two")
    head, _ = await ask(owner.port, "/other/scan", get_job_elements("1"))
    assert head.status == 500  # the other gateway's scanner knows no such job
    await files.reload(follower, two)
    head, _ = await ask(follower.port, PATH, get_job_elements("1"))
    assert head.status == 404
    await until(lambda: serves(owner))
    assert [scanner.name for scanner in owner.scanners] == [NAME]


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_others_still_bridge_is_handed_over(tmp_path, fresh, running, device_with_events):
    one = section(NAME, device_with_events.device.url)
    files = Files(tmp_path, fresh.url, running)
    owner = await files.start("one", one)
    await until(lambda: serves(owner) and owner.scanners[0].bridge.table.listening)
    follower = await files.start("two", one)
    await until(lambda: owner_of(follower) == "one" and len(owner.cluster.coordinator.view.gateways) == 2)
    await files.reload(owner, "")
    await until(lambda: serves(follower))
    assert owner.scanners == [] and (await ask(owner.port, PATH, get_job_elements("1")))[0].status == 404


@pytest_twisted.ensureDeferred
async def test_subscriptions_of_a_scanner_that_nobody_bridges_are_ended(tmp_path, fresh, running, device_with_events):
    files = Files(tmp_path, fresh.url, running)
    owner = await files.start("one", section(NAME, device_with_events.device.url))
    await until(lambda: serves(owner) and owner.scanners[0].bridge.table.listening)
    await files.reload(owner, "")
    await until(lambda: device_with_events.actions.count("Unsubscribe") == 1)
    await until(lambda: fresh.command("EXISTS", f"wsdgateway:{{{NAME}}}:held") == 0)


@pytest_twisted.ensureDeferred
async def test_subscriptions_of_a_scanner_that_was_removed_while_no_gateway_ran_are_ended(
        tmp_path, fresh, running, device_with_events):
    files = Files(tmp_path, fresh.url, running)
    former = await files.start("one", section(NAME, device_with_events.device.url))
    await until(lambda: serves(former) and fresh.command("EXISTS", f"wsdgateway:{{{NAME}}}:held"))
    held = fresh.command("HGETALL", f"wsdgateway:{{{NAME}}}:held")
    await former.stopService()
    with fresh.connect() as client:  # as if it had been killed
        client.hset(f"wsdgateway:{{{NAME}}}:held", mapping=held)
        client.sadd("wsdgateway:scanners", NAME)
    unsubscribed = device_with_events.actions.count("Unsubscribe")
    service = await files.start("two", "")
    await until(lambda: service.cluster.coordinator.view is not None)
    await service.cluster.end_abandoned()
    await service.cluster.end_abandoned()
    await until(lambda: device_with_events.actions.count("Unsubscribe") == unsubscribed + 1)
    await until(lambda: fresh.command("EXISTS", f"wsdgateway:{{{NAME}}}:held") == 0)
    await service.cluster.end_abandoned()
    await until(lambda: service.cluster.state.ownerships() == [])


@pytest_twisted.ensureDeferred
async def test_a_changed_address_replaces_the_scanner_of_the_owner(tmp_path, fresh, running, device_with_events,
                                                                    started):
    files = Files(tmp_path, fresh.url, running)
    owner = await files.start("one", section(NAME, device_with_events.device.url))
    await until(lambda: serves(owner) and owner.scanners[0].bridge.table.listening)
    other = Subscribed(await started(Device()))
    await files.reload(owner, section(NAME, other.device.url))
    await until(lambda: serves(owner) and owner.scanners[0].bridge.table.listening)
    assert other.actions.count("Subscribe") == 1
    await until(lambda: device_with_events.actions.count("Unsubscribe") == 1)


@pytest_twisted.ensureDeferred
async def test_changed_limits_hold_for_passed_requests(tmp_path, fresh, running, device):
    device.handle = lambda asked: asked.answer(status_response("7", "Processing"))
    files = Files(tmp_path, fresh.url, running)
    one = section(NAME, device.url, 'events = "off"')
    owner = await files.start("one", one)
    await until(lambda: serves(owner))
    follower = await files.start("two", one)
    await until(lambda: owner_of(follower) == "one")
    large = get_job_elements("7") + b" " * 1200000  # the default limit is 1 MiB
    more = "timeout = 200.0\nidle_timeout = 100.0\n[limits]\nrequest_body = 2000000\nstop_timeout = 20.0\n"
    for service in (owner, follower):
        await files.reload(service, one + more)
        await until(lambda service=service: service.config.limits.request_body == 2000000)
    head, answer = await ask(follower.port, PATH, large)
    assert head.status == 200 and b"Processing" in answer
    assert follower.cluster.link.limits == (410.0, 110.0)
    assert follower.cluster.coordinator.stop_timeout == 20.0 + END_SECONDS


@pytest_twisted.ensureDeferred
async def test_an_adopted_scanner_is_followed_by_the_others(member):
    discovery = {"discovery": {"device_interfaces": [], "adopt": True}}
    one, two = await member("one", None, **discovery), await member("two", None, **discovery)
    adopted = Adopted("urn:uuid:4509a320-00a0-008f-00b6-002507510eca", "copy-room")
    await one.store.adopt(adopted)
    for service in (one, two):
        await service.discovery.adopted.synchronize()
        assert service.bridged.known["copy-room"].uuid == adopted.uuid
    await until(lambda: owner_of(one, "copy-room") is not None and owner_of(two, "copy-room") is not None)
    await one.store.abandon(adopted.uuid)
    for service in (one, two):
        await service.discovery.adopted.synchronize()
        assert service.bridged.known == {}
    await until(lambda: one.scanners == two.scanners == [])


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("options", "database", "why"), [
    ({"cluster_enabled": "yes"}, 0, "Redis Cluster is not supported"),
    ({"cluster_enabled": "yes"}, 1, "Redis Cluster is not supported"),
    ({"databases": "2"}, 2, "database 2: must be less than databases in redis.conf")])
async def test_a_server_that_must_not_be_used_ends_the_start(tmp_path, running, said, monkeypatch, options, database,
                                                             why):
    from twisted.internet import reactor

    skip_without_redis()
    ended = []
    monkeypatch.setattr(reactor, "stop", lambda: ended.append(True))
    port = free_port()
    if "cluster_enabled" in options:
        options = {**options, "cluster_port": str(free_port())}
    server = RedisServer(tmp_path / "redis", port=port, **options)
    server.start()
    try:
        files = Files(tmp_path, f"redis://127.0.0.1:{port}/{database}", running)
        await running(GatewayService(reactor, read_config(str(files.write("one", "")))))
        await until(lambda: ended)
        assert any(why in line for line in said)
    finally:
        server.kill()


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_taken_ends_the_start(member, said, monkeypatch):
    from twisted.internet import reactor

    ended = []
    monkeypatch.setattr(reactor, "stop", lambda: ended.append(True))
    await member("one", None)
    await member("one", None)
    await until(lambda: ended)
    assert any("must be unique" in line for line in said)
