"""Unreadable events: whatever a scanner sends, the next poll returns the true status."""

import pytest
import pytest_twisted

from tests.loopback.clients import shown
from tests.loopback.scanners import Subscribed
from tests.messages import SCAN, end_event, envelope, fault, get_job_elements, job_status, status_event, status_response
from tests.messages import subscribe as subscribe_to
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

PATH = "/front-desk/scan"
ENDED = "<wscn:JobCompletedState>Completed</wscn:JobCompletedState>"


class Truthful(Subscribed):
    """Scanner with one job, whose state it knows."""

    state, asked = "Processing", 0

    def handle(self, asked):
        if read(asked.request.body).action.endswith("/GetJobElements"):
            self.asked += 1
            job_id = read(asked.request.body).body[0].text
            asked.answer(status_response(job_id, self.state, 1))
        else:
            super().handle(asked)


@pytest.fixture
def scanner(device):
    return Truthful(device)


@pytest.fixture
def watched(gateway, scanner):
    """Starts a gateway that has received an event of job 7 at its first page."""
    async def start(**more):
        service = await gateway(scanner.device.url, **more)
        await until(lambda: service.scanner.bridge.table.listening)
        assert (await ask(service.port, scanner.path, status_event("7", "Processing", 1)))[0].status == 202
        assert await poll(service) == "Processing"
        assert scanner.asked == 0
        return service
    return start


async def poll(service, job_id="7"):
    return shown((await ask(service.port, PATH, get_job_elements(job_id)))[1])[0]


def event(content, name="JobEndStateEvent", body="JobEndStateEvent"):
    return envelope(f"{SCAN}/{name}", content if body is None else f"<wscn:{body}>{content}</wscn:{body}>",
                    message_id=None)


