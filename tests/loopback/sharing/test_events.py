"""Tests of events and scan jobs that are under way when their gateway fails, with whole gateways and a Redis server."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.defer import fail as failed

from tests.loopback.events.subscribers import PANEL, PATH, pressed, subscribed
from tests.loopback.gateways import sample
from tests.loopback.sharing.conftest import NAME, serves
from tests.messages import (
    SCAN,
    create_scan_job,
    created_job,
    end_event,
    envelope,
    fault,
    listing,
    status_event,
    status_response,
)
from tests.peers import ask
from tests.waiting import until
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.redis import keys

# A gateway without Redis must not go on alone here, and a loaded machine must not lose the lease.
SHARED = {"lease": 4.0, "cluster": {"alone": False}}


def fail(service):
    """Lets a gateway go on without the effect of a running one: its lease ends, and nothing it sends arrives.

    Returns the messages that it would have delivered.
    """
    lost = []

    def send(scanner, sink, message):
        lost.append(read(message))
        return Deferred()

    for scanner in service.scanners:
        scanner.subscribers.notifier.send = lambda sink, message: send("", sink, message)
    service.shared.coordination.tick = lambda *arguments: failed(NotNow("no answer"))
    return lost


def hold(scanner, asked, history):
    """Lets a scanner hold its answers to GetJobElements, and answer GetJobHistory with `history`."""
    handle = scanner.device.handle

    def decide(request):
        if b"GetJobElementsRequest" in request.request.body:
            asked.append(request)
        elif b"GetJobHistoryRequest" in request.request.body:
            request.answer(history, b"400 Bad Request" if b"Fault" in history else b"200 OK")
        else:
            handle(request)

    scanner.device.handle = decide


async def taken_over(follower):
    await until(lambda: serves(follower) and follower.scanners[0].bridge.table.listening)


async def listening(owner):
    await until(lambda: owner.scanners and owner.scanners[0].bridge.table.listening)


def cursors(server):
    with server.connect() as client:
        return client.hvals(keys.cursor(NAME))


@pytest_twisted.ensureDeferred
async def test_an_event_that_was_answered_is_delivered_by_the_next_owner_once(pair, device_with_events, sink, redis):
    receiver = await sink()
    owner, follower = await pair(device_with_events.device.url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url)
    head, _ = await ask(follower.port, device_with_events.path, status_event("7", "Processing"))
    assert head.status == 202
    await until(lambda: receiver.events == ["JobStatusEvent"])
    with redis.connect() as client:
        last = client.xrevrange(keys.events(NAME), count=1)[0][0]
    await until(lambda: [value.split()[0] for value in cursors(redis)] == [last])
    lost = fail(owner)
    head, _ = await ask(follower.port, device_with_events.path, end_event("7", message_id="urn:uuid:end"))
    assert head.status == 202
    await until(lambda: lost)
    await taken_over(follower)
    await until(lambda: len(receiver.received) > 1)
    # The scanner sends the same message again, because it has not seen the answer.
    head, _ = await ask(follower.port, device_with_events.path, end_event("7", message_id="urn:uuid:end"))
    assert head.status == 202
    head, _ = await ask(follower.port, device_with_events.path, status_event("8", message_id="urn:uuid:next"))
    await until(lambda: len(receiver.received) > 2)
    assert receiver.events == ["JobStatusEvent", "JobEndStateEvent", "JobStatusEvent"]
    assert [one.message_id for one in lost] == [receiver.received[1].message_id]


@pytest_twisted.ensureDeferred
async def test_a_press_that_was_tried_is_not_sent_again(pair, virtual, sink):
    receiver, scanner = await sink(), await virtual()
    owner, follower = await pair(scanner.scan_url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url, **PANEL)
    receiver.status = None  # it receives the event, and its answer is lost with the gateway
    scanner.device.press()
    await until(lambda: receiver.device.requests)
    fail(owner)
    await taken_over(follower)
    receiver.status = b"202 Accepted"
    scanner.device.press()
    await until(lambda: receiver.received)
    assert len(receiver.device.requests) == 2
    assert pressed(receiver)[0] == "ctx"


@pytest_twisted.ensureDeferred
async def test_a_press_that_waited_behind_another_event_is_sent_by_the_next_owner(pair, virtual, sink):
    receiver, scanner = await sink(), await virtual()
    owner, follower = await pair(scanner.scan_url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url, events=["ScanAvailableEvent", "JobStatusEvent"],
                     destinations=PANEL["destinations"])
    lost = fail(owner)
    secret = owner.scanners[0].subscriptions.own.secret
    head, _ = await ask(follower.port, f"/{NAME}/events/{secret}", status_event("7"))
    assert head.status == 202
    await until(lambda: lost)
    scanner.device.press()
    [held] = [one for one in owner.scanners[0].bridge.subscriptions.all() if one.panel]
    await until(lambda: owner.scanners[0].subscribers.notifier.state(held.identifier)[0] == 2)
    await taken_over(follower)
    await until(lambda: len(receiver.received) == 2)
    assert receiver.events == ["JobStatusEvent", "ScanAvailableEvent"]
    assert receiver.received[0].message_id == lost[0].message_id
    assert len(lost) == 1


@pytest_twisted.ensureDeferred
async def test_a_scan_job_that_was_being_created_is_not_created_again(pair, device_with_events):
    device = device_with_events.device
    owner, follower = await pair(device.url, **SHARED)
    await listening(owner)
    handle, created = device.handle, []

    def hangs(asked):
        if b"CreateScanJobRequest" in asked.request.body:
            created.append(asked)
        else:
            handle(asked)

    device.handle = hangs
    first = ensureDeferred(ask(owner.port, PATH, create_scan_job()))
    first.addErrback(lambda failure: None)
    await until(lambda: created)
    fail(owner)
    await taken_over(follower)
    head, answer = await ask(follower.port, PATH, create_scan_job())
    assert (head.status, b"ServerErrorTemporaryError" in answer, b"start it again in a minute" in answer) == (
        500, True, True)
    assert len(created) == 1
    device.handle = lambda asked: (created.append(asked), asked.answer(created_job("9")))
    head, answer = await ask(follower.port, PATH, create_scan_job("urn:uuid:another"))
    assert (head.status, len(created)) == (200, 2)
    await owner.stopService()
    head, answer = await ask(follower.port, PATH, create_scan_job("urn:uuid:another"))
    assert (head.status, len(created)) == (200, 2)


@pytest_twisted.ensureDeferred
async def test_an_end_that_nobody_received_is_told_by_the_next_owner(pair, device_with_events, sink):
    receiver = await sink()
    owner, follower = await pair(device_with_events.device.url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url, events=["JobEndStateEvent"])
    await ask(follower.port, device_with_events.path, status_event("7", "Processing"))
    fail(owner)
    handle = device_with_events.device.handle
    device_with_events.device.handle = lambda asked: (
        asked.answer(status_response("7", "Completed", 1)) if b"GetJobElementsRequest" in asked.request.body
        else handle(asked))
    await taken_over(follower)
    await until(lambda: receiver.received)
    assert receiver.events == ["JobEndStateEvent"]


@pytest_twisted.ensureDeferred
async def test_an_end_that_the_scanner_has_sent_to_a_gateway_that_failed_is_told_by_the_owner(
        pair, device_with_events, sink, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.events.synthesis.END_SECONDS", 0.1)
    receiver = await sink()
    owner, follower = await pair(device_with_events.device.url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url, events=["JobEndStateEvent"])
    await ask(follower.port, device_with_events.path, status_event("7", "Completed", 1))
    await until(lambda: receiver.received)
    assert receiver.events == ["JobEndStateEvent"]


@pytest.mark.parametrize("history", [
    listing("GetJobHistory", "JobHistory", ("7", "Completed", 1)), fault("wsa:ActionNotSupported")])
@pytest_twisted.ensureDeferred
async def test_an_end_that_is_announced_while_the_next_owner_asks_for_it_is_told_once_it_is_due(
        pair, device_with_events, sink, monkeypatch, history):
    monkeypatch.setattr("wsdgateway.bridge.events.synthesis.END_SECONDS", 0.5)
    receiver, asked = await sink(), []
    owner, follower = await pair(device_with_events.device.url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url, events=["JobEndStateEvent"])
    await ask(follower.port, device_with_events.path, status_event("7", "Processing"))
    fail(owner)
    hold(device_with_events, asked, history)
    await taken_over(follower)
    await until(lambda: asked)
    # The JobEndStateEvent has been lost.
    await ask(follower.port, device_with_events.path, status_event("7", "Completed", 1, message_id="urn:uuid:2"))
    asked[0].answer(status_response("7", "Completed", 1))
    await until(lambda: receiver.received)
    assert receiver.events == ["JobEndStateEvent"]


@pytest.mark.parametrize("refusal", ["wscn:ClientErrorJobIdNotFound", "wsa:ActionNotSupported"])
@pytest_twisted.ensureDeferred
async def test_an_end_is_told_by_the_next_owner_although_the_scanner_does_not_confirm_it(
        pair, device_with_events, sink, refusal):
    receiver, asked = await sink(), []
    owner, follower = await pair(device_with_events.device.url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url, events=["JobEndStateEvent"])
    await ask(follower.port, device_with_events.path, status_event("7", "Completed", 1))
    fail(owner)
    hold(device_with_events, asked, fault("wsa:ActionNotSupported"))
    await taken_over(follower)
    await until(lambda: asked)
    asked[0].answer(fault(refusal), b"400 Bad Request")
    await until(lambda: receiver.received)
    assert receiver.events == ["JobEndStateEvent"]


@pytest_twisted.ensureDeferred
async def test_old_events_count_as_dropped(pair, device_with_events, sink, redis):
    receiver = await sink()
    owner, follower = await pair(device_with_events.device.url, **SHARED)
    await listening(owner)
    await subscribed(owner, receiver.url)
    lost = fail(owner)
    await ask(follower.port, device_with_events.path, envelope(
        f"{SCAN}/ScannerElementsChangeEvent", "<wscn:ScannerElementsChangeEvent/>", message_id="urn:uuid:1"))
    await until(lambda: lost)
    with redis.connect() as client:
        [(identifier, fields)] = client.xrevrange(keys.events(NAME), count=1)
        client.xdel(keys.events(NAME), identifier)
        client.xadd(keys.events(NAME), {**fields, b"at": b"1000"}, identifier[:-1] + b"9")
    await taken_over(follower)
    await until(lambda: sample(follower, "wsdgateway_deliveries_total", scanner=NAME, outcome="dropped") >= 1)
    assert receiver.received == []


@pytest_twisted.ensureDeferred
async def test_what_a_gateway_told_is_not_repeated_by_the_scanner_after_a_takeover(pair, device_with_events, sink):
    receiver = await sink()
    owner, follower = await pair(device_with_events.device.url, **SHARED, cache={"max_age": 0.2})
    await listening(owner)
    await subscribed(owner, receiver.url, events=["JobEndStateEvent"])
    handle = device_with_events.device.handle
    device_with_events.device.handle = lambda asked: (
        asked.answer(status_response("7", "Completed", 1)) if b"GetJobElementsRequest" in asked.request.body
        else handle(asked))
    await ask(follower.port, device_with_events.path, status_event("7", "Processing"))
    owner.scanners[0].bridge.synthesis.questions.hurry()
    owner.scanners[0].polling.look()
    await until(lambda: receiver.received)  # made by the owner, before the scanner sends its own
    await owner.stopService()
    await taken_over(follower)
    for number, message in (("7", "a"), ("8", "b")):
        head, _ = await ask(follower.port, device_with_events.path, end_event(number, message_id=f"urn:uuid:{message}"))
        assert head.status == 202
    await until(lambda: len(receiver.received) > 1)
    assert [one.body.findtext(f".//{{{WSCN}}}JobId") for one in receiver.received] == ["7", "8"]
