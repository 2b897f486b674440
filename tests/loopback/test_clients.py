"""Clients that listen: they subscribe here, the scanner sees one subscriber, and everybody is told."""

import json
import socket
import threading

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred, fail

from tests.loopback.clients import Granted, get, until
from tests.messages import (
    SCAN,
    create_scan_job,
    envelope,
    get_job_elements,
    job_request,
    manage,
    status_event,
    subscribe,
)
from tests.peers import ask, connect, post
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.namespaces import WSA, WSCN, WSE

PATH = "/front-desk/scan"
W, S, A = f"{{{WSE}}}", f"{{{WSCN}}}", f"{{{WSA}}}"


@pytest.fixture
def bridged(gateway, virtual):
    """A gateway that has subscribed at a virtual scanner: `await bridged(**sections)`."""

    async def start(scanner=None, **sections):
        device = await virtual(**(scanner or {}))
        service = await gateway(device.scan_url, **sections)
        await until(lambda: service.scanner.bridge.table.listening)
        service.device = device
        return service

    return start


async def subscribed(service, *arguments, path=PATH, **more):
    return Granted(*await ask(service.port, path, subscribe(*arguments, **more)))


async def refused(service, message, path=PATH):
    head, body = await ask(service.port, path, message)
    assert head.status >= 400
    return fault_of(read(body))


async def notify(service, message):
    """Send a notification to the gateway as its device would."""
    path = "/front-desk/events/" + service.scanner.subscription.secret
    head, _ = await ask(service.port, path, message)
    assert head.status == 202


@pytest_twisted.ensureDeferred
async def test_an_event_reaches_who_wants_it_with_its_own_headers(bridged, sink):
    service = await bridged()
    everything, jobs, nothing = await sink(), await sink(), await sink()
    await subscribed(service, everything.url, parameters='<x:Id xmlns:x="urn:x">a&amp;b</x:Id><Plain>7</Plain>')
    await subscribed(service, jobs.url, events=["JobStatusEvent"], path="/front-desk")
    await subscribed(service, nothing.url, events=["ScannerStatusSummaryEvent"])
    await notify(service, status_event("7", "Processing", 4))
    await until(lambda: everything.told and jobs.told)
    [told] = everything.told
    assert told.to == everything.url
    assert told.action == f"{SCAN}/JobStatusEvent"
    assert told.header.findtext("{urn:x}Id") == "a&b"
    assert told.header.findtext("Plain") == "7"
    assert told.body.findtext(f"{S}JobStatus/{S}ScansCompleted") == "4"
    assert told.message_id not in (None, "urn:uuid:event-1", jobs.told[0].message_id)
    assert nothing.told == []
    assert service.device.soap.asked["Subscribe"] == 1
    assert b'wsdgateway_subscriptions{scanner="front-desk",side="client"} 3.0' in service.metrics.render()
    await until(lambda: b'deliveries_total{outcome="ok",scanner="front-desk"} 2.0' in service.metrics.render())


@pytest_twisted.ensureDeferred
async def test_a_subscription_is_managed_by_path_and_by_identifier_anywhere(bridged, sink):
    service = await bridged()
    listener = await sink()
    for path in (PATH, "/front-desk", "/front-desk/subscriptions/x", None):
        for inside in (False, True):
            granted = await subscribed(service, listener.url, path=PATH)
            assert granted.manager.startswith(f"http://127.0.0.1:{service.port}/front-desk/subscriptions/")
            identifier = granted.identifier if path else None
            for action in ("Renew", "GetStatus", "Unsubscribe"):
                head, body = await ask(service.port, path or granted.path, manage(action, identifier, inside=inside))
                message = read(body)
                assert (head.status, message.action) == (200, f"{WSE}/{action}Response")
                assert message.relates_to
            assert await refused(service, manage("GetStatus", granted.identifier)) == "InvalidMessage"
    assert len(service.scanner.bridge.subscriptions) == 0


@pytest_twisted.ensureDeferred
async def test_scan_operations_work_at_the_managers_address(bridged, sink):
    service = await bridged()
    granted = await subscribed(service, (await sink()).url)
    _, body = await ask(service.port, granted.path, create_scan_job())
    job = read_created(read(body).body)
    head, _ = await ask(service.port, granted.path, get_job_elements(job.job_id))
    assert head.status == 200


