"""Clients' names on the scanner's panel: registration, renewal, replacement and removal."""

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred

from tests.loopback.events.subscribers import PANEL, PATH, S, W, notify, pressed, push_scan, refused, subscribed
from tests.loopback.scanners import HeldAnswers, Subscribed
from tests.messages import SCAN, create_scan_job, envelope, manage, status_event, subscribe
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.bridge.events.upstream_core import RECHECK
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE


@pytest_twisted.ensureDeferred
async def test_a_scan_from_the_panel(bridged, sink):
    service = await bridged()
    mine, other = await sink(), await sink()
    granted = await subscribed(service, mine.url, **PANEL)
    others = await subscribed(service, other.url, **PANEL)
    panel = [held for held in service.device.device.subscribers.held.values() if held.destinations]
    assert [list(held.destinations.values()) for held in panel] == [list(granted.tokens.values()),
                                                                     list(others.tokens.values())]
    assert granted.tokens != others.tokens
    assert len(service.device.device.subscribers.held) == 3
    one = panel[0]
    service.device.device.subscribers.held = {one.identifier: one}
    service.device.device.press()
    await until(lambda: mine.received)
    context, identifier = pressed(mine)
    assert context == "ctx"
    await push_scan(service, granted.tokens["ctx"], identifier)
    assert not other.received


@pytest_twisted.ensureDeferred
async def test_a_name_leaves_the_panel_with_its_subscription(bridged, sink):
    service = await bridged()
    held = service.device.device.subscribers.held
    granted = await subscribed(service, (await sink()).url, **PANEL)
    await subscribed(service, (await sink()).url, expires="PT0.3S", **PANEL)
    assert len(held) == 3
    await until(lambda: len(held) == 2)
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await until(lambda: len(held) == 1)


@pytest_twisted.ensureDeferred
async def test_after_a_reboot_the_old_token_works(bridged, sink):
    service = await bridged()
    listener = await sink()
    granted = await subscribed(service, listener.url, **PANEL)
    service.device.device.forget()
    service.clock.advance(60.0)
    service.scanner.subscriptions.own.doubted()
    held = service.device.device.subscribers.held
    await until(lambda: len(held) == 2 and not service.scanner.bridge.off_panel)
    [token] = [token for one in held.values() for token in one.destinations.values()]
    assert token != granted.tokens["ctx"]
    service.device.device.press()
    await until(lambda: listener.received)
    await push_scan(service, granted.tokens["ctx"], pressed(listener)[1])


@pytest_twisted.ensureDeferred
async def test_a_mixed_filter_is_one_subscription_for_the_client(bridged, sink):
    service = await bridged()
    listener = await sink()
    granted = await subscribed(service, listener.url, events=["ScanAvailableEvent", "JobStatusEvent"],
                               destinations=PANEL["destinations"])
    service.device.device.press()
    await until(lambda: listener.received)
    await push_scan(service, granted.tokens["ctx"], pressed(listener)[1])
    await until(lambda: "JobStatusEvent" in listener.events)
    assert listener.events[0] == "ScanAvailableEvent"
    assert service.device.soap.asked["Subscribe"] == 2
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await until(lambda: len(service.device.device.subscribers.held) == 1)


@pytest_twisted.ensureDeferred
async def test_registering_the_same_names_again_gives_the_same_tokens_and_no_second_entry(bridged, sink):
    service = await bridged()
    listener = await sink()
    first = await subscribed(service, listener.url, **PANEL)
    second = await subscribed(service, listener.url, **PANEL)
    assert second.tokens == first.tokens
    assert second.identifier != first.identifier
    assert service.device.soap.asked["Subscribe"] == 2
    service.device.device.press()
    await until(lambda: listener.received)
    await push_scan(service, second.tokens["ctx"], pressed(listener)[1])
    assert await refused(service, manage("Renew", first.identifier)) == "InvalidMessage"
    assert len(service.device.device.subscribers.held) == 2
    await ask(service.port, PATH, manage("Unsubscribe", second.identifier))
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    assert len(listener.received) == 1
    assert await service.store.subscriptions() == []
    await until(lambda: [held.identifier for held in service.store.held().result] == [""])


