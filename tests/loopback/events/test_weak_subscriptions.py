"""Scanners with weak eventing: many prefixes, successes without content, and managers without an address."""

import pytest
import pytest_twisted

from tests.loopback.clients import shown
from tests.loopback.scanners import Subscribed
from tests.messages import envelope, get_job_elements, job_elements, job_status, status_event, subscribe
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.events.upstream_core import RECHECK
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSE

PATH = "/front-desk/scan"
W = f"{{{WSE}}}"
MANY = " ".join(f'xmlns:km{number}="http://makers.example/ws/setting/number_{number}"' for number in range(70))


def crowded(message):
    """Returns a message with seventy prefixes declared on its root."""
    return message.replace(b"<soap:Envelope ", f"<soap:Envelope {MANY} ".encode())


def prefixes(message):
    """Returns how many of these prefixes a message declares."""
    return message.count(b"xmlns:km")


@pytest_twisted.ensureDeferred
async def test_unused_prefixes_are_not_copied(gateway, device, sink):
    scanner = Subscribed(device)

    def handle(asked):
        asked.answer, answer = lambda body, *rest, **more: answer(crowded(body), *rest, **more), asked.answer
        scanner.handle(asked)

    device.handle = handle
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    service.clock.advance(60.0)
    service.scanner.subscriptions.check()
    await until(lambda: "Renew" in scanner.actions)
    listener = await sink()
    client = crowded(subscribe(listener.url, parameters="<km5:Number>km6:five</km5:Number>"))
    head, body = await ask(service.port, PATH, client)
    assert head.status == 200
    assert prefixes(body) == 0
    await ask(service.port, scanner.path, status_event("7"))
    await until(lambda: listener.received)
    [message] = listener.device.requests
    assert prefixes(message.request.body) == 2
    number = listener.received[0].header.find("{http://makers.example/ws/setting/number_5}Number")
    assert (number.text, number.nsmap["km6"]) == ("km6:five", "http://makers.example/ws/setting/number_6")
    await service.stopService()
    assert scanner.actions[-1] == "Unsubscribe"
    for request in device.requests:
        assert prefixes(request.request.body) == 0
        assert read(request.request.body).header.findtext(f"{{{WSA}}}ReplyTo/{{{WSA}}}Address") == ANONYMOUS


@pytest_twisted.ensureDeferred
async def test_a_vendors_element_is_in_cached_answers(gateway, device):
    service = await gateway(device.url, scanner={"events": "off"}, cache={"poll_interval": 600.0})
    status = job_status("7").replace("</wscn:JobStatus>", "<km5:Toner>km6:low</km5:Toner></wscn:JobStatus>")
    device.handle = lambda asked: asked.answer(crowded(job_elements(("JobStatus", status))))
    answers = [(await ask(service.port, PATH, get_job_elements("7")))[1] for _ in range(2)]
    assert len(device.requests) == 1
    assert prefixes(answers[0]) == 70
    assert prefixes(answers[1]) == 2
    for answer in answers:
        assert len(read_response(read(answer).body).status.vendor) == 1


@pytest.mark.parametrize("answer", [b"", b"<html><body>OK</body></html>"])
@pytest_twisted.ensureDeferred
async def test_events_after_a_success_without_content_are_accepted(gateway, device, answer):
    scanner = Subscribed(device)

    def handle(asked):
        if b"eventing/Subscribe<" in asked.request.body:
            scanner.actions.append("Subscribe")
            scanner.notify_to = read(asked.request.body).body.findtext(f"{W}Delivery/{W}NotifyTo/*")
            asked.answer(answer, b"202 Accepted", b"text/html")
        else:
            scanner.handle(asked)

    device.handle = handle
    service = await gateway(device.url)
    await until(lambda: service.scanner.subscriptions.own.state == "unconfirmed")
    head, _ = await ask(service.port, scanner.path, status_event("7", "Processing", 4))
    assert head.status == 202
    assert service.scanner.bridge.table.listening
    _, body = await ask(service.port, PATH, get_job_elements("7"))
    assert shown(body) == ("Processing", 4)
    service.scanner.subscriptions.check()
    service.scanner.recovered(False)
    assert scanner.actions == ["Subscribe"]
    await service.stopService()
    assert scanner.actions == ["Subscribe"]


@pytest_twisted.ensureDeferred
async def test_an_unreadable_answer_to_a_registration_is_a_fault(gateway, device, sink):
    device.handle = lambda asked: asked.answer(b"", b"202 Accepted", b"text/html")
    service = await gateway(device.url)
    await until(lambda: service.scanner.subscriptions.own.state == "unconfirmed")
    head, body = await ask(service.port, PATH, subscribe(
        (await sink()).url, events=["ScanAvailableEvent"], destinations=[("c", "Office")]))
    assert head.status == 500
    assert b"neither a SubscribeResponse nor a fault" in body


@pytest_twisted.ensureDeferred
async def test_requests_for_a_manager_without_address_go_to_the_scan_service(gateway, device):
    scanner = Subscribed(device)
    grant = envelope(f"{WSE}/SubscribeResponse", (
        f"<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>{ANONYMOUS}</wsa:Address>"
        "<wsa:ReferenceParameters><wse:Identifier>urn:uuid:1</wse:Identifier></wsa:ReferenceParameters>"
        "</wse:SubscriptionManager><wse:Expires>PT1H</wse:Expires></wse:SubscribeResponse>"))
    device.handle = lambda asked: asked.answer(grant) if b"eventing/Subscribe<" in asked.request.body else (
        scanner.handle(asked))
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    service.clock.advance(60.0)
    service.scanner.subscriptions.check()
    await until(lambda: "Renew" in scanner.actions)
    await service.stopService()
    assert scanner.actions[-1] == "Unsubscribe"
    assert {asked.request.path for asked in device.requests} == {b"/scan"}
    assert (scanner.last.to, scanner.last.header.findtext(f"{W}Identifier")) == (device.url, "urn:uuid:1")


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_refuses_every_renew_holds_one_subscription(gateway, virtual):
    """The first refusal replaces the subscription; the second one shows that the scanner cannot renew."""
    scanner = await virtual()
    subscribers = scanner.device.subscribers
    refuse = subscribers.find
    subscribers.renew = lambda identifier, body: refuse("nobody")
    service = await gateway(scanner.scan_url)
    own = service.scanner.subscriptions.own
    await until(lambda: own.listening)
    for _ in range(4):
        service.clock.advance(RECHECK)
        service.scanner.subscriptions.check()
        await until(lambda: own.state == "subscribed")
        assert len(subscribers.held) == 1
    assert scanner.soap.asked["Subscribe"] == 2
    assert scanner.soap.asked["Unsubscribe"] == 1
    assert own.renews is False
    subscribers.publish("JobStatusEvent", f"<wscn:JobStatusEvent>{job_status('7')}</wscn:JobStatusEvent>")
    await until(lambda: service.scanner.bridge.table.get("7") is not None)