@pytest_twisted.ensureDeferred
async def test_after_unsubscribe_nothing_comes(bridged, sink):
    service = await bridged()
    listener, other = await sink(), await sink()
    granted = await subscribed(service, listener.url)
    await subscribed(service, other.url)
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await notify(service, status_event("7"))
    await until(lambda: other.told)
    assert not listener.told


PANEL = {"events": ["ScanAvailableEvent"], "destinations": [("ctx", "Scan to me")]}


async def push_scan(service, token, identifier):
    """What a client does after the button: CreateScanJob, then the image."""
    request = create_scan_job(f"urn:uuid:push-{identifier}").replace(
        b"<wscn:ScanTicket>", f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier><wscn:DestinationToken>"
        f" {token} </wscn:DestinationToken><wscn:ScanTicket>".encode())
    head, body = await ask(service.port, PATH, request)
    assert head.status == 200, body
    job = read_created(read(body).body)
    head, body = await ask(service.port, PATH, job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()))
    assert head.status == 200
    assert b"\xff\xd8\xff" in body


def pressed(listener):
    """ClientContext and ScanIdentifier of the last ScanAvailableEvent."""
    event = listener.told[-1].body
    assert event.tag == f"{S}ScanAvailableEvent"
    return event.findtext(f"{S}ClientContext"), event.findtext(f"{S}ScanIdentifier")


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
    await until(lambda: mine.told)
    context, identifier = pressed(mine)
    assert context == "ctx"
    await push_scan(service, granted.tokens["ctx"], identifier)
    assert not other.told


@pytest_twisted.ensureDeferred
async def test_a_name_leaves_the_panel_with_its_client(bridged, sink):
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
    for kept in (service.scanner.subscription, *service.scanner.panel._kept.values()):
        kept._machine._core.asked_at -= 60.0
    service.scanner.subscription.doubted()
    held = service.device.device.subscribers.held
    await until(lambda: len(held) == 2 and not service.scanner.bridge.off_panel)
    [token] = [token for one in held.values() for token in one.destinations.values()]
    assert token != granted.tokens["ctx"]
    service.device.device.press()
    await until(lambda: listener.told)
    await push_scan(service, granted.tokens["ctx"], pressed(listener)[1])


@pytest_twisted.ensureDeferred
async def test_a_mixed_filter_is_split_and_the_client_sees_one(bridged, sink):
    service = await bridged()
    listener = await sink()
    granted = await subscribed(service, listener.url, events=["ScanAvailableEvent", "JobStatusEvent"],
                               destinations=PANEL["destinations"])
    service.device.device.press()
    await until(lambda: listener.told)
    await push_scan(service, granted.tokens["ctx"], pressed(listener)[1])
    await until(lambda: "JobStatusEvent" in listener.events)
    assert listener.events[0] == "ScanAvailableEvent"
    assert service.device.soap.asked["Subscribe"] == 2
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await until(lambda: len(service.device.device.subscribers.held) == 1)


@pytest_twisted.ensureDeferred
async def test_what_is_told_of_subscriptions(bridged, sink):
    service = await bridged()
    listener = await sink()
    granted = await subscribed(service, listener.url, end_to=listener.url, **PANEL)
    await subscribed(service, listener.url)
    own, mine, other = json.loads((await get(service.admin_port, b"/api/subscriptions"))[2])
    assert (own["scanner"], own["side"], own["state"]) == ("front-desk", "device", "subscribed")
    assert service.scanner.subscription.secret not in json.dumps(own)
    assert mine["side"] == "client"
    assert granted.identifier.endswith(mine["id"])
    assert (mine["client"], mine["notify_to"], mine["end_to"]) == ("127.0.0.1", listener.url, listener.url)
    assert mine["events"] == [f"{SCAN}/ScanAvailableEvent"]
    assert mine["destinations"] == [{"context": "ctx", "name": "Scan to me"}]
    assert (mine["panel"], mine["state"], mine["waiting"], mine["failures"]) == ("subscribed", "ok", 0, 0)
    assert (other["events"], other["panel"], other["destinations"]) == (None, None, [])
    page = (await get(service.admin_port, b"/"))[2]
    assert b"Scan to me" in page
    assert b"ScanAvailableEvent" in page


