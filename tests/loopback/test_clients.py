"""Clients that listen: they subscribe here, the scanner sees one subscriber, and everybody is told."""

import json

import pytest
import pytest_twisted
from messages import (
    SCAN,
    create_scan_job,
    get_job_elements,
    job_request,
    manage,
    status_event,
    subscribe,
)
from peers import ask
from test_events import until

from wsdgateway.scan.destinations import read_tokens
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.namespaces import WSA, WSCN, WSE

PATH = "/front-desk/scan"
W, S, A = f"{{{WSE}}}", f"{{{WSCN}}}", f"{{{WSA}}}"


class Granted:
    """What a SubscribeResponse says."""

    def __init__(self, head, body):
        self.status = head.status
        self.envelope = read(body)
        assert fault_of(self.envelope) is None, reason_of(self.envelope)
        response = self.envelope.body
        manager = response.find(f"{W}SubscriptionManager")
        self.manager = manager.findtext(f"{A}Address")
        self.path = "/" + self.manager.split("/", 3)[3]
        self.identifier = manager.findtext(f"{A}ReferenceParameters/{W}Identifier")
        self.expires = response.findtext(f"{W}Expires")
        self.tokens = dict(read_tokens(response))


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
    text = service.metrics.render().decode()
    assert 'wsdgateway_subscriptions{scanner="front-desk",side="client"} 3.0' in text
    assert 'wsdgateway_deliveries_total{outcome="ok",scanner="front-desk"} 2.0' in text


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
async def test_what_api_subscriptions_tells(bridged, sink):
    service = await bridged()
    await subscribed(service, (await sink()).url, **PANEL)
    from twisted.internet import reactor
    from twisted.web.client import Agent, readBody

    response = await Agent(reactor).request(b"GET", f"http://127.0.0.1:{service.admin_port}/api/subscriptions".encode())
    told = json.loads(await readBody(response))
    assert told