@pytest_twisted.ensureDeferred
async def test_a_former_subscription_keeps_its_other_events(bridged, sink):
    service = await bridged()
    listener = await sink()
    first = await subscribed(service, listener.url, events=["ScanAvailableEvent", "JobStatusEvent"],
                             destinations=PANEL["destinations"])
    second = await subscribed(service, listener.url, **PANEL)
    assert second.tokens == first.tokens
    await notify(service, status_event("7"))
    await until(lambda: listener.received)
    assert listener.events == ["JobStatusEvent"]
    stored = await service.store.subscriptions()
    assert [(one.urn, one.panel, len(one.tokens)) for one in stored] == [
        (first.identifier, False, 0), (second.identifier, True, 1)]


@pytest_twisted.ensureDeferred
async def test_scan_destinations_are_sent_to_the_scanner_unchanged(gateway, device, sink):
    scanner = Subscribed(device)
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    await subscribed(service, (await sink()).url, **PANEL)
    own, panel = (read(asked.request.body) for asked in device.requests)
    assert panel.body.findtext(f"{W}Filter") == f"{SCAN}/ScanAvailableEvent"
    [destination] = panel.body.find(f"{S}ScanDestinations")
    assert destination.findtext(f"{S}ClientDisplayName") == "Scan to me"
    addresses = {message.body.findtext(f"{W}Delivery/{W}NotifyTo/*") for message in (own, panel)}
    assert len(addresses) == 2
    assert all("/front-desk/events/" in address for address in addresses)
    assert scanner.actions == ["Subscribe", "Subscribe"]


@pytest_twisted.ensureDeferred
async def test_a_token_that_is_off_the_panel_gets_a_temporary_error(bridged, sink):
    service = await bridged()
    granted = await subscribed(service, (await sink()).url, **PANEL)
    service.device.device.forget()
    [kept] = service.scanner.subscriptions.panel.held
    kept.ended()
    message = create_scan_job().replace(b"<wscn:ScanTicket>", (
        f"<wscn:DestinationToken>{granted.tokens['ctx']}</wscn:DestinationToken><wscn:ScanTicket>").encode())
    assert await refused(service, message) == "ServerErrorTemporaryError"
    await until(lambda: not service.scanner.bridge.off_panel)
    assert (await ask(service.port, PATH, message))[0].status == 200


@pytest.mark.parametrize("leave", ["abortConnection", "loseConnection"])
@pytest_twisted.ensureDeferred
async def test_a_client_that_disconnects_before_its_answer_is_not_registered(bridged, sink, leave, monkeypatch):
    service = await bridged()
    held = HeldAnswers(monkeypatch)
    client = await connect(service.port)
    client.send(post(PATH, subscribe((await sink()).url, **PANEL)))
    await until(lambda: service.scanner.subscriptions.panel.beginning)
    behind = await connect(service.port)
    behind.send(post(PATH, subscribe((await sink()).url, **PANEL)))
    await until(lambda: service.scanner.subscriptions.panel.registrations.waiting)
    for one in (client, behind):
        getattr(one.transport, leave)()
        await one.end()
    assert (await ask(service.port, "/nowhere", b""))[0].status == 404  # by now the gateway knows that they have left
    held.send()
    await until(lambda: not service.scanner.subscriptions.panel.beginning)
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    assert len(service.scanner.bridge.subscriptions) == 0
    assert service.device.soap.asked["Subscribe"] == 2  # the second one was never sent


@pytest.mark.parametrize("answer", [
    (b"hello", b"200 OK", b"text/plain"), (b"", b"202 Accepted", b"text/plain"),
    (envelope(f"{WSE}/Odd", "<wse:Odd/>"), b"200 OK", b"application/soap+xml")])
@pytest_twisted.ensureDeferred
async def test_an_unusable_answer_of_the_scanner_is_a_fault(gateway, device, sink, answer):
    scanner = Subscribed(device)
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    device.handle = lambda asked: asked.answer(*answer)
    assert await refused(service, subscribe((await sink()).url, **PANEL)) == "ServerErrorInternalError"
    assert scanner.actions == ["Subscribe"]
    device.handle = scanner.handle