# What is refused.

def sink_at(url):
    return subscribe(url), subscribe("http://127.0.0.1:9/x", end_to=url)


@pytest.mark.parametrize("url", ["http://198.51.100.9/e", "ftp://127.0.0.1/", "urn:x", "http://no.such.host.invalid/",
                                 "http://127.0.0.1:{port}/x", "http://127.0.0.1:{admin_port}/x",
                                 "http://localhost:{port}/x"])
@pytest_twisted.ensureDeferred
async def test_where_notifications_may_not_go(bridged, url):
    service = await bridged()
    url = url.replace("{port}", str(service.port)).replace("{admin_port}", str(service.admin_port))
    for message in sink_at(url):
        head, body = await ask(service.port, PATH, message)
        assert (head.status, fault_of(read(body))) == (400, "DestinationUnreachable")
        assert read(body).relates_to
    assert len(service.scanner.bridge.subscriptions) == 0


@pytest_twisted.ensureDeferred
async def test_networks_of_the_configuration_and_names_of_the_subscriber_may_be_notified(bridged, sink):
    service = await bridged(events={"client_networks": ["127.0.0.0/30"]})
    listener = await sink()
    await subscribed(service, listener.url.replace("127.0.0.1", "localhost"))
    await subscribed(service, "http://127.0.0.2:9/x")
    assert await refused(service, subscribe("http://127.0.0.9:9/x")) == "DestinationUnreachable"
    await notify(service, status_event("7"))
    await until(lambda: listener.told)
    assert listener.told[0].to == listener.url.replace("127.0.0.1", "localhost")


@pytest_twisted.ensureDeferred
async def test_requests_that_make_no_sense(bridged, sink):
    service = await bridged()
    url = (await sink()).url
    granted = await subscribed(service, url)
    for message, code in (
            (subscribe(url, mode="urn:pull"), "DeliveryModeRequestedUnavailable"),
            (subscribe(url, dialect="urn:xpath", events=["JobStatusEvent"]), "FilteringRequestedUnavailable"),
            (subscribe(url, events=["urn:none"]), "FilterActionNotSupported"),
            (subscribe(url, expires="PT0S"), "InvalidExpirationTime"),
            (subscribe(url, expires="soon"), "UnsupportedExpirationType"),
            (manage("Renew", granted.identifier, expires="-PT1S"), "InvalidExpirationTime"),
            (manage("Renew", granted.identifier, expires="soon"), "UnsupportedExpirationType"),
            (manage("Renew", "urn:uuid:none"), "InvalidMessage"), (manage("GetStatus"), "InvalidMessage"),
            (manage("Unsubscribe", "../x"), "InvalidMessage"),
            (subscribe(url, destinations=[(str(n), "n") for n in range(65)]), "InvalidMessage")):
        assert await refused(service, message) == code
    assert (await ask(service.port, granted.path, manage("GetStatus")))[0].status == 200


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_events_has_none_to_give(bridged, virtual, gateway, sink):
    url = (await sink()).url
    silent = await virtual(events="none")
    service = await gateway(silent.scan_url)
    await until(lambda: service.scanner.subscription.state == "waiting")
    assert await refused(service, subscribe(url)) == "EventSourceUnableToProcess"
    assert await refused(service, subscribe(url, **PANEL)) == "ActionNotSupported"  # the scanner's own word
    off = await gateway((await virtual()).scan_url, scanner={"events": "off"})
    for message in (subscribe(url), subscribe(url, **PANEL)):
        assert await refused(off, message) == "EventSourceUnableToProcess"


@pytest_twisted.ensureDeferred
async def test_there_is_room_for_so_many(bridged, sink):
    service = await bridged(events={"max_subscriptions": 2})
    first, second, third = [(await sink()).url for _ in range(3)]
    granted = await subscribed(service, first)
    await subscribed(service, second)
    assert await refused(service, subscribe(third)) == "EventSourceUnableToProcess"
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await subscribed(service, third)


