"""Deliveries of events to clients, and sinks that do not accept them."""

import attrs
import pytest_twisted

from tests.loopback.events.subscribers import PANEL, PATH, S, W, notify, subscribed
from tests.messages import SCAN, manage, status_event
from tests.peers import ask
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.bridge.events import deliveryqueue
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE


@pytest_twisted.ensureDeferred
async def test_an_event_is_delivered_to_matching_subscribers_with_their_headers(bridged, sink):
    service = await bridged()
    everything, jobs, nothing = await sink(), await sink(), await sink()
    await subscribed(service, everything.url, parameters='<x:Id xmlns:x="urn:x">a&amp;b</x:Id><Plain>7</Plain>')
    await subscribed(service, jobs.url, events=["JobStatusEvent"], path="/front-desk")
    await subscribed(service, nothing.url, events=["ScannerStatusSummaryEvent"])
    await notify(service, status_event("7", "Processing", 4))
    await until(lambda: everything.received and jobs.received)
    [message] = everything.received
    assert message.to == everything.url
    assert message.action == f"{SCAN}/JobStatusEvent"
    assert message.header.findtext("{urn:x}Id") == "a&b"
    assert message.header.findtext("Plain") == "7"
    assert message.body.findtext(f"{S}JobStatus/{S}ScansCompleted") == "4"
    assert message.message_id not in (None, "urn:uuid:event-1", jobs.received[0].message_id)
    assert nothing.received == []
    assert service.device.soap.asked["Subscribe"] == 1
    assert b'wsdgateway_subscriptions{scanner="front-desk",side="client"} 3.0' in service.metrics.render()
    await until(lambda: b'deliveries_total{outcome="ok",scanner="front-desk"} 2.0' in service.metrics.render())


@pytest_twisted.ensureDeferred
async def test_no_event_is_delivered_after_unsubscribe(bridged, sink):
    service = await bridged()
    listener, other = await sink(), await sink()
    granted = await subscribed(service, listener.url)
    await subscribed(service, other.url)
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await notify(service, status_event("7"))
    await until(lambda: other.received)
    assert not listener.received


@pytest_twisted.ensureDeferred
async def test_a_sink_that_returns_gets_the_missed_events_in_order(bridged, sink):
    service = await bridged()
    port = free_port()  # that no other process takes while the sink is stopped
    listener = await sink(port)
    await subscribed(service, listener.url)
    await listener.stop()
    for scans in range(5):
        await notify(service, status_event("7", "Processing", scans, message_id=f"urn:uuid:{scans}"))
    await until(lambda: service.scanner.subscribers.notifier.state(
        service.scanner.bridge.subscriptions.all()[0].identifier)[1] > 0)
    back = await sink(port)
    await until(lambda: len(back.received) == 5)
    assert [message.body.findtext(f"{S}JobStatus/{S}ScansCompleted") for message in back.received] == list("01234")
    text = service.metrics.render().decode()
    assert 'outcome="retried",scanner="front-desk"} 0.0' not in text
    assert 'wsdgateway_deliveries_total{outcome="dropped",scanner="front-desk"} 0.0' in text


@pytest_twisted.ensureDeferred
async def test_an_unreachable_sink_loses_its_subscription_and_its_name_on_the_panel(bridged, sink):
    service = await bridged(events={"client_retry": 0.5})
    ends, dead = await sink(), await sink(free_port())
    granted = await subscribed(service, dead.url, end_to=ends.url, parameters="<Id>5</Id>", events=["JobStatusEvent"],
                     destinations=PANEL["destinations"])
    assert len(service.device.device.subscribers.held) == 2
    await dead.stop()
    await notify(service, status_event("7"))
    await until(lambda: ends.received)
    [message] = ends.received
    assert message.action == f"{WSE}/SubscriptionEnd"
    assert message.header.findtext("Id") == "5"
    assert message.body.findtext(f".//{W}Identifier") == granted.identifier
    assert message.body.findtext(f"{W}Status") == f"{WSE}/DeliveryFailure"
    assert len(service.scanner.bridge.subscriptions) == 0
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    text = service.metrics.render().decode()
    assert 'wsdgateway_deliveries_total{outcome="dropped",scanner="front-desk"} 1.0' in text


