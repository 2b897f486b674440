"""Subscriptions of clients at the gateway: grants, refusals and expiry."""

import json
import socket
import threading

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, fail

from tests.loopback.clients import get
from tests.loopback.events.subscribers import PANEL, PATH, W, notify, refused, subscribed
from tests.messages import (
    SCAN,
    create_scan_job,
    get_job_elements,
    manage,
    status_event,
    subscribe,
)
from tests.peers import ask
from tests.waiting import until
from wsdgateway.net.events import eventsource
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.namespaces import WSE


@pytest_twisted.ensureDeferred
async def test_a_subscription_is_managed_by_its_path_or_its_identifier(bridged, sink):
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
async def test_the_api_and_the_page_show_subscriptions(bridged, sink):
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
    page = (await get(service.admin_port, b"/subscriptions"))[2]
    assert b"Scan to me" in page and b"ScanAvailable" in page
    assert b"Scan to me" in (await get(service.admin_port, b"/"))[2]


def sink_at(url):
    return subscribe(url), subscribe("http://127.0.0.1:9/x", end_to=url)


@pytest.mark.parametrize("url", ["http://198.51.100.9/e", "ftp://127.0.0.1/", "urn:x", "http://no.such.host.invalid/",
                                 "http://127.0.0.1:{port}/x", "http://127.0.0.1:{admin_port}/x",
                                 "http://localhost:{port}/x"])
@pytest_twisted.ensureDeferred
async def test_forbidden_sinks_are_refused(bridged, url):
    service = await bridged()
    url = url.replace("{port}", str(service.port)).replace("{admin_port}", str(service.admin_port))
    for message in sink_at(url):
        head, body = await ask(service.port, PATH, message)
        assert (head.status, fault_of(read(body))) == (400, "DestinationUnreachable")
        assert read(body).relates_to
    assert len(service.scanner.bridge.subscriptions) == 0


@pytest_twisted.ensureDeferred
async def test_sinks_in_client_networks_and_names_of_the_subscriber_are_accepted(bridged, sink):
    service = await bridged(events={"client_networks": ["127.0.0.0/30"]})
    listener = await sink()
    await subscribed(service, listener.url.replace("127.0.0.1", "localhost"))
    await subscribed(service, "http://127.0.0.2:9/x")
    assert await refused(service, subscribe("http://127.0.0.9:9/x")) == "DestinationUnreachable"
    await notify(service, status_event("7"))
    await until(lambda: listener.received)
    assert listener.received[0].to == listener.url.replace("127.0.0.1", "localhost")


@pytest_twisted.ensureDeferred
async def test_invalid_requests_get_a_fault(bridged, sink):
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
async def test_subscribing_at_a_scanner_without_events_is_refused(bridged, virtual, gateway, sink):
    url, made_off = (await sink()).url, {"events": {"synthesize": False}}
    silent = await virtual(events="none")
    service = await gateway(silent.scan_url, **made_off)
    await until(lambda: service.scanner.subscription.state == "waiting")
    assert await refused(service, subscribe(url)) == "EventSourceUnableToProcess"
    assert await refused(service, subscribe(url, **PANEL)) == "ActionNotSupported"  # the scanner's own answer
    off = await gateway((await virtual()).scan_url, scanner={"events": "off"}, **made_off)
    for message in (subscribe(url), subscribe(url, **PANEL)):
        assert await refused(off, message) == "EventSourceUnableToProcess"


@pytest_twisted.ensureDeferred
async def test_the_number_of_subscriptions_is_bounded(bridged, sink):
    service = await bridged(events={"max_subscriptions": 2})
    first, second, third = [(await sink()).url for _ in range(3)]
    granted = await subscribed(service, first)
    await subscribed(service, second)
    assert await refused(service, subscribe(third)) == "EventSourceUnableToProcess"
    await ask(service.port, PATH, manage("Unsubscribe", granted.identifier))
    await subscribed(service, third)