@pytest_twisted.ensureDeferred
async def test_who_subscribes_again_and_again_does_not_keep_the_others_out(bridged, sink):
    service = await bridged(events={"max_subscriptions": 3})
    restless, other = [(await sink()).url for _ in range(2)]
    granted = [await subscribed(service, restless) for _ in range(3)]
    await subscribed(service, other)
    assert await refused(service, manage("Renew", granted[0].identifier)) == "InvalidMessage"
    await subscribed(service, restless, events=["JobStatusEvent"])
    assert await refused(service, subscribe(restless, events=["JobEndStateEvent"])) == "EventSourceUnableToProcess"
    assert (await ask(service.port, PATH, manage("Renew", granted[2].identifier)))[0].status == 200


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_can_not_be_reached_has_no_panel(gateway, sink):
    url = (await sink()).url
    service = await gateway("http://127.0.0.1:1/scan")
    await subscribed(service, url)  # it will have events when it is there
    assert await refused(service, subscribe(url, **PANEL)) == "ServerErrorTemporaryError"
    text = service.metrics.render().decode()
    assert 'wsdgateway_requests_total{operation="Subscribe",scanner="front-desk",source="local"} 1.0' in text
    assert 'wsdgateway_requests_total{operation="Subscribe",scanner="front-desk",source="refused"} 1.0' in text
    assert len(service.scanner.bridge.subscriptions) == 1


# How long.

@pytest_twisted.ensureDeferred
async def test_a_grant_is_never_longer_than_asked_nor_than_the_ceiling(bridged, sink):
    service = await bridged(events={"client_expires": 60.0})
    url = (await sink()).url
    for asked, granted in (("PT30S", 30), ("PT1H", 60), (None, 60), ("P1D", 60)):
        one = await subscribed(service, url, expires=asked)
        assert granted - 1 < float(one.expires[2:-1]) <= granted
        _, body = await ask(service.port, one.path, manage("Renew", expires="PT45S"))
        assert 44 < float(read(body).body.findtext(f"{W}Expires")[2:-1]) <= 45
        _, body = await ask(service.port, one.path, manage("GetStatus"))
        assert 44 < float(read(body).body.findtext(f"{W}Expires")[2:-1]) <= 45
    one = await subscribed(service, url, expires="2999-01-01T00:00:00Z")
    assert one.expires.startswith("20")


@pytest_twisted.ensureDeferred
async def test_what_has_expired_is_over(bridged, sink):
    service = await bridged()
    listener, other = await sink(), await sink()
    short = await subscribed(service, listener.url, expires="PT0.2S")
    await subscribed(service, other.url)
    await until(lambda: len(service.scanner.bridge.subscriptions) == 1)
    await notify(service, status_event("7"))
    await until(lambda: other.told)
    assert not listener.told
    assert await refused(service, manage("Renew", short.identifier)) == "InvalidMessage"


# Sinks that do not behave.

@pytest_twisted.ensureDeferred
async def test_a_sink_that_comes_back_gets_what_it_missed_in_order(bridged, sink):
    service = await bridged()
    listener = await sink()
    await subscribed(service, listener.url)
    port = listener.device.port
    await listener.stop()
    for scans in range(5):
        await notify(service, status_event("7", "Processing", scans, message_id=f"urn:uuid:{scans}"))
    await until(lambda: service.scanner.subscribers.notifier.state(
        service.scanner.bridge.subscriptions.all()[0].identifier)[1] > 0)
    back = await sink(port)
    await until(lambda: len(back.told) == 5)
    assert [told.body.findtext(f"{S}JobStatus/{S}ScansCompleted") for told in back.told] == list("01234")
    text = service.metrics.render().decode()
    assert 'outcome="retried",scanner="front-desk"} 0.0' not in text
    assert 'wsdgateway_deliveries_total{outcome="dropped",scanner="front-desk"} 0.0' in text


@pytest_twisted.ensureDeferred
async def test_a_dead_sink_loses_its_subscription_and_its_name_on_the_panel(bridged, sink):
    service = await bridged(events={"client_retry": 0.5})
    ends, dead = await sink(), await sink()
    granted = await subscribed(service, dead.url, end_to=ends.url, parameters="<Id>5</Id>", events=["JobStatusEvent"],
                     destinations=PANEL["destinations"])
    assert len(service.device.device.subscribers.held) == 2
    await dead.stop()
    await notify(service, status_event("7"))
    await until(lambda: ends.told)
    [told] = ends.told
    assert told.action == f"{WSE}/SubscriptionEnd"
    assert told.header.findtext("Id") == "5"
    assert told.body.findtext(f".//{W}Identifier") == granted.identifier
    assert told.body.findtext(f"{W}Status") == f"{WSE}/DeliveryFailure"
    assert len(service.scanner.bridge.subscriptions) == 0
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    text = service.metrics.render().decode()
    assert 'wsdgateway_deliveries_total{outcome="dropped",scanner="front-desk"} 1.0' in text