@pytest_twisted.ensureDeferred
async def test_a_refused_event_is_skipped_after_some_tries(bridged, sink, monkeypatch):
    monkeypatch.setattr(deliveryqueue, "FIRST_PAUSE", 0.1)
    service = await bridged()
    listener = await sink()
    await subscribed(service, listener.url)
    listener.status = b"400 Bad Request"
    await notify(service, status_event("7", message_id="urn:uuid:1"))
    await notify(service, status_event("8", message_id="urn:uuid:2"))
    refused = listener.device.requests
    await until(lambda: len(refused) >= 3)
    listener.status = b"200 OK"
    await until(lambda: listener.received)
    assert [read(one.request.body).body.findtext(f"{S}JobStatus/{S}JobId") for one in refused][:4] == [
        "7", "7", "7", "8"]
    assert [message.body.findtext(f"{S}JobStatus/{S}JobId") for message in listener.received] == ["8"]


@pytest_twisted.ensureDeferred
async def test_subscribers_of_a_silent_scanner_get_a_subscription_end(gateway, sink):
    ends = await sink()
    service = await gateway("http://127.0.0.1:1/scan", events={"scanner_silence": 2.0})
    await subscribed(service, ends.url, end_to=ends.url, expires="PT3S")
    await until(lambda: ends.received)
    assert ends.received[0].body.findtext(f"{W}Status") == f"{WSE}/SourceCanceling"


@pytest_twisted.ensureDeferred
async def test_two_hundred_sinks_twenty_unreachable_and_twenty_slow(bridged, sink, monkeypatch):
    # The slow sinks must not be given up while the others are told, however busy the machine is.
    monkeypatch.setattr("wsdgateway.net.events.delivery.DELIVERY_SECONDS", 600.0)
    service = await bridged()
    good = [await sink() for _ in range(160)]
    slow, dead = [await sink() for _ in range(20)], [await sink(free_port()) for _ in range(20)]
    held = []
    for one in slow:
        one.device.handle = held.append
    for one in (*slow, *dead, *good):
        await subscribed(service, one.url)
    for one in dead:
        await one.stop()
    for scans in range(10):
        await notify(service, status_event("7", "Processing", scans, message_id=f"urn:uuid:{scans}"))

    await until(lambda: all(len(one.received) == 10 for one in good), seconds=300.0)
    for one in good:
        assert [message.body.findtext(f"{S}JobStatus/{S}ScansCompleted") for message in one.received] == [*"0123456789"]
    assert len(held) == 20  # one for each slow sink, unanswered
    for one in slow:
        one.device.handle = one.take
    for asked in held:
        asked.answer(b"", b"202 Accepted")
        asked.close()
    await until(lambda: all(len(one.received) == 9 for one in slow))
    assert len(service.scanner.bridge.subscriptions) == 200
    notifier = service.scanner.subscribers.notifier

    def waiting():
        return sorted(notifier.state(one.identifier)[0] for one in service.scanner.bridge.subscriptions.all())

    await until(lambda: waiting() == [0] * 180 + [10] * 20)


@pytest_twisted.ensureDeferred
async def test_a_sink_with_an_unusable_address_does_not_affect_the_others(bridged, sink, monkeypatch):
    service = await bridged()
    listeners = [await sink() for _ in range(3)]
    granted = [await subscribed(service, listener.url) for listener in listeners]
    broken = service.scanner.bridge.subscriptions.get(granted[1].identifier.removeprefix("urn:uuid:"))
    service.scanner.subscribers.notifier.open(broken.identifier, attrs.evolve(
        broken.notify_to, ip="fe80::1%nowhere0"))
    await notify(service, status_event("7"))
    await until(lambda: listeners[0].received and listeners[2].received)
    await until(lambda: service.scanner.subscribers.notifier.state(broken.identifier) == (1, 1))
    await until(lambda: service.deliveries.open == 0)
