"""A store that was unreadable at the start and is readable again: its subscriptions continue or are ended."""

import shutil
import time

import pytest
import pytest_twisted

from tests.loopback.clients import request
from tests.loopback.scanners import Subscribed
from tests.messages import fault, get_job_elements, manage, subscribe
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.sqlitefile import read_only
from wsdgateway.storage.store import FinishedJob

PATH = "/front-desk/scan"


def client(identifier, scanner, url, **more):
    sink = Sink(EndpointReference(url), "127.0.0.1")
    return Subscription(identifier, scanner, "127.0.0.1", f"http://gw/{scanner}/subscriptions/{identifier}", sink, sink,
                        ActionFilter(), time.time() + 3600, **more)


def at_scanner(scanner, port, secret, identifier=""):
    return Held(scanner, identifier, f"http://127.0.0.1:{port}/scan", f"http://127.0.0.1:1/{scanner}/events/{secret}",
                EndpointReference(f"http://127.0.0.1:{port}/manager", (f"<i xmlns='urn:x'>{secret}</i>",)),
                time.time() + 3600)


@pytest.fixture
def broken(gateway, device, tmp_path):
    """Starts a gateway whose store is damaged; `repair` restores the file that earlier starts have left."""

    async def start(subscriptions, held, adopted=(), jobs=(), **sections):
        from twisted.internet import reactor

        file, copy = tmp_path / "g.sqlite", tmp_path / "copy"
        store = SqliteStore(reactor, file, 10)
        for one in subscriptions:
            await store.save(one)
        for one in held:
            await store.hold(one)
        for one in adopted:
            await store.adopt(one)
        for one in jobs:
            await store.add(one)
        await store.close()
        shutil.copy(file, copy)
        file.write_bytes(b"nonsense" * 1000)
        events = Subscribed(device)
        service = await gateway(device.url, gateway={"state": f"sqlite:{file}", "name": "test"}, **sections)
        service.events, service.file = events, file
        await until(lambda: service.scanner.bridge.table.listening)

        async def repair():
            shutil.copy(copy, file)
            service.store.retry()
            await until(lambda: service.store.warning() is None)

        service.repair = repair
        return service

    return start


def rows(service):
    """Returns the subscriptions at scanners and those of clients in the file."""
    content = read_only(service.file)
    return content.held, content.subscriptions


@pytest_twisted.ensureDeferred
async def test_readyz_and_the_page_warn_that_the_store_is_not_used(broken):
    service = await broken([], [])
    status, _, body = await request(service.admin_port, b"/readyz")
    lines = body.decode().splitlines()
    assert status == 200 and lines[0] == "ready"
    assert lines[1].startswith(f"warning: {service.file}: the store is damaged")
    _, _, page = await request(service.admin_port, b"/")
    assert b'<li class="warning"><strong>Warning</strong>: ' in page
    assert b"the store is damaged: file is not a database" in page
    assert b"\nwsdgateway_store_in_memory 1.0\n" in (await request(service.admin_port, b"/metrics"))[2]
    await service.repair()
    assert (await request(service.admin_port, b"/readyz"))[2] == b"ready\n"
    assert b"\nwsdgateway_store_in_memory 0.0\n" in (await request(service.admin_port, b"/metrics"))[2]
    assert b'class="warning"' not in (await request(service.admin_port, b"/"))[2]


@pytest_twisted.ensureDeferred
async def test_subscriptions_of_clients_continue_and_the_old_one_at_the_scanner_is_ended(broken, device, sink):
    listening = await sink()
    first = client("11111111-0000-4000-8000-000000000000", "front-desk", listening.url)
    service = await broken([first], [at_scanner("front-desk", device.port, "old")])
    assert (await ask(service.port, PATH, manage("Renew", first.urn)))[0].status == 400
    other = await sink()
    assert (await ask(service.port, PATH, subscribe(other.url)))[0].status == 200
    await service.repair()
    assert service.events.actions.count("Unsubscribe") == service.events.actions.count("Subscribe") == 1
    assert service.events.last.header.findtext("{urn:x}i") == "old"
    assert (await ask(service.port, PATH, manage("Renew", first.urn)))[0].status == 200
    [held], subscriptions = rows(service)
    assert held.identifier == "" and held.notify_to == service.events.notify_to
    assert [one.notify_to.reference.address for one in subscriptions] == [listening.url, other.url]


@pytest_twisted.ensureDeferred
async def test_a_client_that_has_subscribed_again_has_one_subscription(broken, sink):
    listening = await sink()
    first = client("11111111-0000-4000-8000-000000000000", "front-desk", listening.url)
    service = await broken([first], [])
    [_, body] = await ask(service.port, PATH, subscribe(listening.url, events=None))
    assert read(body).action.endswith("SubscribeResponse")
    await service.repair()
    assert len(service.scanner.bridge.subscriptions) == 1
    assert (await ask(service.port, PATH, manage("Renew", first.urn)))[0].status == 400


@pytest_twisted.ensureDeferred
async def test_subscriptions_of_a_scanner_that_is_no_longer_bridged_are_ended(broken, device, sink):
    listening = await sink()
    gone = client("22222222-0000-4000-8000-000000000000", "old-desk", listening.url)
    service = await broken([gone], [at_scanner("old-desk", device.port, "old")])
    await service.repair()
    assert service.events.actions.count("Unsubscribe") == 1
    await until(lambda: listening.events)
    assert listening.events == ["SubscriptionEnd"]
    await until(lambda: [one.scanner for one in rows(service)[0]] == ["front-desk"])
    assert rows(service)[1] == ()


@pytest_twisted.ensureDeferred
async def test_subscriptions_that_cannot_be_ended_yet_stay_in_the_store(broken):
    service = await broken([], [at_scanner("front-desk", 1, "unreachable")])
    await service.repair()
    held, _ = rows(service)
    assert sorted((one.identifier, one.notify_to.rpartition("/")[2] == "unreachable") for one in held) == [
        ("", False), ("left unreachable", True)]


@pytest_twisted.ensureDeferred
async def test_adopted_scanners_are_bridged_under_their_names(broken):
    uuid = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
    service = await broken([], [], [Adopted(uuid, "copy-room"), Adopted(uuid.replace("3", "4"), "front-desk")],
                           discovery={"adopt": True, "directed": ["http://127.0.0.1:1/none"]})
    assert [scanner.name for scanner in service.scanners] == ["front-desk"]
    await service.repair()
    names = {scanner.options.uuid: scanner.name for scanner in service.scanners}
    assert names[uuid] == "copy-room"
    assert names[uuid.replace("3", "4")].startswith("front-desk-")
    assert {one.uuid: one.name for one in await service.store.adopted()} == {
        key: name for key, name in names.items() if key is not None}


@pytest_twisted.ensureDeferred
async def test_stored_finished_jobs_are_answered_again(broken, device):
    service = await broken([], [], jobs=[FinishedJob(
        "front-desk", "7", "Completed", ("None",), 2, "2026-11-22T10:00:00Z", None, time.time())],
        cache={"poll_interval": 0.05})
    really = device.handle
    device.handle = lambda asked: (
        asked.answer(fault("wscn:ClientErrorJobIdNotFound"), b"500 Error") if b"GetJobElements" in asked.request.body
        else really(asked))
    assert (await ask(service.port, PATH, get_job_elements("7")))[0].status == 500
    await service.repair()
    for _ in range(500):
        head, body = await ask(service.port, PATH, get_job_elements("7"))
        if head.status == 200:
            break
    assert read_response(read(body).body).status.state == "Completed"