@pytest_twisted.ensureDeferred
async def test_a_refused_event_is_skipped_after_some_tries(bridged, sink):
    service = await bridged()
    listener = await sink()
    await subscribed(service, listener.url)
    recipient = next(iter(service.scanner.subscribers.notifier._recipients.values()))
    listener.status = b"400 Bad Request"
    await notify(service, status_event("7", message_id="urn:uuid:1"))
    await notify(service, status_event("8", message_id="urn:uuid:2"))
    for failures in (1, 2, 3):
        await until(lambda failures=failures: recipient.deliveries.failures == failures and recipient._pause)
        recipient._pause.reset(0)
    listener.status = b"200 OK"
    await until(lambda: listener.told)
    assert [told.body.findtext(f"{S}JobStatus/{S}JobId") for told in listener.told] == ["8"]


@pytest_twisted.ensureDeferred
async def test_a_silent_scanner_loses_its_subscribers_and_they_are_told(gateway, sink):
    ends = await sink()
    service = await gateway("http://127.0.0.1:1/scan", events={"scanner_silence": 0.2})
    await subscribed(service, ends.url, end_to=ends.url, expires="PT0.4S")
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.25)
    service.scanner.subscribers._look()
    await until(lambda: ends.told)
    assert ends.told[0].body.findtext(f"{W}Status") == f"{WSE}/SourceCanceling"


@pytest_twisted.ensureDeferred
async def test_two_hundred_sinks_of_which_twenty_are_dead_and_twenty_slow(bridged, sink):
    service = await bridged()
    good = [await sink() for _ in range(160)]
    slow, dead = [await sink() for _ in range(20)], [await sink() for _ in range(20)]
    held = []
    for one in slow:
        one.device.handle = held.append
    for one in (*slow, *dead, *good):
        await subscribed(service, one.url)
    for one in dead:
        await one.stop()
    for scans in range(10):
        await notify(service, status_event("7", "Processing", scans, message_id=f"urn:uuid:{scans}"))
    await until(lambda: all(len(one.told) == 10 for one in good))
    for one in good:
        assert [told.body.findtext(f"{S}JobStatus/{S}ScansCompleted") for told in one.told] == list("0123456789")
    assert len(held) == 20  # one each, unanswered
    for one in slow:
        one.device.handle = one._take
    for asked in held:
        asked.answer(b"", b"202 Accepted")
        asked.close()
    await until(lambda: all(len(one.told) == 9 for one in slow))
    assert len(service.scanner.bridge.subscriptions) == 200
    notifier = service.scanner.subscribers.notifier

    def waiting():
        return sorted(notifier.state(one.identifier)[0] for one in service.scanner.bridge.subscriptions.all())

    await until(lambda: waiting() == [0] * 180 + [10] * 20)


# The panel, more closely.

@pytest_twisted.ensureDeferred
async def test_who_registers_the_same_names_again_gets_the_same_tokens_and_no_second_entry(bridged, sink):
    service = await bridged()
    listener = await sink()
    first = await subscribed(service, listener.url, **PANEL)
    second = await subscribed(service, listener.url, **PANEL)
    assert second.tokens == first.tokens
    assert second.identifier != first.identifier
    assert service.device.soap.asked["Subscribe"] == 2
    service.device.device.press()
    await until(lambda: listener.told)
    await push_scan(service, second.tokens["ctx"], pressed(listener)[1])
    assert await refused(service, manage("Renew", first.identifier)) == "InvalidMessage"
    assert len(service.device.device.subscribers.held) == 2
    await ask(service.port, PATH, manage("Unsubscribe", second.identifier))
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    assert len(listener.told) == 1
    assert await service.store.subscriptions() == []
    await until(lambda: [held.identifier for held in service.store.held().result] == [""])


