"""The path of an event: the subscription at the scanner, its notifications, and the status that clients then read."""

import json

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from tests.loopback.clients import get, shown
from tests.loopback.scanners import GRANT, grant
from tests.messages import (
    SCAN,
    create_scan_job,
    end_event,
    envelope,
    fault,
    get_job_elements,
    job_request,
    status_event,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.net.events.devicesubscription import SECRET_BYTES
from wsdgateway.net.transport.listener import Listener
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSE, WXF

PATH = "/front-desk/scan"
W = f"{{{WSE}}}"


@pytest_twisted.ensureDeferred
async def test_a_scan_with_events_needs_no_status_read_at_the_scanner(gateway, virtual):
    scanner = await virtual(feeder_pages=3)
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.bridge.table.listening)
    _, answer = await ask(service.port, PATH, create_scan_job().replace(b">Platen<", b">ADF<"))
    job = read_created(read(answer).body)
    image = job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode())
    await until(lambda: service.scanner.bridge.table.eventful)
    for page in range(3):
        head, body = await ask(service.port, PATH, image)
        assert head.status == 200
        assert body.count(b"\xff\xd8\xff") >= 1
        await until(lambda page=page: service.scanner.bridge.table.get(job.job_id).status.scans_completed == page + 1)
        for _ in range(20):
            _, answer = await ask(service.port, PATH, get_job_elements(job.job_id))
        assert shown(answer) == ("Completed" if page == 2 else "Processing", page + 1)
    head, answer = await ask(service.port, PATH, image)
    assert fault_of(read(answer)) == "ClientErrorNoImagesAvailable"
    assert scanner.soap.asked["GetJobElements"] == 0
    assert scanner.soap.asked["Subscribe"] == 1


@pytest_twisted.ensureDeferred
async def test_the_subscription_has_every_event_but_scan_available(subscribed, device_with_events):
    await subscribed()
    message = device_with_events.subscribe
    actions = message.body.findtext(f"{W}Filter").split()
    assert len(actions) == 6
    assert f"{SCAN}/ScanAvailableEvent" not in actions
    assert device_with_events.notify_to.startswith("http://127.0.0.1:")
    assert "/front-desk/events/" in device_with_events.notify_to
    assert len(device_with_events.path.rpartition("/")[2]) >= SECRET_BYTES
    assert message.body.findtext(f"{W}Expires") == "PT3600S"


@pytest_twisted.ensureDeferred
async def test_a_notification_is_answered_with_202_and_updates_the_job_table(subscribed, device_with_events):
    service = await subscribed()
    client = await connect(service.port)
    client.send(post(device_with_events.path, status_event("7", "Processing", 4)))
    head, body = await client.answer()
    assert (head.status, body) == (202, b"")
    _, answer = await ask(service.port, PATH, get_job_elements("7"))
    assert shown(answer) == ("Processing", 4)
    client.send(post(device_with_events.path, end_event("7", "Completed", 5)))
    assert (await client.answer())[0].status == 202
    _, answer = await ask(service.port, PATH, get_job_elements("7"))
    assert shown(answer) == ("Completed", 5)
    client.transport.loseConnection()
    await client.end()
    assert "GetJobElements" not in device_with_events.actions
    text = service.metrics.render().decode()
    assert 'wsdgateway_events_total{event="JobStatusEvent",scanner="front-desk"} 1.0' in text
    assert 'wsdgateway_subscriptions{scanner="front-desk",side="device"} 1.0' in text
    assert 'wsdgateway_jobs{scanner="front-desk",state="Completed"} 1.0' in text


@pytest.mark.parametrize(("body", "code"), [
    (b"<a", "InvalidArgs"), (envelope(None), "MessageInformationHeaderRequired"),
    (get_job_elements(), "ActionNotSupported")])
@pytest_twisted.ensureDeferred
async def test_invalid_notifications_are_refused(subscribed, device_with_events, body, code):
    service = await subscribed()
    head, answer = await ask(service.port, device_with_events.path, body)
    assert (head.status, fault_of(read(answer))) == (400, code)
    assert (read(answer).relates_to is not None) is (b"MessageID" in body)