JOB = "<wscn:JobId>7</wscn:JobId>"
END = end_event("7", message_id=None)
SHAPES = {
    "job-state": (END.replace(b"JobCompletedState", b"JobState"), 202, 0),
    "no-wrapper": (event(JOB + ENDED), 202, 0),
    "no-event-element": (event(f"<wscn:JobEndState>{JOB}{ENDED}</wscn:JobEndState>", body=None), 202, 0),
    "other-body": (event(job_status("7", "Completed"), body="JobStatusEvent"), 202, 0),
    "other-action": (event(job_status("7", "Completed"), "ScannerStatusSummaryEvent", "JobStatusEvent"), 202, 0),
    "other-namespace": (END.replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan"), 202, 0),
    "job-id-alone": (event(JOB), 202, 1),
    "job-id-alone-in-the-body": (event(JOB, body=None), 202, 1),
    "no-job-id": (event(f"<wscn:JobEndState>{ENDED}</wscn:JobEndState>"), 202, 1),
    "empty": (event("", body=None), 202, 1),
    "summary": (event("<wscn:StatusSummary/>", body="ScannerStatusSummaryEvent"), 202, 1),
    "third-namespace": (END.replace(b"2006/08/wdp/scan", b"2005/05/wdp/scan").replace(
        b"2005/05/wdp/scan/Job", b"2006/08/wdp/scan/Job"), 202, 1),
    "contradiction": (event(job_status("7", "Processing")), 202, 1),
    "two-statuses": (event(job_status("7", "Processing", 1) + job_status("7", "Completed"), "JobStatusEvent",
                           "JobStatusEvent"), 202, 1),
    "two-states": (status_event("7", "Processing", 1, message_id=None).replace(
        b"</wscn:JobState>", b"</wscn:JobState><wscn:JobState>Completed</wscn:JobState>"), 202, 1),
    "status-and-end": (event(job_status("7", "Processing", 1) + f"<wscn:JobEndState>{JOB}{ENDED}</wscn:JobEndState>",
                             "JobStatusEvent", "JobStatusEvent"), 202, 1),
    "two-events": (envelope(f"{SCAN}/JobStatusEvent", (
        f"<wscn:JobStatusEvent>{job_status('7', 'Processing')}</wscn:JobStatusEvent>"
        f"<wscn:JobStatusEvent>{job_status('7', 'Completed')}</wscn:JobStatusEvent>"), message_id=None), 202, 1),
    "behind-another-job's": (envelope(f"{SCAN}/JobStatusEvent", "".join(
        f"<wscn:JobStatusEvent>{job_status(job, 'Completed')}</wscn:JobStatusEvent>" for job in "87"),
        message_id=None), 202, 1),
    "behind-the-scanner's": (envelope(f"{SCAN}/ScannerStatusSummaryEvent", (
        "<wscn:ScannerStatusSummaryEvent/><wscn:JobEndStateEvent><wscn:JobEndState>"
        f"{JOB}{ENDED}</wscn:JobEndState></wscn:JobEndStateEvent>"), message_id=None), 202, 1),
    "last-of-many": (event("".join(job_status(job, "Completed") for job in [*range(20, 40), 7]),
                           "JobStatusEvent", "JobStatusEvent"), 202, 1),
    "third-action": (END.replace(b"scan/JobEndStateEvent<", b"scan/JobEndEvent<"), 400, 1),
    "no-action": (envelope(None, f"<wscn:JobEndStateEvent>{JOB}</wscn:JobEndStateEvent>"), 400, 1),
    "soap-1.1": (END.replace(b"http://www.w3.org/2003/05/soap-envelope",
                             b"http://schemas.xmlsoap.org/soap/envelope/"), 400, 1),
    "broken": (END[:-20], 400, 1),
    "broken-early": (END[:40], 400, 1),
    "nothing": (b"", 400, 1),
    "must-be-understood": (END.replace(b"<soap:Body>", b"<soap:Body>", 1).replace(
        b"</soap:Header>", b"<v:x xmlns:v='u:v' soap:mustUnderstand='1'/></soap:Header>"), 500, 1),
    "document-type": (b"<!DOCTYPE a>" + END.partition(b"?>")[2], 400, 1),
}


@pytest.mark.parametrize(("message", "status", "asks"), SHAPES.values(), ids=SHAPES)
@pytest_twisted.ensureDeferred
async def test_the_next_poll_returns_the_true_status(watched, scanner, message, status, asks):
    service = await watched()
    scanner.state = "Completed"
    assert (await ask(service.port, scanner.path, message))[0].status == status
    assert await poll(service) == "Completed"
    assert scanner.asked == asks
    assert await poll(service) == "Completed"
    assert scanner.asked == asks


@pytest.mark.parametrize("around", [b"\x00%b", b"\r\n %b", b"\xef\xbb\xbf\n%b", b"%b\x00\x00", b"%b trailing"])
@pytest_twisted.ensureDeferred
async def test_bytes_around_the_document_do_not_hide_an_event(watched, scanner, around):
    service = await watched()
    scanner.state = "Completed"
    assert (await ask(service.port, scanner.path, around % END))[0].status in (202, 400)
    assert await poll(service) == "Completed"


@pytest.mark.parametrize(("content_type", "status", "asks"), [
    (b"text/xml; charset=utf-8", 202, 0), (b"application/xml", 202, 0), (b"text/plain", 415, 1),
    (b"application/octet-stream", 415, 1)])
@pytest_twisted.ensureDeferred
async def test_an_event_under_another_media_type(watched, scanner, sink, content_type, status, asks):
    service = await watched()
    listener = await sink()
    await ask(service.port, PATH, subscribe_to(listener.url))
    scanner.state = "Completed"
    head, _ = await ask(service.port, scanner.path, END, content_type=content_type)
    assert head.status == status
    assert await poll(service) == "Completed"
    assert scanner.asked == asks
    if status == 202:
        await until(lambda: listener.events == ["JobEndStateEvent"])


@pytest_twisted.ensureDeferred
async def test_other_messages_under_another_media_type_are_refused_with_415(watched, scanner):
    service = await watched()
    scanner.state = "Completed"
    assert (await ask(service.port, scanner.path, b"<a/>", content_type=b"text/xml"))[0].status == 415
    assert await poll(service) == "Completed"


@pytest_twisted.ensureDeferred
async def test_an_event_by_another_method_than_post(watched, scanner):
    service = await watched()
    scanner.state = "Completed"
    client = await connect(service.port)
    client.send(post(scanner.path, b"").replace(b"POST", b"GET", 1))
    assert (await client.answer())[0].status == 405
    assert await poll(service) == "Processing"  # the request carried no event
    client.send(post(scanner.path, END).replace(b"POST", b"PUT", 1))
    assert (await client.answer())[0].status == 405
    assert await poll(service) == "Completed"
    client.transport.loseConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_job_s_event_at_the_address_of_a_subscription_to_the_panel(watched, scanner, sink):
    service = await watched()
    listener, everything = await sink(), await sink()
    await ask(service.port, PATH, subscribe_to(everything.url))
    own = scanner.path
    head, _ = await ask(service.port, PATH, subscribe_to(
        listener.url, events=["ScanAvailableEvent"], destinations=[("c", "Desk")]))
    assert head.status == 200 and scanner.path != own
    assert (await ask(service.port, scanner.path, END))[0].status == 202
    assert await poll(service) == "Completed"
    assert scanner.asked == 0
    assert (await ask(service.port, own, END))[0].status == 202
    await until(lambda: everything.events == ["JobEndStateEvent"])
    assert listener.events == []


@pytest.mark.parametrize("action", [None, f"{WSE}/Ended"])
@pytest_twisted.ensureDeferred
async def test_a_refused_subscription_end_causes_a_renew(watched, scanner, monkeypatch, action):
    monkeypatch.setattr("wsdgateway.bridge.events.upstream.RECHECK", 0.0)
    service = await watched()
    end = envelope(action, "<wse:SubscriptionEnd/>", message_id=None)
    assert (await ask(service.port, scanner.path, end))[0].status == 400
    await until(lambda: "Renew" in scanner.actions)


@pytest_twisted.ensureDeferred
async def test_an_event_that_is_too_large(watched, scanner):
    service = await watched(limits={"request_body": 2000})
    scanner.state = "Completed"
    assert (await ask(service.port, scanner.path, b"x" * 2001))[0].status == 413
    assert await poll(service) == "Completed"


@pytest_twisted.ensureDeferred
async def test_an_incomplete_event(watched, scanner):
    service = await watched()
    scanner.state = "Completed"
    client = await connect(service.port)
    client.send(post(scanner.path, END)[:-100])
    await until(lambda: any(one.path == scanner.path.encode() for one in service.server.connections))
    client.transport.abortConnection()
    await client.end()
    await until(lambda: not service.server.connections)
    assert await poll(service) == "Completed"


@pytest_twisted.ensureDeferred
async def test_refused_senders_cause_no_status_check(watched, scanner):
    service = await watched(limits={"request_body": 2000})
    scanner.state = "Completed"
    service.scanner.device.peers = set()
    service.scanner.bridge.device = "http://198.51.100.20/scan"
    for message in (END, b"<a", event(JOB), b"x" * 2001):
        for content_type in (b"application/soap+xml", b"text/plain"):
            head, _ = await ask(service.port, scanner.path, message, content_type=content_type)
            assert head.status in (400, 413, 415)
    head, _ = await ask(service.port, "/front-desk/events/x", b"<a")
    assert head.status == 404
    assert await poll(service) == "Processing"
    assert scanner.asked == 0


@pytest_twisted.ensureDeferred
async def test_a_storm_of_unreadable_events_causes_no_storm_of_requests(watched, scanner):
    from twisted.internet import reactor

    service = await watched(cache={"poll_interval": 0.5})
    for job_id in ("8", "9"):
        await ask(service.port, scanner.path, status_event(job_id, "Processing", 1, message_id=None))
    began = reactor.seconds()
    events, polls = await connect(service.port), await connect(service.port)
    for number in range(1000):
        events.send(post(scanner.path, (event(""), b"<a", event(JOB))[number % 3]))
        polls.send(post(PATH, get_job_elements("789"[number % 3])))
        assert (await events.answer())[0].status in (202, 400)
        assert (await polls.answer())[0].status == 200
    intervals = int((reactor.seconds() - began) / 0.5) + 1
    assert 3 <= scanner.asked <= 3 * intervals
    for client in (events, polls):
        client.transport.loseConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_a_scanner_with_only_unreadable_events_is_polled(gateway, scanner):
    from twisted.internet import reactor

    service = await gateway(scanner.device.url, cache={"poll_interval": 0.2})
    await until(lambda: service.scanner.bridge.table.listening)
    for _ in range(3):
        assert (await ask(service.port, scanner.path, event(JOB)))[0].status == 202
    asked_at = reactor.seconds()
    assert await poll(service) == "Processing"
    scanner.state = "Completed"
    assert not service.scanner.bridge.table.events_seen
    await until(lambda: reactor.seconds() - asked_at > 0.3)
    assert await poll(service) == "Completed"
    assert scanner.asked == 2


@pytest_twisted.ensureDeferred
async def test_unreadable_events_cause_no_read_of_a_finished_job(watched, scanner):
    service = await watched()
    await ask(service.port, scanner.path, END)
    for message in (event(JOB), event(""), b"<a"):
        await ask(service.port, scanner.path, message)
    assert await poll(service) == "Completed"
    assert scanner.asked == 0


@pytest_twisted.ensureDeferred
async def test_an_event_of_another_namespace_is_delivered_unchanged(watched, scanner, sink):
    service = await watched()
    listener = await sink()
    await ask(service.port, PATH, subscribe_to(listener.url, events=["JobEndStateEvent"]))
    copied = END.replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan")
    await ask(service.port, scanner.path, copied)
    await until(lambda: listener.received)
    assert listener.received[0].action == f"{SCAN}/JobEndStateEvent".replace("2006/08", "2006/01")
    assert "2006/01" in listener.received[0].body.tag


@pytest.mark.parametrize("body", ["", "<wse:SubscriptionEnd/>", "<wscn:X/>"])
@pytest_twisted.ensureDeferred
async def test_the_end_of_the_subscription_in_every_shape(watched, scanner, body):
    service = await watched()
    end = envelope(f"{WSE}/SubscriptionEnd", body, message_id=None)
    assert (await ask(service.port, scanner.path, end))[0].status == 202
    await until(lambda: scanner.actions.count("Subscribe") == 2)


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_status_check_is_shared_for_a_poll_interval(watched, scanner):
    service = await watched(cache={"poll_interval": 600.0})
    asked = []

    def refuse(one):
        if read(one.request.body).action.endswith("/GetJobElements"):
            asked.append(one)
            one.answer(fault("wscn:ServerErrorTemporaryError", code="Receiver"), b"500 Error")
        else:
            scanner.handle(one)

    scanner.device.handle = refuse
    await ask(service.port, scanner.path, event(JOB))
    for _ in range(20):
        assert (await ask(service.port, PATH, get_job_elements("7")))[0].status == 500
    assert len(asked) <= 2