@pytest_twisted.ensureDeferred
async def test_what_a_former_registration_was_for_beside_the_panel_stays_with_it(bridged, sink):
    service = await bridged()
    listener = await sink()
    first = await subscribed(service, listener.url, events=["ScanAvailableEvent", "JobStatusEvent"],
                             destinations=PANEL["destinations"])
    second = await subscribed(service, listener.url, **PANEL)
    assert second.tokens == first.tokens
    await notify(service, status_event("7"))
    await until(lambda: listener.told)
    assert listener.events == ["JobStatusEvent"]
    stored = await service.store.subscriptions()
    assert [(one.urn, one.panel, len(one.tokens)) for one in stored] == [
        (first.identifier, False, 0), (second.identifier, True, 1)]


@pytest_twisted.ensureDeferred
async def test_scan_destinations_go_to_the_scanner_as_they_are(gateway, device, sink):
    from tests.loopback.scanners import Subscribed

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
async def test_a_token_of_a_name_that_is_not_on_the_panel_yet_is_to_be_tried_again(bridged, sink):
    service = await bridged()
    granted = await subscribed(service, (await sink()).url, **PANEL)
    service.device.device.forget()
    [kept] = service.scanner.panel._kept.values()
    kept.ended()
    message = create_scan_job().replace(b"<wscn:ScanTicket>", (
        f"<wscn:DestinationToken>{granted.tokens['ctx']}</wscn:DestinationToken><wscn:ScanTicket>").encode())
    assert await refused(service, message) == "ServerErrorTemporaryError"
    await until(lambda: not service.scanner.bridge.off_panel)
    assert (await ask(service.port, PATH, message))[0].status == 200


# A store that does not write.

def fails(*arguments):
    return fail(OSError("the disk is full"))


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_what_can_not_be_written_down_is_not_promised(bridged, sink, monkeypatch):
    service = await bridged()
    url = (await sink()).url
    granted = await subscribed(service, url, expires="PT60S")
    listener = await sink()
    mixed = {"events": ["ScanAvailableEvent", "JobStatusEvent"], "destinations": [("ctx", "Mixed")]}
    pure = await subscribed(service, listener.url, **PANEL)
    both = await subscribed(service, listener.url, **mixed)
    for name in ("save", "forget", "succeed"):
        monkeypatch.setattr(service.store, name, fails)
    assert await refused(service, subscribe(url)) == "EventSourceUnableToProcess"
    assert await refused(service, subscribe(url, **PANEL)) == "EventSourceUnableToProcess"
    for again in (PANEL, {**mixed, "events": ["ScanAvailableEvent"]}):
        assert await refused(service, subscribe(listener.url, **again)) == "EventSourceUnableToProcess"
    await until(lambda: len(service.device.device.subscribers.held) == 3)
    service.device.device.press()
    await until(lambda: len(listener.told) == 2)  # both former ones go on as they were
    assert {one.urn for one in service.scanner.bridge.subscriptions.all()} == {
        one.identifier for one in (granted, pure, both)}
    assert await refused(service, manage("Renew", granted.identifier, expires="PT2H")) == "UnableToRenew"
    _, body = await ask(service.port, granted.path, manage("GetStatus"))
    assert float(read(body).body.findtext(f"{W}Expires")[2:-1]) <= 60
    assert await refused(service, manage("Unsubscribe", granted.identifier)) == "EventSourceUnableToProcess"
    assert len(service.scanner.bridge.subscriptions) == 2


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_whatever_happens_a_subscribe_is_answered(bridged, sink, monkeypatch):
    service = await bridged()
    monkeypatch.setattr(type(service.scanner.source), "_wanted", None)
    assert await refused(service, subscribe((await sink()).url)) == "EventSourceUnableToProcess"


@pytest.mark.parametrize("leave", ["abortConnection", "loseConnection"])
@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_before_its_answer_is_not_on_the_panel(bridged, sink, leave):
    service = await bridged()
    service.device.troubles.slow = 0.2
    client = await connect(service.port)
    client.send(post(PATH, subscribe((await sink()).url, **PANEL)))
    await until(lambda: service.scanner.panel._beginning)
    behind = await connect(service.port)
    behind.send(post(PATH, subscribe((await sink()).url, **PANEL)))
    await until(lambda: service.scanner.panel.registrations.waiting)
    for one in (client, behind):
        getattr(one.transport, leave)()
    await until(lambda: not service.scanner.panel._beginning)
    service.device.troubles.slow = 0.0
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    assert len(service.scanner.bridge.subscriptions) == 0
    assert service.device.soap.asked["Subscribe"] == 2  # the second one never got there