@pytest_twisted.ensureDeferred
async def test_a_client_that_subscribes_repeatedly_replaces_its_own_subscriptions(bridged, sink):
    service = await bridged(events={"max_subscriptions": 3})
    restless, other = [(await sink()).url for _ in range(2)]
    granted = [await subscribed(service, restless) for _ in range(3)]
    await subscribed(service, other)
    assert await refused(service, manage("Renew", granted[0].identifier)) == "InvalidMessage"
    await subscribed(service, restless, events=["JobStatusEvent"])
    assert await refused(service, subscribe(restless, events=["JobEndStateEvent"])) == "EventSourceUnableToProcess"
    assert (await ask(service.port, PATH, manage("Renew", granted[2].identifier)))[0].status == 200


@pytest_twisted.ensureDeferred
async def test_registering_at_an_unreachable_scanner_is_a_temporary_error(gateway, sink):
    url = (await sink()).url
    service = await gateway("http://127.0.0.1:1/scan")
    await subscribed(service, url)  # events will follow once the scanner is reachable
    assert await refused(service, subscribe(url, **PANEL)) == "ServerErrorTemporaryError"
    text = service.metrics.render().decode()
    assert 'wsdgateway_requests_total{operation="Subscribe",scanner="front-desk",source="local"} 1.0' in text
    assert 'wsdgateway_requests_total{operation="Subscribe",scanner="front-desk",source="refused"} 1.0' in text
    assert len(service.scanner.bridge.subscriptions) == 1


@pytest_twisted.ensureDeferred
async def test_a_grant_is_never_longer_than_requested_or_configured(bridged, sink):
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
async def test_an_expired_subscription_has_ended(bridged, sink):
    service = await bridged()
    listener, other = await sink(), await sink()
    short = await subscribed(service, listener.url, expires="PT0.2S")
    await subscribed(service, other.url)
    await until(lambda: len(service.scanner.bridge.subscriptions) == 1)
    await notify(service, status_event("7"))
    await until(lambda: other.received)
    assert not listener.received
    assert await refused(service, manage("Renew", short.identifier)) == "InvalidMessage"


def fails(*arguments):
    return fail(OSError("the disk is full"))


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_if_the_store_fails_nothing_is_granted(bridged, sink, monkeypatch):
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
    await until(lambda: len(listener.received) == 2)  # both former subscriptions continue
    assert {one.urn for one in service.scanner.bridge.subscriptions.all()} == {
        one.identifier for one in (granted, pure, both)}
    assert await refused(service, manage("Renew", granted.identifier, expires="PT2H")) == "UnableToRenew"
    _, body = await ask(service.port, granted.path, manage("GetStatus"))
    assert float(read(body).body.findtext(f"{W}Expires")[2:-1]) <= 60
    assert await refused(service, manage("Unsubscribe", granted.identifier)) == "EventSourceUnableToProcess"
    assert len(service.scanner.bridge.subscriptions) == 2


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_an_internal_error_is_answered_with_a_fault(bridged, sink, monkeypatch):
    service = await bridged()
    monkeypatch.setattr(eventsource, "read_wanted", None)
    assert await refused(service, subscribe((await sink()).url)) == "EventSourceUnableToProcess"


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
async def test_subscriptions_above_the_size_limits_are_refused(bridged, message):
    service = await bridged()
    assert await refused(service, message) in ("InvalidMessage", "DestinationUnreachable")
    assert service.device.soap.asked["Subscribe"] == 1


@pytest_twisted.ensureDeferred
async def test_pending_name_lookups_are_bounded_for_each_client(bridged, sink, monkeypatch):
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
async def test_sinks_at_the_gateways_own_names_are_refused(gateway, virtual):
    service = await gateway((await virtual()).scan_url, events={"address": "http://print-server.test:5357"},
                            listen=[{"endpoint": "tcp:0:interface=127.0.0.1", "advertise": "http://scan.test:80"}])
    for url in ("http://print-server.test:5357/x", "http://scan.test/x"):
        _, body = await ask(service.port, PATH, subscribe(url))
        assert "an address of this gateway" in reason_of(read(body))
    granted = await subscribed(service, "http://127.0.0.1:9/")
    assert granted.manager.startswith("http://scan.test:80/front-desk/subscriptions/")
