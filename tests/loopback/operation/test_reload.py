"""Reload (SIGHUP): the configuration is read again while the gateway runs."""

import json

import attrs
import pytest_twisted

from tests.loopback.clients import request
from tests.loopback.gateways import LOOPBACK, section
from tests.loopback.scanners import Subscribed
from tests.messages import SCAN, end_event, envelope, get_job_elements, job_request, status_event, subscribe
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.config.sections import LimitsConfig

PATH = "/front-desk/scan"


@pytest_twisted.ensureDeferred
async def test_adding_and_removing_scanners_does_not_affect_the_others(file, virtual, device):
    events = Subscribed(device)
    other = await virtual()
    service = await file.start(section("front-desk", device.url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    running = service.scanners[0]
    device.handle = None
    client = await connect(service.port)  # a request that is in progress throughout
    client.send(post(PATH, envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>")))
    asked = await device.next()

    await file.reload(section("front-desk", device.url) + section("copy-room", other.scan_url))
    assert [scanner.name for scanner in service.scanners] == ["front-desk", "copy-room"]
    assert service.scanners[0] is running
    await until(lambda: service.scanners[1].bridge.table.listening)
    assert (await ask(service.port, "/copy-room/scan", get_job_elements("1")))[0].status == 400

    await file.reload(section("front-desk", device.url))
    assert (await ask(service.port, "/copy-room/scan", get_job_elements("1")))[0].status == 404
    await service.bridged.settled()
    assert not other.device.subscribers.held  # the subscription there was ended
    asked.answer(envelope(f"{SCAN}/GetScannerElementsResponse"))
    assert (await client.answer())[0].status == 200
    assert service.scanners == [running] and events.actions.count("Subscribe") == 1
    client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_scanner_with_a_new_address_keeps_its_subscribers(file, virtual, sink):
    first, second, listening = await virtual(), await virtual(), await sink()
    service = await file.start(section("front-desk", first.scan_url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    head, _ = await ask(service.port, PATH, subscribe(listening.url))
    assert head.status == 200
    await file.reload(section("front-desk", second.scan_url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    assert not first.device.subscribers.held and len(second.device.subscribers.held) == 1
    second.device.subscribers.publish("ScannerStatusSummaryEvent", "<wscn:ScannerStatusSummaryEvent/>")
    await until(lambda: listening.received)
    assert [message.action.rpartition("/")[2] for message in listening.received] == ["ScannerStatusSummaryEvent"]


@pytest_twisted.ensureDeferred
async def test_a_scanner_with_a_new_address_is_served_at_once_and_keeps_its_jobs(file, device):
    events = Subscribed(device)
    service = await file.start(section("front-desk", device.url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    await ask(service.port, events.path, status_event("7", "Processing"))
    device.handle = None
    client = await connect(service.port)  # an image that takes long
    client.send(post(PATH, job_request("RetrieveImage", "7")))
    image = await device.next()
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 10\r\n\r\n12345")
    await client.until(lambda data: b"12345" in data)
    device.handle = lambda asked: asked.answer(envelope(f"{SCAN}/GetScannerElementsResponse")) if (
        b"GetScannerElements" in asked.request.body) else events.handle(asked)
    former = events.path
    await file.reload(section("front-desk", device.url + "/moved") + "[limits]\nstop_timeout = 0.01\n")
    head, _ = await ask(service.port, former, status_event("7", "Processing", 1, message_id="urn:2"))
    assert head.status == 202  # its notifications are still accepted
    head, _ = await ask(service.port, PATH, envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>"))
    assert head.status == 200
    await until(lambda: service.scanners[0].bridge.table.listening and "Unsubscribe" in events.actions)
    image.write(b"67890")
    head, body = await client.answer()
    assert (head.status, body) == (200, b"1234567890")
    assert [job.job_id for job in service.scanners[0].bridge.table.jobs()] == ["7"]
    await service.bridged.settled()
    client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_subscriptions_are_handed_over_to_a_changed_section(file, virtual, sink):
    """The same scanner gets another identity: no subscription is renewed, and the store keeps all of them."""
    scanner, listening = await virtual(), await sink()
    service = await file.start(f'[[scanner]]\nname = "front-desk"\ndevice = "{scanner.device_url}"\n')
    await until(lambda: service.scanners[0].bridge.table.listening)
    await ask(service.port, PATH, subscribe(listening.url))
    held = list(scanner.device.subscribers.held)
    await file.reload(f'[[scanner]]\nname = "front-desk"\ndevice = "{scanner.device_url}"\nidentity = "same"\n')
    await until(lambda: service.scanners[0].bridge.table.listening)
    await service.bridged.settled()
    assert list(scanner.device.subscribers.held) == held
    assert "Unsubscribe" not in scanner.soap.asked
    assert len(await service.store.subscriptions()) == len(await service.store.held()) == 1
    scanner.device.subscribers.publish("ScannerStatusSummaryEvent", "<wscn:ScannerStatusSummaryEvent/>")
    await until(lambda: listening.received)
    assert len(listening.received) == 1


@pytest_twisted.ensureDeferred
async def test_waiting_events_are_handed_over_to_a_changed_section(file, device, sink):
    events, listening = Subscribed(device), await sink()
    listening.status = b"500 Not now"
    service = await file.start(section("front-desk", device.url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    await ask(service.port, PATH, subscribe(listening.url))
    await ask(service.port, events.path, status_event("7", "Processing"))
    notifier = service.scanners[0].subscribers.notifier
    identifier = service.scanners[0].bridge.subscriptions.all()[0].identifier
    await until(lambda: notifier.state(identifier) == (1, 1))
    await file.reload(section("front-desk", device.url + "/moved"))
    assert service.scanners[0].subscribers.notifier.state(identifier) == (1, 1)
    listening.status = b"202 Accepted"
    await until(lambda: listening.received)
    assert [subscription.identifier for subscription in await service.store.subscriptions()] == [identifier]


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_wait_for_requests_to_a_removed_scanner(file, device):
    service = await file.start(section("front-desk", device.url, 'events = "off"') + "[limits]\nstop_timeout = 0.01\n")
    client = await connect(service.port)
    client.send(post(PATH, job_request("RetrieveImage", "7")))
    await device.next()
    await file.reload("[limits]\nstop_timeout = 0.01\n")
    assert not service.bridged.is_settled
    await service.stopService()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_subscribers_of_a_removed_scanner_get_a_subscription_end(file, virtual, sink):
    scanner, listening = await virtual(), await sink()
    service = await file.start(section("front-desk", scanner.scan_url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    await ask(service.port, PATH, subscribe(listening.url, end_to=listening.url))
    await file.reload("")
    await until(lambda: listening.received)
    assert listening.received[0].action.endswith("/SubscriptionEnd")


@pytest_twisted.ensureDeferred
async def test_a_running_request_to_a_removed_scanner_is_completed(file, device):
    service = await file.start(section("front-desk", device.url, 'events = "off"'))
    client = await connect(service.port)
    client.send(post(PATH, envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>")))
    asked = await device.next()
    await file.reload("")
    asked.answer(envelope(f"{SCAN}/GetScannerElementsResponse"))
    assert (await client.answer())[0].status == 200
    await service.bridged.settled()
    client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_changed_limits_take_effect(file, device):
    service = await file.start(section("front-desk", device.url, 'events = "off"'))
    scanner = service.scanners[0]
    await file.reload(section("front-desk", device.url, 'events = "off"\ntimeout = 0.05\nmax_connections = 1') + (
        '[limits]\nrequest_body = 2000\n[cache]\nmax_age = 5.0\n[admin.x]\n').replace("[admin.x]\n", ""))
    assert service.scanners == [scanner]
    assert (await ask(service.port, PATH, b"x" * 2001))[0].status == 413
    head, body = await ask(service.port, PATH, get_job_elements("1"))
    assert head.status == 500 and b"0.05 s" in body
    assert service.config.cache.max_age == 5.0


@pytest_twisted.ensureDeferred
async def test_a_shorter_history_reaches_the_job_table_and_the_store(file, device):
    events = Subscribed(device)
    service = await file.start(section("front-desk", device.url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    for number in range(3):
        await ask(service.port, events.path, end_event(str(number), "Completed", 1, message_id=f"urn:{number}"))
    assert len(await service.store.finished("front-desk")) == 3
    await file.reload(section("front-desk", device.url) + "[cache]\nhistory = 1\n")
    assert [job.job_id for job in service.scanners[0].bridge.table.jobs()] == ["2"]
    assert [job.job_id for job in await service.store.finished("front-desk")] == ["2"]


@pytest_twisted.ensureDeferred
async def test_an_invalid_file_is_logged_and_changes_nothing(file, device, said):
    service = await file.start(section("front-desk", device.url, 'events = "off"'))
    before = service.config
    await file.reload("[limits]\nconnections = 0\nnonsense = 1\n")
    assert service.config is before and len(service.scanners) == 1
    wrong = [line.removeprefix(f"The configuration was not reloaded: {file.path}:") for line in said
             if "was not reloaded" in line]
    assert wrong == ["8: [limits] connections = 0: must be a whole number between 1 and 1000000",
                     "9: [limits] nonsense: unknown key; the keys are " + ", ".join(
                         field.name for field in attrs.fields(LimitsConfig))]
    status, _, body = await request(service.admin_port, b"/readyz")
    assert (status, body.decode()) == (200, (
        "ready\nwarning: The reload failed, and the former configuration stays in use. Correct the file, and reload "
        f"again: {file.path}:8: [limits] connections = 0: must be a whole number between 1 and 1000000 (and 1 more in "
        "the log)\n"))
    file.path.write_text(f'[gateway]\nstate = "redis:h"\n[[listen]]\nendpoint = "{LOOPBACK}"\n')
    service.reload()
    await until(lambda: service.reloading is None)
    assert service.config is before
    assert any("was not reloaded" in line and "must be redis://HOST:6379/0" in line for line in said)
    file.path.unlink()
    service.reload()
    await until(lambda: service.reloading is None)
    assert service.config is before
    await file.reload(section("front-desk", device.url, 'events = "off"'))
    assert (await request(service.admin_port, b"/readyz"))[2] == b"ready\n"


@pytest_twisted.ensureDeferred
async def test_changes_that_need_a_restart_are_logged(file, said):
    service = await file.start("")
    file.path.write_text(f'[gateway]\nname = "another"\n[[listen]]\nendpoint = "{LOOPBACK}"\n[[listen]]\n'
                         'endpoint = "tcp:1"\n[admin]\nendpoint = "tcp:2"\n[discovery]\nproxy = true\n')
    service.reload()
    await until(lambda: service.reloading is None)
    assert any("changed sections: none" in line for line in said)
    for name in ("[gateway] name", "[[listen]]", "[discovery] proxy", "[admin] endpoint"):
        assert any(line.startswith(f"{name} has changed; this takes effect after a restart") for line in said), name
    assert len(service.listeners) == 1 and service.config.admin.endpoint == LOOPBACK


@pytest_twisted.ensureDeferred
async def test_the_exchange_log_and_the_token_change(file, tmp_path):
    service = await file.start('[exchange_log]\npath = "a.jsonl"\n')
    await ask(service.port, "/a", b"")
    file.path.write_text(f'[gateway]\nstate = "memory:"\n[[listen]]\nendpoint = "{LOOPBACK}"\n[admin]\n'
                         f'endpoint = "{LOOPBACK}"\ntoken = "0123456789abcdef"\n[exchange_log]\npath = "b.jsonl"\n')
    service.reload()
    await until(lambda: service.reloading is None)
    assert (await request(service.admin_port, b"/api/jobs"))[0] == 401
    await ask(service.port, "/b", b"")
    await until(lambda: (tmp_path / "b.jsonl").exists())
    await service.stopService()
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("a.jsonl", "b.jsonl")] == [1, 1]


@pytest_twisted.ensureDeferred
async def test_a_rotated_log_file_is_reopened(file, tmp_path):
    service = await file.start('[exchange_log]\npath = "a.jsonl"\n')
    await ask(service.port, "/a", b"")
    await until(lambda: (tmp_path / "a.jsonl").exists())
    (tmp_path / "a.jsonl").rename(tmp_path / "a.jsonl.old")
    service.reload()
    await ask(service.port, "/b", b"")
    await until(lambda: (tmp_path / "a.jsonl").exists())
    await service.stopService()
    statuses = [json.loads(line)["status"] for name in ("a.jsonl.old", "a.jsonl")
                for line in (tmp_path / name).read_text().splitlines()]
    assert statuses == [404, 404]