@pytest_twisted.ensureDeferred
async def test_notifications_are_accepted_only_from_the_device(gateway, device_with_events):
    device = device_with_events.device
    service = await gateway(device.url.replace("127.0.0.1", "localhost"), events={"address": "http://127.0.0.1:1"})
    await until(lambda: service.scanner.bridge.table.listening)
    service.scanner.device.peers = {"198.51.100.20"}
    head, answer = await ask(service.port, device_with_events.path, status_event("7"))
    assert (head.status, fault_of(read(answer))) == (400, "InvalidArgs")
    assert b"event_sources" in answer
    assert service.scanner.bridge.table.get("7") is None


@pytest_twisted.ensureDeferred
async def test_notifications_are_accepted_from_event_sources(subscribed, device_with_events):
    service = await subscribed(scanner={"event_sources": ["127.0.0.0/8"]})
    service.scanner.device.peers = set()
    head, _ = await ask(service.port, device_with_events.path, status_event("7"))
    assert head.status == 202


@pytest_twisted.ensureDeferred
async def test_a_guessed_address_is_unknown(subscribed, device_with_events):
    service = await subscribed()
    for path in ("/front-desk/events/x", device_with_events.path + "x", "/front-desk/events/%ff"):
        head, _ = await ask(service.port, path, status_event("7"))
        assert head.status == 404


@pytest.mark.parametrize("manager", ["http://127.0.0.1:99999/m", "http://[bad/m", "urn:x", "http://10.0.0.9:0/m"])
@pytest_twisted.ensureDeferred
async def test_an_odd_manager_is_reached_at_the_scan_address(subscribed, device_with_events, manager, monkeypatch):
    monkeypatch.setitem(grant.__globals__, "grant", lambda expires: GRANT(expires, manager))
    service = await subscribed()
    service.clock.advance(60.0)
    service.scanner.subscriptions.check()
    await until(lambda: "Renew" in device_with_events.actions)
    assert device_with_events.last.to == manager


@pytest_twisted.ensureDeferred
async def test_an_unreadable_date_is_ignored(gateway, device_with_events):
    device = device_with_events.device
    device.handle = lambda asked: asked.answer(
        grant("2999-01-01T00:00:00Z").replace(b"{port}", b"%d" % device.port),
        headers=b"Date: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n")
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)