# Hostile and unlucky ones.

@pytest_twisted.ensureDeferred
async def test_one_who_can_not_be_sent_to_keeps_nothing_from_the_others(bridged, sink, monkeypatch):
    service = await bridged()
    listeners = [await sink() for _ in range(3)]
    granted = [await subscribed(service, listener.url) for listener in listeners]
    broken = service.scanner.bridge.subscriptions.get(granted[1].identifier.removeprefix("urn:uuid:"))
    service.scanner.subscribers.notifier._recipients[broken.identifier]._sink = attrs.evolve(
        broken.notify_to, ip="fe80::1%nowhere0")
    await notify(service, status_event("7"))
    await until(lambda: listeners[0].told and listeners[2].told)
    await until(lambda: service.scanner.subscribers.notifier.state(broken.identifier) == (1, 1))
    assert service.deliveries._open == 0


@pytest.mark.parametrize("message", [
    subscribe("https://pc_" + "x" * 80 + "/"),
    subscribe("http://127.0.0.1:9/", parameters="<p/>" * 17),
    subscribe("http://127.0.0.1:9/", parameters=f"<p>{'x' * 9000}</p>"),
    subscribe("http://127.0.0.1:9/", parameters="<wsa:Action>urn:x</wsa:Action>"),
    subscribe("http://127.0.0.1:9/", parameters="<soap:Header/>"),
    subscribe("http://127.0.0.1:9/", parameters=f"<n:p xmlns:n='urn:{'x' * 20000}'/>"),
    subscribe("http://127.0.0.1:9/", events=["JobStatusEvent"] * 65),
    subscribe("http://127.0.0.1:9/", destinations=[("c", "n" * 70000)])])
@pytest_twisted.ensureDeferred
async def test_what_is_too_much_is_refused(bridged, message):
    service = await bridged()
    assert await refused(service, message) in ("InvalidMessage", "DestinationUnreachable")
    assert service.device.soap.asked["Subscribe"] == 1


@pytest_twisted.ensureDeferred
async def test_names_that_take_their_time_are_few_for_each_client(bridged, sink, monkeypatch):
    service = await bridged()
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **more: release.wait(10) and [])
    asking = [ensureDeferred(ask(service.port, PATH, subscribe(f"http://name-{n}.test/"))) for n in range(3)]
    _, body = await asking.pop()
    assert fault_of(read(body)) == "DestinationUnreachable"
    release.set()
    for one in asking:
        assert fault_of(read((await one)[1])) == "DestinationUnreachable"
    policy = service.scanner.source.policy
    await until(lambda: not policy.lookups)


@pytest_twisted.ensureDeferred
async def test_a_name_under_which_the_gateway_is_known_is_itself(gateway, virtual):
    service = await gateway((await virtual()).scan_url, events={"address": "http://print-server.test:5357"},
                            listen=[{"endpoint": "tcp:0:interface=127.0.0.1", "advertise": "http://scan.test:80"}])
    for url in ("http://print-server.test:5357/x", "http://scan.test/x"):
        _, body = await ask(service.port, PATH, subscribe(url))
        assert "this gateway itself" in reason_of(read(body))
    granted = await subscribed(service, "http://127.0.0.1:9/")
    assert granted.manager.startswith("http://scan.test:80/front-desk/subscriptions/")


@pytest.mark.parametrize("answer", [
    (b"hello", b"200 OK", b"text/plain"), (b"", b"202 Accepted", b"text/plain"),
    (envelope(f"{WSE}/Odd", "<wse:Odd/>"), b"200 OK", b"application/soap+xml")])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_says_nothing_to_the_point_is_a_fault(gateway, device, sink, answer):
    from tests.loopback.scanners import Subscribed

    scanner = Subscribed(device)
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    device.handle = lambda asked: asked.answer(*answer)
    assert await refused(service, subscribe((await sink()).url, **PANEL)) == "ServerErrorInternalError"
    assert scanner.actions == ["Subscribe"]
    device.handle = scanner.handle


