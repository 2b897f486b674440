"""Tests of takeovers between whole gateways on a Redis server: hand-overs, lost leases, and what survives them."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.loopback.gateways import PATH
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.messages import end_event, get_job_elements, status_event, status_response, subscribe
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.client import RedisConnection


@pytest_twisted.ensureDeferred
async def test_the_owner_answers_and_the_other_passes_on(pair, device_with_events):
    owner, follower = await pair(device_with_events.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    assert follower.scanners == [] and device_with_events.actions.count("Subscribe") == 1
    await ask(follower.port, device_with_events.path, status_event("7", "Processing"))
    asked = device_with_events.actions.copy()
    for service in (owner, follower):
        head, answer = await ask(service.port, PATH, get_job_elements("7"))
        assert head.status == 200 and b"Processing" in answer
    assert device_with_events.actions == asked  # the owner knows the job from the event


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_stops_hands_over_and_the_subscription_is_renewed(pair, device_with_events):
    owner, follower = await pair(device_with_events.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    await owner.stopService()
    await until(lambda: serves(follower))
    await until(lambda: follower.scanners[0].bridge.table.listening)
    actions = device_with_events.actions
    await until(lambda: "Renew" in actions)
    assert (actions.count("Subscribe"), actions.count("Unsubscribe")) == (1, 0)
    device_with_events.device.handle = lambda asked: asked.answer(status_response("7", "Completed", 1))
    head, answer = await ask(follower.port, PATH, get_job_elements("7"))
    assert head.status == 200 and b"Completed" in answer


@pytest.mark.parametrize("names", [["Scans"], ["Mail", "Scans"]])
@pytest_twisted.ensureDeferred
async def test_destinations_stay_on_the_panel_at_a_takeover(pair, virtual, tmp_path, names):
    scanner = await virtual()
    (tmp_path / "files").mkdir()
    owner, follower = await pair(scanner.scan_url, destination=[
        {"name": name, "folder": str(tmp_path / "files"), "file": name} for name in names])
    await until(lambda: owner.scanners[0].bridge.table.listening and (
        owner.scanners[0].destinations.registration.state == "subscribed"))
    asked, held = scanner.soap.asked, dict(scanner.device.subscribers.held)
    assert (asked["Subscribe"], asked["Renew"], len(held)) == (2, 0, 2)
    await owner.stopService()
    await until(lambda: serves(follower) and asked["Renew"] == 2)
    registration = follower.scanners[0].destinations.registration
    await until(lambda: registration.state == "subscribed" and follower.scanners[0].bridge.table.listening)
    assert (asked["Subscribe"], asked["Renew"], asked["Unsubscribe"]) == (2, 2, 0)
    assert scanner.device.subscribers.held == held
    entry = follower.scanners[0].destinations.entries[-1]
    assert scanner.device.press(entry.context) == 1
    await until(lambda: [path.name for path in (tmp_path / "files").iterdir()] == ["Scans.pdf"])


@pytest_twisted.ensureDeferred
async def test_the_last_gateway_ends_the_subscription(member, device_with_events):
    service = await member("one", device_with_events.device.url)
    await until(lambda: serves(service) and service.scanners[0].bridge.table.listening)
    await service.stopService()
    assert device_with_events.actions.count("Unsubscribe") == 1


@pytest_twisted.ensureDeferred
async def test_a_client_stays_subscribed(pair, device_with_events, sink):
    receiver = await sink()
    owner, follower = await pair(device_with_events.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    head, _ = await ask(owner.port, PATH, subscribe(receiver.url))
    assert head.status == 200
    await owner.stopService()
    await until(lambda: serves(follower) and follower.scanners[0].bridge.table.listening)
    await ask(follower.port, device_with_events.path, end_event("7", message_id="urn:uuid:late"))
    await until(lambda: receiver.events)
    assert receiver.events == ["JobEndStateEvent"]


@pytest_twisted.ensureDeferred
async def test_finished_jobs_and_own_jobs_are_known_to_the_next_owner(pair, device_with_events):
    owner, follower = await pair(device_with_events.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    await ask(follower.port, device_with_events.path, end_event("7"))
    await until(lambda: owner.scanners[0].bridge.table.jobs())
    await owner.store.begin_job(OwnJob(NAME, "a", "9", None, owner.wall()))
    await owner.stopService()
    await until(lambda: serves(follower))
    assert [job.job_id for job in await follower.store.finished(NAME)] == ["7"]
    head, answer = await ask(follower.port, PATH, get_job_elements("7"))  # the scanner no longer knows the job
    assert head.status == 200 and b"Completed" in answer
    assert [job.job_id for job in await follower.store.own_jobs()] == ["9"]


@pytest_twisted.ensureDeferred
async def test_an_owner_whose_ticks_stall_loses_the_scanner(pair, device_with_events, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    owner, follower = await pair(device_with_events.device.url, lease=4.0)  # the next owner must not lose it, too
    tick = owner.shared.coordination.tick
    stalled = Deferred()
    owner.shared.coordination.tick = lambda *arguments: stalled.addCallback(lambda _: tick(*arguments))
    await until(lambda: serves(follower))
    assert not owner.shared.leases.of(NAME).holds()
    token = follower.shared.leases.of(NAME).token
    assert token > owner.shared.leases.of(NAME).token
    head, _ = await ask(owner.port, PATH, get_job_elements("7"))  # held or passed on, and answered by the new owner
    assert head.status in (200, 500)
    owner.shared.coordination.tick = tick
    stalled.callback(None)
    await until(lambda: owner.scanners == [] and owner_of(owner) == "two")
    await until(lambda: owner_of(follower) == "two" and serves(follower))


@pytest_twisted.ensureDeferred
async def test_a_scanner_is_moved(pair, device_with_events):
    owner, follower = await pair(device_with_events.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    await follower.cluster.state.wish(NAME, "two")
    await until(lambda: serves(follower) and owner_of(owner) == "two")
    assert owner.scanners == []
    await until(lambda: follower.scanners[0].bridge.table.listening)
    await owner.cluster.state.wish(NAME, "one")
    await until(lambda: serves(owner) and follower.scanners == [])
    await until(lambda: owner.scanners[0].bridge.table.listening)
    actions = device_with_events.actions
    assert (actions.count("Subscribe"), actions.count("Unsubscribe")) == (1, 0)


@pytest_twisted.ensureDeferred
async def test_a_read_sends_no_command_to_redis(pair, device_with_events, monkeypatch):
    owner, follower = await pair(device_with_events.device.url, lease=60.0)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    await ask(follower.port, device_with_events.path, status_event("7", "Processing"))
    commands = []
    run = RedisConnection.run
    monkeypatch.setattr(RedisConnection, "run", lambda self, command: (
        commands.append(command.__qualname__), run(self, command))[1])
    for service in (owner, follower):
        for _ in range(3):
            head, answer = await ask(service.port, PATH, get_job_elements("7"))
            assert head.status == 200 and b"Processing" in answer
    assert [one for one in commands if "tick" not in one and "SharedStore" not in one] == []


@pytest_twisted.ensureDeferred
async def test_an_instance_id_is_drawn_at_each_takeover(pair, device_with_events):
    owner, follower = await pair(device_with_events.device.url)
    former = owner.instance_id
    await follower.cluster.state.wish(NAME, "two")
    await until(lambda: serves(follower))
    assert follower.instance_id > former


@pytest_twisted.ensureDeferred
async def test_damaged_data_does_not_keep_a_scanner_from_being_served(pair, device_with_events, redis, said):
    owner, follower = await pair(device_with_events.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    for key in (keys.done(NAME), keys.INSTANCE, keys.cursor(NAME)):
        redis.command("DEL", key)
        redis.command("SADD", key, "x")
    await owner.stopService()
    await until(lambda: serves(follower))
    device_with_events.device.handle = lambda asked: asked.answer(status_response("7", "Completed", 1))
    head, answer = await ask(follower.port, PATH, get_job_elements("7"))
    assert head.status == 200 and b"Completed" in answer
    assert follower.instance_id > 1
    assert redis.command("GET", keys.INSTANCE) == str(follower.instance_id).encode()
    assert any("Finished jobs are left out" in line for line in said)


@pytest.mark.parametrize("first", ["one", "two"])
@pytest_twisted.ensureDeferred
async def test_of_two_that_stop_together_one_ends_the_subscription(pair, virtual, redis, first, sink):
    scanner, receiver = await virtual(), await sink()
    owner, follower = await pair(scanner.scan_url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    head, _ = await ask(owner.port, PATH, subscribe(receiver.url))
    assert head.status == 200
    await gatherResults([one.stopService() for one in ((owner, follower) if first == "one" else (follower, owner))])
    assert scanner.device.subscribers.held == {}
    assert (scanner.soap.asked["Unsubscribe"], scanner.soap.asked["Subscribe"]) == (1, 1)
    assert redis.command("HLEN", keys.held(NAME)) == 0
    assert redis.command("HLEN", keys.subscriptions(NAME)) == 1  # clients stay subscribed, as after any stop
    assert redis.command("EXISTS", keys.owner(NAME)) == 0


@pytest_twisted.ensureDeferred
async def test_data_of_a_newer_version_does_not_keep_a_scanner_from_being_served(pair, device_with_events, redis, said):
    owner, follower = await pair(device_with_events.device.url)
    redis.command("SET", keys.SCHEMA, "2.0")
    await owner.stopService()
    await until(lambda: serves(follower))
    assert any("What the gateways share cannot be read" in line and "newer version" in line for line in said)