@pytest_twisted.ensureDeferred
async def test_a_late_answer_to_renew_does_not_affect_the_new_subscription(subscribed, device_with_events):
    device_with_events.expires = "PT2S"
    held = []
    device = device_with_events.device

    def handle(asked):
        if b"eventing/Renew<" in asked.request.body and not held:
            held.append(asked)
        else:
            device_with_events.handle(asked)

    service = await subscribed()
    device.handle = handle
    await until(lambda: held)
    await ask(service.port, device_with_events.path, envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>"))
    device_with_events.expires = "PT1H"
    await until(lambda: device_with_events.actions.count("Subscribe") == 2)
    held[0].answer(fault("wse:InvalidMessage"), b"400 Bad Request")
    from twisted.internet import reactor

    await deferLater(reactor, 0.1)
    assert service.scanner.subscriptions.own.state == "subscribed"


@pytest_twisted.ensureDeferred
async def test_scanners_get_the_address_of_the_listener_on_their_network(running, device_with_events):
    from twisted.internet import reactor

    from wsdgateway.app.service import GatewayService
    from wsdgateway.config.reading import make_config

    config = make_config({
        "gateway": {"state": "memory:"},
        "listen": [{"endpoint": "tcp:0:interface=127.0.0.2"}, {"endpoint": "tcp:0:interface=127.0.0.1"}],
        "scanner": [{"name": "front-desk", "scan": device_with_events.device.url}],
        "admin": {"endpoint": "tcp:0:interface=127.0.0.1"}}, "t.toml")
    service = await running(GatewayService(reactor, config))
    await until(lambda: service.scanners[0].bridge.table.listening)
    assert device_with_events.notify_to.startswith(f"http://127.0.0.1:{service.listeners[1].address[1]}/")


@pytest_twisted.ensureDeferred
async def test_a_clean_stop_unsubscribes(subscribed, device_with_events):
    service = await subscribed()
    await service.stopService()
    assert device_with_events.actions[-1] == "Unsubscribe"
    assert device_with_events.last.header.findtext(f"{W}Identifier") == "urn:uuid:sub-1"
    assert device_with_events.last.to == f"http://127.0.0.1:{device_with_events.device.port}/manager"


@pytest_twisted.ensureDeferred
async def test_a_short_subscription_is_renewed(subscribed, device_with_events):
    device_with_events.expires = "PT2S"
    await subscribed()
    await until(lambda: "Renew" in device_with_events.actions)
    assert device_with_events.actions.count("Subscribe") == 1


@pytest_twisted.ensureDeferred
async def test_an_ended_subscription_is_replaced(subscribed, device_with_events):
    service = await subscribed()
    old = device_with_events.path
    await ask(service.port, old, status_event("7", "Processing", 4))
    head, _ = await ask(service.port, old, envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>"))
    assert head.status == 202
    assert not service.scanner.bridge.table.listening
    await until(lambda: device_with_events.actions.count("Subscribe") == 2)
    assert device_with_events.path != old
    assert (await ask(service.port, old, status_event("7")))[0].status == 404
    await ask(service.port, PATH, get_job_elements("7"))
    assert "GetJobElements" in device_with_events.actions


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_refuses_the_long_filter_gets_the_short_one(gateway, device_with_events):
    device_with_events.refuse = "wse:FilteringRequestedUnavailable"
    service = await gateway(device_with_events.device.url)
    await until(lambda: device_with_events.actions.count("Subscribe") == 2)
    body = device_with_events.device.requests[-1].request.body
    assert b"JobStatusEvent" in body
    assert b"JobEndStateEvent" in body
    assert b"ScannerStatusSummaryEvent" not in body
    assert service.scanner.subscriptions.own.state in ("subscribing", "waiting")


@pytest_twisted.ensureDeferred
async def test_a_device_without_events_is_polled(gateway, virtual):
    scanner = await virtual(events="none")
    service = await gateway(scanner.scan_url)
    await until(lambda: service.scanner.subscriptions.own.state == "waiting")
    _, answer = await ask(service.port, PATH, create_scan_job())
    job_id = read_created(read(answer).body).job_id
    for _ in range(50):
        _, answer = await ask(service.port, PATH, get_job_elements(job_id))
    assert shown(answer) == ("Pending", 0)
    assert scanner.soap.asked["GetJobElements"] <= 2


@pytest_twisted.ensureDeferred
async def test_a_reboot_of_the_scanner_is_noticed(gateway, virtual):
    scanner = await virtual()
    service = await gateway(scanner.scan_url, scanner={"timeout": 2.0})
    await until(lambda: service.scanner.bridge.table.listening)
    service.clock.advance(60.0)
    _, answer = await ask(service.port, PATH, create_scan_job())
    job_id = read_created(read(answer).body).job_id
    await until(lambda: service.scanner.bridge.table.get(job_id).status is not None)
    boot = service.scanner.bridge.table.boot
    scanner.reboot(1000.0)
    elements = envelope(f"{SCAN}/GetScannerElements", "<wscn:X/>")
    assert (await ask(service.port, PATH, elements))[0].status == 500
    scanner.reboot(0.0)
    await until(lambda: scanner.is_on)  # a connection would make the gateway notice the reboot
    assert (await ask(service.port, PATH, elements))[0].status == 200
    await until(lambda: service.scanner.bridge.table.boot > boot)
    await until(lambda: service.scanner.bridge.table.listening)
    assert scanner.soap.asked["Subscribe"] == 2
    _, answer = await ask(service.port, PATH, get_job_elements(job_id))
    assert fault_of(read(answer)) == "ClientErrorJobIdNotFound"


@pytest_twisted.ensureDeferred
async def test_a_device_that_fails_in_the_middle_of_an_image(gateway, virtual):
    scanner = await virtual()
    service = await gateway(scanner.scan_url)
    _, answer = await ask(service.port, PATH, create_scan_job())
    job = read_created(read(answer).body)
    scanner.troubles.break_image = True
    client = await connect(service.port)
    client.send(post(PATH, job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode())))
    answer = await client.end()
    assert not answer.endswith(b"0\r\n\r\n")
    await until(lambda: scanner.device.jobs.get(job.job_id).final)


@pytest_twisted.ensureDeferred
async def test_a_scanner_given_by_its_device_address(running, virtual):
    from twisted.internet import reactor

    from wsdgateway.app.service import GatewayService
    from wsdgateway.config.reading import make_config

    scanner = await virtual()
    config = make_config({
        "gateway": {"state": "memory:"}, "listen": [{"endpoint": "tcp:0:interface=127.0.0.1"}],
        "scanner": [{"name": "front-desk", "device": scanner.device_url}],
        "admin": {"endpoint": "tcp:0:interface=127.0.0.1"}}, "t.toml")
    service = await running(GatewayService(reactor, config))
    await until(lambda: service.scanners[0].bridge.table.listening)
    assert service.scanners[0].bridge.device == scanner.scan_url
    assert scanner.soap.asked["Get"] == 1


@pytest_twisted.ensureDeferred
async def test_failed_metadata_requests_are_repeated(running, device):
    from twisted.internet import reactor

    from wsdgateway.app.service import GatewayService
    from wsdgateway.config.reading import make_config

    config = make_config({
        "gateway": {"state": "memory:"}, "listen": [{"endpoint": "tcp:0:interface=127.0.0.1"}],
        "scanner": [{"name": "front-desk",
                     "device": f"http://127.0.0.1:{device.port}/37f86d35-e6ac-4241-964f-1d9ae46fb366"}],
        "admin": {"endpoint": "tcp:0:interface=127.0.0.1"}}, "t.toml")
    service = await running(GatewayService(reactor, config))
    asked = await device.next()
    message = read(asked.request.body)
    assert (message.action, message.to) == (f"{WXF}/Get", "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366")
    asked.answer(b"busy", b"503 Busy", b"text/plain")
    await until(lambda: service.scanners[0].monitor.was_tried)
    head, answer = await ask(service.listeners[0].address[1], PATH, get_job_elements())
    assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
    await device.next()


# The admin site.


@pytest_twisted.ensureDeferred
async def test_the_admin_site(subscribed, device_with_events):
    service = await subscribed()
    await ask(service.port, device_with_events.path, status_event("<b>7", "Proc<script>essing".replace("<", "&lt;"), 4)
              .replace(b"<b>7", b"&lt;b&gt;7"))
    await ask(service.port, PATH, get_job_elements("5"))
    assert (await get(service.admin_port, b"/healthz"))[::2] == (200, b"ok\n")
    assert (await get(service.admin_port, b"/readyz"))[0] == 200
    status, head, body = await get(service.admin_port, b"/metrics")
    assert status == 200
    assert b"text/plain; version=0.0.4" in head
    assert b'wsdgateway_requests_total{operation="GetJobElements",scanner="front-desk",source="device"} 1.0' in body
    assert (b'wsdgateway_device_requests_total{operation="GetJobElements",outcome="fault",scanner="front-desk"} 1.0'
            in body)
    assert b'wsdgateway_request_seconds_bucket{le="+Inf",operation="GetJobElements",source="device"} 1.0' in body
    assert b"_created" not in body
    [scanner] = json.loads((await get(service.admin_port, b"/api/scanners"))[2])
    assert scanner["name"] == "front-desk"
    assert scanner["subscription"] == "subscribed"
    [job] = json.loads((await get(service.admin_port, b"/api/jobs"))[2])
    assert job["job_id"] == "<b>7"
    status, head, page = await get(service.admin_port, b"/")
    assert status == 200
    assert b"<script>" not in page
    assert b"&lt;b&gt;7" in page
    assert b"default-src 'none'" in head.lower()
    assert (await get(service.admin_port, b"/none"))[0] == 404


@pytest_twisted.ensureDeferred
async def test_a_listener_that_cannot_open_is_reported_by_readyz(gateway, device):
    service = await gateway(device.url, scanner={"events": "off"})
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory

    taken = Listener(reactor, f"tcp:{device.port}:interface=127.0.0.1", Factory())
    taken.startService()
    service.listeners.append(taken)
    await until(lambda: "use" in taken.problem)
    status, _, body = await get(service.admin_port, b"/readyz")
    assert status == 503
    assert b"in use (used by " in body
    service.listeners.remove(taken)
    await taken.stopService()


@pytest_twisted.ensureDeferred
async def test_finished_jobs_survive_a_restart(gateway, device_with_events, tmp_path):
    state = {"state": f"sqlite:{tmp_path}/s.sqlite", "name": "test"}
    service = await gateway(device_with_events.device.url, gateway=state)
    await until(lambda: service.scanner.bridge.table.listening)
    await ask(service.port, device_with_events.path, end_event("7", "Completed", 5))
    await service.stopService()
    again = await gateway(device_with_events.device.url, gateway=state)
    [job] = json.loads((await get(again.admin_port, b"/api/jobs"))[2])
    assert (job["job_id"], job["state"], job["final"]) == ("7", "Completed", True)
    await until(lambda: again.scanner.bridge.table.listening)
    await ask(again.port, PATH, get_job_elements("7"))
    assert "GetJobElements" in device_with_events.actions