@pytest_twisted.ensureDeferred
async def test_many_names_are_registered_again_after_an_outage(bridged, sink):
    service = await bridged()
    listener = await sink()
    for number in range(20):
        await subscribed(service, f"{listener.url}/{number}", **PANEL)
    held = service.device.device.subscribers.held
    holding = [service.scanner.subscriptions.own, *service.scanner.subscriptions.panel.held]

    service.device.reboot(1000.0)
    service.clock.advance(60.0)
    service.scanner.subscription_lost()
    service.scanner.subscriptions.own.doubted()
    await until(lambda: {one.state for one in holding} <= {"subscribed", "waiting"})
    service.device.reboot(0.0)

    def back():
        service.clock.advance(RECHECK)
        service.scanner.recovered(True)
        return len(held) == 21 and not service.scanner.bridge.off_panel

    await until(back)
    assert len(service.scanner.bridge.subscriptions) == 20


@pytest_twisted.ensureDeferred
async def test_an_unnoticed_restart_of_the_scanner_is_detected(bridged, sink):
    service = await bridged(events={"check": 0.2})
    listener = await sink()
    await subscribed(service, listener.url, **PANEL)
    service.device.device.forget()
    service.clock.advance(60.0)
    held = service.device.device.subscribers.held
    await until(lambda: len(held) == 2 and not service.scanner.bridge.off_panel)
    service.device.device.press()
    await until(lambda: listener.received)


@pytest_twisted.ensureDeferred
async def test_a_name_leaves_the_panel_when_the_scanner_is_reachable_again(bridged, sink):
    service = await bridged()
    granted = await subscribed(service, (await sink()).url, **PANEL)
    own = service.scanner.requests.send

    async def away(*request):
        raise Unavailable("the scanner", "it is away")

    service.scanner.subscriptions.panel.client = attrs.evolve(service.scanner.subscriptions.panel.client, send=away)
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    assert len(await service.store.held()) == 2
    service.scanner.subscriptions.panel.client = attrs.evolve(service.scanner.subscriptions.panel.client, send=own)
    await until(lambda: any(one.waits for one in service.scanner.subscriptions.panel.ending))
    service.scanner.recovered(False)
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    await until(lambda: not service.scanner.subscriptions.panel.ending)
    await until(lambda: [held.identifier for held in service.store.held().result] == [""])


@pytest_twisted.ensureDeferred
async def test_a_button_press_before_the_subscribe_response_is_delivered(bridged, sink, monkeypatch):
    service = await bridged()
    listener = await sink()
    save, held = service.store.save, []

    def slow(*arguments):
        held.append((Deferred(), arguments))
        return held[-1][0]

    monkeypatch.setattr(service.store, "save", slow)
    asking = ensureDeferred(ask(service.port, PATH, subscribe(listener.url, **PANEL)))
    await until(lambda: held)
    for _ in range(2):
        service.device.device.press()
    await until(lambda: service.scanner.subscribers.early == 2)
    monkeypatch.undo()
    [(waiting, arguments)] = held
    await save(*arguments)
    waiting.callback(None)
    assert (await asking)[0].status == 200
    await until(lambda: len(listener.received) == 2)


@pytest_twisted.ensureDeferred
async def test_unsubscribe_is_repeated_at_a_busy_scanner(gateway, device, sink):
    scanner = Subscribed(device)
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    granted = await subscribed(service, (await sink()).url, **PANEL)
    device.handle = lambda asked: asked.answer(b"busy", b"503 Busy", b"text/plain")
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await until(lambda: any(one.waits for one in service.scanner.subscriptions.panel.ending))
    assert len(await service.store.held()) == 2
    device.handle = scanner.handle
    service.scanner.recovered(False)
    await until(lambda: not service.scanner.subscriptions.panel.ending)
    assert scanner.actions[-1] == "Unsubscribe"
    await until(lambda: [held.identifier for held in service.store.held().result] == [""])


@pytest_twisted.ensureDeferred
async def test_repeated_registrations_with_other_filters_are_bounded(bridged, sink):
    service = await bridged(events={"max_subscriptions": 3})
    url = (await sink()).url
    for number in range(10):
        events = ["ScanAvailableEvent", "JobStatusEvent"] if number % 2 else ["ScanAvailableEvent"]
        await ask(service.port, PATH, subscribe(url, events=events, destinations=PANEL["destinations"]))
        assert len(service.scanner.bridge.subscriptions) <= 3
    assert service.device.soap.asked["Subscribe"] == 2
    assert len(service.device.device.subscribers.held) == 2