@pytest_twisted.ensureDeferred
async def test_many_names_and_a_scanner_that_is_away(bridged, sink):
    service = await bridged()
    listener = await sink()
    for number in range(20):
        await subscribed(service, f"{listener.url}/{number}", **PANEL)
    held = service.device.device.subscribers.held
    holding = [service.scanner.subscription, *service.scanner.panel._kept.values()]

    def long_ago():
        for one in holding:
            one._machine._core.asked_at -= 60.0

    service.device.reboot(1000.0)
    long_ago()
    service.scanner._lost()
    service.scanner.subscription.doubted()
    await until(lambda: {one.state for one in holding} <= {"subscribed", "waiting"})
    service.device._booting.reset(0)

    def back():
        long_ago()
        service.scanner._recovered(True)
        return len(held) == 21 and not service.scanner.bridge.off_panel

    await until(back)
    assert len(service.scanner.bridge.subscriptions) == 20


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_starts_again_unnoticed_is_found_out(bridged, sink):
    service = await bridged(events={"check": 0.2})
    listener = await sink()
    await subscribed(service, listener.url, **PANEL)
    service.device.device.forget()
    for one in (service.scanner.subscription, *service.scanner.panel._kept.values()):
        one._machine._core.asked_at -= 60.0
    held = service.device.device.subscribers.held
    await until(lambda: len(held) == 2 and not service.scanner.bridge.off_panel)
    service.device.device.press()
    await until(lambda: listener.told)


@pytest_twisted.ensureDeferred
async def test_a_name_leaves_the_panel_as_soon_as_the_scanner_can_be_told(bridged, sink):
    service = await bridged()
    granted = await subscribed(service, (await sink()).url, **PANEL)
    own = service.scanner.requests.send

    async def away(*request):
        raise Unavailable("the scanner", "it is away")

    service.scanner.panel.side = attrs.evolve(service.scanner.panel.side, own=away)
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    assert len(await service.store.held()) == 2
    service.scanner.panel.side = attrs.evolve(service.scanner.panel.side, own=own)
    await until(lambda: service.scanner.panel._leaving[0]._unsubscribing.waits)
    service.scanner._recovered(False)
    await until(lambda: len(service.device.device.subscribers.held) == 1)
    await until(lambda: service.scanner.panel._leaving[0].is_gone)
    await until(lambda: [held.identifier for held in service.store.held().result] == [""])


@pytest_twisted.ensureDeferred
async def test_the_button_may_be_pressed_before_the_subscribe_is_answered(bridged, sink, monkeypatch):
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
    await until(lambda: service.scanner.subscribers._early)
    await until(lambda: sum(map(len, service.scanner.subscribers._early.values())) == 2)
    monkeypatch.undo()
    [(waiting, arguments)] = held
    await save(*arguments)
    waiting.callback(None)
    assert (await asking)[0].status == 200
    await until(lambda: len(listener.told) == 2)


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_busy_is_told_again_that_a_name_is_over(gateway, device, sink):
    from tests.loopback.scanners import Subscribed

    scanner = Subscribed(device)
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    granted = await subscribed(service, (await sink()).url, **PANEL)
    device.handle = lambda asked: asked.answer(b"busy", b"503 Busy", b"text/plain")
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await until(lambda: service.scanner.panel._leaving[0]._unsubscribing.waits)
    assert len(await service.store.held()) == 2
    device.handle = scanner.handle
    service.scanner._recovered(False)
    await until(lambda: service.scanner.panel._leaving[0].is_gone)
    assert scanner.actions[-1] == "Unsubscribe"
    await until(lambda: [held.identifier for held in service.store.held().result] == [""])


@pytest_twisted.ensureDeferred
async def test_repeating_with_other_filters_is_bounded_too(bridged, sink):
    service = await bridged(events={"max_subscriptions": 3})
    url = (await sink()).url
    for number in range(10):
        events = ["ScanAvailableEvent", "JobStatusEvent"] if number % 2 else ["ScanAvailableEvent"]
        await ask(service.port, PATH, subscribe(url, events=events, destinations=PANEL["destinations"]))
        assert len(service.scanner.bridge.subscriptions) <= 3
    assert service.device.soap.asked["Subscribe"] == 2
    assert len(service.device.device.subscribers.held) == 2
