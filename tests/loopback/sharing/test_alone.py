"""Tests of whole gateways that serve a scanner while their Redis server does not answer."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.certificates import Certified
from tests.loopback.gateways import PATH
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.messages import (
    create_scan_job,
    end_event,
    get_job_elements,
    manage,
    status_event,
    status_response,
    subscribe,
)
from tests.peers import ask
from tests.ports import free_port
from tests.redisserver import redis_servers
from tests.waiting import until
from wsdgateway.bridge.cluster import ownership
from wsdgateway.bridge.cluster.commands import Why
from wsdgateway.bridge.cluster.values import Serving
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.storage.redis import keys

__all__ = ("redis_servers",)

LEASE = 4.0  # much shorter ones lapse before a tick has failed
SUBSCRIPTIONS = f"/{NAME}/subscriptions"


@pytest.fixture
def impatient(monkeypatch):
    """Gateways that do not wait long for Redis before they serve what they do not own."""
    monkeypatch.setattr(ownership, "ALONE_AFTER", 0.5)


def state(service):
    return service.cluster.state.ownership(NAME).ownership


def completes(device):
    """The scanner says of its jobs that they are completed, and knows its subscriptions as before."""
    def handle(asked):
        if b"GetJobElements" in asked.request.body:
            asked.answer(status_response("7", "Completed", 1))
        else:
            device.handle(asked)

    device.device.handle = handle


async def granted(service, receiver):
    """The identifier of a new subscription."""
    head, _ = await ask(service.port, PATH, subscribe(receiver.url))
    assert head.status == 200
    return service.bridged.find(NAME).bridge.subscriptions.all()[-1].identifier


@pytest_twisted.ensureDeferred
async def test_an_owner_alone_serves_within_limits_and_all_is_written_later(pair, away, device_with_events, sink):
    receiver, device = await sink(), device_with_events
    owner, follower = await pair(device.device.url, lease=LEASE)
    scanner = owner.scanners[0]
    await until(lambda: scanner.bridge.table.listening)
    identifier, ended = await granted(owner, receiver), await granted(owner, receiver)
    await ask(owner.port, device.path, status_event("7", "Processing"))
    away.stop()
    await until(lambda: scanner.alone is not None)
    assert (scanner.alone.gateways, scanner.alone.is_owner) == (2, True)
    await until(lambda: state(owner) == "alone")

    for service in (owner, follower):  # the follower passes on to the last owner
        head, answer = await ask(service.port, PATH, subscribe(receiver.url))
        assert (head.status, "its Redis server cannot be reached" in reason_of(read(answer))) == (500, True)
    head, _ = await ask(follower.port, f"{SUBSCRIPTIONS}/{identifier}", manage("Renew", identifier, expires="PT2H"))
    assert head.status == 200
    head, _ = await ask(owner.port, f"{SUBSCRIPTIONS}/{ended}", manage("Unsubscribe", ended))
    assert head.status == 200
    completes(device)
    head, answer = await ask(owner.port, PATH, get_job_elements("7"))  # the event is not trusted
    assert head.status == 200 and b"Completed" in answer
    await ask(owner.port, device.path, end_event("8", message_id="urn:uuid:late"))
    await until(lambda: "JobEndStateEvent" in receiver.events)

    away.cont()
    await until(lambda: state(owner) == "owning" and scanner.alone is None)
    assert owner.scanners == [scanner]
    await until(lambda: owner.store.warning() is None and listed(away) == {identifier})
    head, _ = await ask(follower.port, PATH, subscribe(receiver.url))
    assert head.status == 200
    await until(lambda: len(listed(away)) == 2)
    assert (device.actions.count("Subscribe"), device.actions.count("Unsubscribe")) == (1, 0)


def listed(redis):
    """The identifiers of the subscriptions in Redis."""
    return {name.decode() for name in redis.command("HKEYS", f"wsdgateway:{{{NAME}}}:subs")}


@pytest_twisted.ensureDeferred
async def test_a_lost_subscription_is_made_again_only_with_redis(pair, away, device_with_events, said):
    device = device_with_events
    owner, _ = await pair(device.device.url, lease=LEASE)
    scanner = owner.scanners[0]
    await until(lambda: scanner.bridge.table.listening)
    away.stop()
    await until(lambda: scanner.alone is not None)
    scanner.subscriptions.own.ended()
    scanner.subscriptions.recovered(was_away=True)
    await until(lambda: any("no subscription is made while the gateway serves" in line for line in said))
    assert device.actions.count("Subscribe") == 1
    away.cont()
    await until(lambda: device.actions.count("Subscribe") == 2)
    assert scanner.alone is None


async def unknown(service, action):
    """The fault for a request about a subscription that the gateway does not know."""
    identifier = "00000000-0000-4000-8000-000000000000"
    expires = {"expires": "PT1H"} if action == "Renew" else {}
    head, answer = await ask(service.port, f"{SUBSCRIPTIONS}/{identifier}", manage(action, identifier, **expires))
    assert head.status in (400, 500)
    return fault_of(read(answer))


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_starts_without_redis_serves_from_nothing(member, away, device_with_events, impatient,
                                                                      sink):
    receiver, device = await sink(), device_with_events
    away.stop()
    completes(device)
    service = await member("one", device.device.url, lease=LEASE)
    await until(lambda: serves(service))
    scanner = service.scanners[0]
    assert (state(service), scanner.alone.is_owner, scanner.stand_in.service) == ("alone", False, None)
    head, answer = await ask(service.port, PATH, get_job_elements("7"))
    assert head.status == 200 and b"Completed" in answer
    head, _ = await ask(service.port, PATH, subscribe(receiver.url))
    assert head.status == 500
    assert "Subscribe" not in device.actions
    assert [await unknown(service, action) for action in ("Renew", "GetStatus", "Unsubscribe")] == [
        "UnableToRenew", "EventSourceUnableToProcess", "EventSourceUnableToProcess"]
    away.cont()
    await until(lambda: state(service) == "owning" and serves(service))
    assert service.scanners[0].alone is None and service.scanners[0] is not scanner
    await until(lambda: service.scanners[0].bridge.table.listening)
    assert await unknown(service, "Renew") == "InvalidMessage"


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_redis_refuses_does_not_serve_beside_the_owner(member, redis_servers, tmp_path, impatient,
                                                                            device_with_events):
    certified = Certified(tmp_path, "redis", "127.0.0.1")
    server = redis_servers(port=free_port(), tls=(certified.pem, certified.key))
    service = await member("one", device_with_events.device.url, lease=LEASE, gateway={
        "state": f"redis://127.0.0.1:{server.port}/0", "name": "one"})
    reason = f"redis://127.0.0.1:{server.port}/0: the server speaks TLS: the URL must begin with rediss"
    await until(lambda: any(f"no scanner can be served: {reason}" in one for one in service.overview.problems()))
    await deferLater(service.reactor, 4 * ownership.ALONE_AFTER)
    assert not serves(service) and not device_with_events.actions


@pytest_twisted.ensureDeferred
async def test_an_owner_asks_for_its_jobs_if_another_gateway_has_had_the_events(pair, device_with_events):
    device = device_with_events
    owner, follower = await pair(device.device.url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    await ask(owner.port, device.path, status_event("7", "Processing"))
    completes(device)
    assert b"Processing" in (await ask(owner.port, PATH, get_job_elements("7")))[1]  # no need to ask
    owner.cluster.coordinator.questioned(Serving(follower.cluster.registration(), {NAME: 1}))
    assert b"Completed" in (await ask(owner.port, PATH, get_job_elements("7")))[1]


@pytest.mark.parametrize("further_outages", [0, 2])
@pytest_twisted.ensureDeferred
async def test_subscribers_are_told_of_a_job_that_began_without_a_lease(
        pair, away, virtual, impatient, sink, further_outages):
    receiver, scanner = await sink(), await virtual(page_seconds=30.0)
    owner, follower = await pair(scanner.scan_url, lease=LEASE)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    await granted(owner, receiver)
    await until(lambda: owner.store.warning() is None and len(listed(away)) == 1)
    away.stop()
    await owner.stopService()
    await until(lambda: serves(follower) and state(follower) == "alone")
    request = create_scan_job()
    _, created = await ask(follower.port, PATH, request)
    job_id = read(created).body.findtext(".//{*}JobId")
    scanner.device.cancel_jobs()
    await until(lambda: not any(one.queue or one.sending for one in scanner.device.subscribers.held.values()))
    assert receiver.received == []
    for _ in range(further_outages):
        await follower.cluster.owned.end(NAME, Why.LOST)
        await follower.cluster.owned.begin_alone(NAME)
    assert (await ask(follower.port, PATH, request))[1] == created
    away.cont()
    await until(lambda: state(follower) == "owning" and serves(follower))
    assert (await ask(follower.port, PATH, request))[1] == created  # the client repeats it, and it creates no other job
    assert scanner.soap.asked["CreateScanJob"] == 1
    await until(lambda: "JobEndStateEvent" in receiver.events)
    assert receiver.events == ["JobStatusEvent", "JobEndStateEvent"]
    assert {one.body.findtext(".//{*}JobId") for one in receiver.received} == {job_id}


@pytest_twisted.ensureDeferred
async def test_a_follower_that_reaches_nobody_serves_alone(pair, away, device_with_events, impatient):
    device = device_with_events
    owner, follower = await pair(device.device.url, lease=LEASE)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    completes(device)
    away.stop()
    await until(lambda: state(owner) == "alone")
    await until(lambda: state(follower) == "following" and owner_of(follower) == "one")
    await owner.cluster.port.stop()
    await until(lambda: serves(follower) and state(follower) == "alone")
    head, answer = await ask(follower.port, PATH, get_job_elements("7"))
    assert head.status == 200 and b"Completed" in answer
    away.cont()
    await until(lambda: state(follower) == "following" and state(owner) == "owning")
    assert follower.scanners == []


@pytest.fixture
def refusing(fresh):
    """`refusing(setting, value)`: Redis answers, and takes no writes until the end of the test."""
    former = {}

    def refuse(setting, value):
        former[setting] = fresh.command("CONFIG", "GET", setting)[1]
        fresh.command("CONFIG", "SET", setting, value)

    yield refuse
    for setting, value in former.items():
        fresh.command("CONFIG", "SET", setting, value)


@pytest.mark.parametrize(("setting", "value"), [("maxmemory", "1"), ("min-replicas-to-write", "1")])
@pytest_twisted.ensureDeferred
async def test_jobs_are_created_while_redis_answers_and_takes_no_writes(pair, fresh, refusing, virtual, setting, value):
    scanner = await virtual()
    owner, follower = await pair(scanner.scan_url, lease=LEASE, limits={"unlimited": []})
    await until(lambda: owner.scanners[0].bridge.table.listening)
    refusing(setting, value)
    await until(lambda: state(owner) == "alone" and fresh.command("GET", keys.owner(NAME)) is None)
    for number, service in enumerate((owner, follower), 1):
        head, answer = await ask(service.port, PATH, create_scan_job(f"urn:uuid:create-{number}"))
        assert (head.status, scanner.soap.asked["CreateScanJob"]) == (200, number), answer
        scanner.device.cancel_jobs()


@pytest_twisted.ensureDeferred
async def test_without_alone_nothing_is_served_without_redis(member, away, device_with_events, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    service = await member("one", device_with_events.device.url, lease=LEASE, cluster={"alone": False})
    await until(lambda: serves(service) and service.scanners[0].bridge.table.listening)
    away.stop()
    await until(lambda: not service.shared.leases.of(NAME).holds() and service.cluster.coordinator.outage)
    head, answer = await ask(service.port, PATH, get_job_elements("7"))
    assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
    assert "Redis server, which cannot be reached" in reason_of(read(answer))
    away.cont()
    await until(lambda: serves(service) and service.shared.leases.of(NAME).holds())


@pytest_twisted.ensureDeferred
async def test_without_alone_no_gateway_is_ready_without_redis(pair, away, device_with_events):
    owner, follower = await pair(device_with_events.device.url, lease=LEASE, cluster={"alone": False})
    assert follower.overview.readiness() == [f"{NAME}: passed on to one"]
    away.stop()
    for service in (owner, follower):
        await until(lambda service=service: any("no scanner can be served" in one
                                                for one in service.overview.problems()))
        assert (state(service), owner_of(service)) == ("following", None)
        assert f"{NAME}: no gateway owns it" in service.overview.readiness()
    away.cont()
    for service in (owner, follower):
        await until(lambda service=service: owner_of(service) == "one" and not service.overview.problems())


@pytest.fixture
def stall(running):
    """`stall(service)`: the gateway gets no more answers to its ticks; `stall.end()`: it gets them again."""
    stall = Stall()
    yield stall
    stall.end()


class Stall:
    """The ticks of a gateway, which wait."""

    def __init__(self):
        self._ended, self._ends = Deferred(), []

    def __call__(self, service):
        coordination = service.shared.coordination
        tick = coordination.tick

        coordination.tick = lambda *arguments: self._ended.addCallback(lambda _: tick(*arguments))
        self._ends.append(lambda: setattr(coordination, "tick", tick))

    def end(self):
        while self._ends:
            self._ends.pop()()
        if not self._ended.called:
            self._ended.callback(None)


async def subscribed_anew(service, scanner):
    """The identifier of another subscription at the scanner, which the gateway makes in place of one that has ended."""
    held = scanner.device.subscribers.held
    before = set(held)
    own = service.scanners[0].subscriptions.own
    own.ended()
    service.scanners[0].subscriptions.recovered(was_away=True)
    await until(lambda: held.keys() - before and own.listening)
    return (held.keys() - before).pop()


@pytest_twisted.ensureDeferred
async def test_a_subscription_that_redis_does_not_list_is_ended_by_the_gateway_that_made_it(
        pair, fresh, virtual, said, stall):
    scanner = await virtual()
    held, asked = scanner.device.subscribers.held, scanner.soap.asked
    owner, follower = await pair(scanner.scan_url)
    await until(lambda: owner.scanners[0].bridge.table.listening)
    listed, lease = set(held), owner.shared.leases.of(NAME)
    stall(owner)
    await until(lambda: serves(follower) and follower.scanners[0].bridge.table.listening)
    lease.valid_until = float("inf")  # its clock stands still
    left = await subscribed_anew(owner, scanner)
    lease.valid_until = float("-inf")
    assert set(held) == {*listed, left}
    stall.end()
    await until(lambda: left not in held)
    assert owner.scanners == [] and set(held) == listed
    assert asked["Unsubscribe"] == 1
    assert any("ending a subscription at the scanner that the next owner does not know" in line for line in said)
    await until(lambda: not follower.cluster.coordinator.is_last())
    await follower.cluster.state.wish(NAME, "one")  # what Redis lists is left to the next owner
    await until(lambda: serves(owner) and owner.scanners[0].bridge.table.listening)
    assert (asked["Unsubscribe"], set(held)) == (1, listed)


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_stops_without_redis_ends_what_redis_does_not_list(pair, away, virtual):
    scanner = await virtual()
    held = scanner.device.subscribers.held
    owner, _ = await pair(scanner.scan_url, lease=LEASE)
    await until(lambda: owner.scanners[0].bridge.table.listening and not owner.cluster.coordinator.is_last())
    away.stop()
    held.clear()
    await subscribed_anew(owner, scanner)
    await owner.stopService()
    assert held == {}


@pytest_twisted.ensureDeferred
async def test_a_gateway_that_stops_without_redis_leaves_what_redis_lists_to_the_next_owner(pair, away, virtual):
    scanner = await virtual()
    owner, follower = await pair(scanner.scan_url, lease=LEASE)
    await until(lambda: owner.scanners[0].bridge.table.listening and not owner.cluster.coordinator.is_last())
    held = dict(scanner.device.subscribers.held)
    await until(lambda: owner.store.left_behind(NAME)[0].era is not None)  # the answer to its write has arrived
    away.stop()
    await until(lambda: owner.cluster.coordinator.outage)
    await owner.stopService()
    assert scanner.device.subscribers.held == held
    away.cont()
    await until(lambda: serves(follower) and follower.scanners[0].bridge.table.listening)
    assert scanner.device.subscribers.held.keys() == held.keys()


@pytest_twisted.ensureDeferred
async def test_no_subscription_is_made_from_the_end_of_the_lease_on(member, away, device_with_events, stall, said):
    device = device_with_events
    service = await member("one", device.device.url, lease=LEASE)
    await until(lambda: serves(service) and service.scanners[0].bridge.table.listening)
    scanner, lease = service.scanners[0], service.shared.leases.of(NAME)
    stall(service)
    lease.valid_until, lease.alone_until = float("-inf"), float("inf")  # before the coordinator has noticed
    scanner.subscriptions.own.ended()
    scanner.subscriptions.recovered(was_away=True)
    await until(lambda: any("no subscription is made while the gateway serves" in line for line in said))
    assert scanner.alone is None and device.actions.count("Subscribe") == 1
    lease.alone_until = float("-inf")
    stall.end()
    await until(lambda: device.actions.count("Subscribe") == 2)
