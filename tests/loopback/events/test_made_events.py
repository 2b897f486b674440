"""Events that the gateway makes for scanners that refuse Subscribe, or grant it and send nothing."""

import json

import pytest
import pytest_twisted

from tests.loopback.clients import get, shown
from tests.loopback.escl.client import client
from tests.loopback.escl.client import section as escl_section
from tests.loopback.events.subscribers import PATH, subscribed
from tests.loopback.gateways import sample, section
from tests.messages import (
    create_scan_job,
    created_job,
    fault,
    get_job_elements,
    get_scanner_elements,
    job_request,
    listing,
    manage,
    subscribe,
)
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.events.jobquestions import MAX_FAILURES, RECENT
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobs import read_created
from wsdgateway.scan.operations import event_of
from wsdgateway.scan.statusevents import read_status_event
from wsdgateway.simulator import conditions
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of

MODES = ("none", "silent")
FAST = {"cache": {"poll_interval": 0.05}}
MADE = "wsdgateway_made_events_total"


def told(listener):
    """Returns event, state and number of scans of each job event received."""
    return [one[:3] for one in told_in_full(listener)]


def told_in_full(listener):
    """Returns event, state, number of scans and reasons of each job event received."""
    found = []
    for one in listener.received:
        event = event_of(one.action)
        status = read_job_event(event, one.body)
        found.append((event, status.state, status.scans_completed, status.reasons))
    return found


class Scan:
    """A scan of another client through the gateway."""

    def __init__(self, service, message_id="urn:uuid:create-1"):
        self.service, self._message_id = service, message_id

    async def begin(self):
        _, answer = await ask(self.service.port, PATH, create_scan_job(self._message_id).replace(b">Platen<", b">ADF<"))
        self.job = read_created(read(answer).body)
        return self

    async def page(self):
        head, body = await ask(self.service.port, PATH, job_request("RetrieveImage", self.job.job_id).replace(
            b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{self.job.job_token}</wscn:JobToken>".encode()))
        return head.status == 200 and b"\xff\xd8\xff" in body

    async def status(self):
        _, answer = await ask(self.service.port, PATH, get_job_elements(self.job.job_id))
        return shown(answer)


async def settled(service, mode):
    """Waits until the gateway knows the scanner's answer to its own Subscribe."""
    await until(lambda: service.scanner.bridge.table.listening if mode == "silent"
                else service.scanner.subscriptions.own.refused)


@pytest.mark.parametrize("mode", MODES)
@pytest_twisted.ensureDeferred
async def test_a_scan_is_told_from_its_first_state_to_its_end(gateway, virtual, sink, mode):
    scanner = await virtual(feeder_pages=2, events=mode)
    service = await gateway(scanner.scan_url, **FAST)
    await settled(service, mode)
    listener, other = await sink(), await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    await subscribed(service, other.url, events=["JobEndStateEvent"])
    scan = await Scan(service).begin()
    await until(lambda: listener.received)
    for page in range(2):
        assert await scan.page()
        await until(lambda page=page: told(listener)[-1][2] == page + 1)
    assert not await scan.page()
    await until(lambda: "JobEndStateEvent" in listener.events and other.received)
    await service.scanner.subscribers.idle()
    events = told(listener)
    assert len(events) == len(set(told_in_full(listener)))
    assert events[-2:] == [("JobStatusEvent", "Completed", 2), ("JobEndStateEvent", "Completed", 2)]
    assert [one[2] for one in events] == sorted(one[2] for one in events)
    assert told(other) == events[-1:]
    assert sample(service, MADE, event="JobStatusEvent") == len(events) - 1
    assert sample(service, MADE, event="JobEndStateEvent") == 1
    assert sample(service, "wsdgateway_events_total") == 0


@pytest_twisted.ensureDeferred
async def test_a_scan_of_an_escl_client_is_told_to_the_end(gateway, virtual, sink, tmp_path):
    scanner = await virtual(feeder_pages=2, events="none")
    service = await gateway(scanner.scan_url, escl=escl_section(tmp_path), **FAST)
    await settled(service, "none")
    await until(lambda: all(listener.port is not None for listener in service.escl_ports.listeners))
    listener = await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    job = await client(service).scan()
    pages, _ = await client(service).pages(job)
    assert len(pages) == 1
    await until(lambda: "JobEndStateEvent" in listener.events)
    events = told(listener)
    assert len(events) == len(set(told_in_full(listener)))
    assert events[-2:] == [("JobStatusEvent", "Completed", 1), ("JobEndStateEvent", "Completed", 1)]


@pytest.mark.parametrize("mode", MODES)
@pytest_twisted.ensureDeferred
async def test_nothing_is_asked_while_nobody_listens_or_no_job_is_active(gateway, virtual, sink, mode):
    scanner = await virtual(feeder_pages=1, events=mode)
    service = await gateway(scanner.scan_url, cache={"poll_interval": 0.01})
    await settled(service, mode)
    listener = await sink()
    scan = await Scan(service).begin()
    assert await scan.page()
    assert not await scan.page()
    grant = await subscribed(service, listener.url, events=["ScannerStatusSummaryEvent"])
    assert scanner.soap.asked["GetJobElements"] == 0
    assert service.scanner.polling.is_idle
    # The job may have ended, which a listener is told once; then there is no active job.
    await subscribed(service, listener.url, events=["JobEndStateEvent"])
    await until(lambda: listener.received)
    assert told(listener) == [("JobEndStateEvent", "Completed", 1)]
    asked = scanner.soap.asked["GetJobElements"]
    assert service.scanner.polling.is_idle
    assert grant.status == 200
    await Scan(service, "urn:uuid:create-2").begin()
    await until(lambda: scanner.soap.asked["GetJobElements"] > asked)


@pytest.mark.parametrize("mode", MODES)
@pytest_twisted.ensureDeferred
async def test_jobs_that_were_over_before_a_client_listens_are_not_asked_for(gateway, virtual, sink, mode):
    scanner = await virtual(feeder_pages=1, events=mode)
    service = await gateway(scanner.scan_url)
    await settled(service, mode)
    scan = await Scan(service).begin()
    assert await scan.page()
    assert not await scan.page()
    service.clock.advance(RECENT)
    listener = await sink()
    for _ in range(2):  # also the next time, after all have left
        grant = await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
        service.clock.advance(10.0)
        assert service.scanner.polling.is_idle
        await ask(service.port, PATH, manage("Unsubscribe", grant.identifier))
    assert scanner.soap.asked["GetJobElements"] == 0
    assert listener.received == []


@pytest_twisted.ensureDeferred
async def test_a_job_is_asked_for_once_in_an_interval_for_listeners_and_readers_together(gateway, virtual, sink):
    scanner = await virtual(feeder_pages=1, events="none")
    service = await gateway(scanner.scan_url, cache={"poll_interval": 30.0})
    await settled(service, "none")
    one, two = await sink(), await sink()
    for listener in (one, two):
        await subscribed(service, listener.url, events=["JobStatusEvent"])
    scan = await Scan(service).begin()
    await until(lambda: one.received and two.received)
    for _ in range(5):
        await scan.status()
    assert await scan.page()
    for _ in range(5):
        await scan.status()
    assert scanner.soap.asked["GetJobElements"] == 1
    service.clock.advance(31.0)
    assert (await scan.status())[1] == 1  # asked for a client: the listeners are told, too
    await until(lambda: len(one.received) == 2 and len(two.received) == 2)
    assert scanner.soap.asked["GetJobElements"] == 2
    assert told(one) == told(two)
    assert sample(service, MADE, event="JobStatusEvent") == 2


@pytest.mark.parametrize("mode", MODES)
@pytest_twisted.ensureDeferred
async def test_a_job_without_more_images_is_not_active_although_nobody_asks(gateway, virtual, mode):
    scanner = await virtual(feeder_pages=1, events=mode)
    service = await gateway(scanner.scan_url)
    await settled(service, mode)
    scan = await Scan(service).begin()
    assert (await scan.status())[0] in ("Pending", "Processing")
    assert await scan.page()

    async def api(name):
        return json.loads((await get(service.admin_port, f"/api/{name}".encode()))[2])

    assert ((await api("scanners"))[0]["active_jobs"], (await api("jobs"))[0]["closing"]) == (1, False)
    assert not await scan.page()
    assert ((await api("scanners"))[0]["active_jobs"], (await api("jobs"))[0]["closing"]) == (0, True)
    assert not (await api("jobs"))[0]["final"]
    assert sum(sample(service, "wsdgateway_jobs", state=state) for state in ("Pending", "Processing")) == 0
    asked = scanner.soap.asked["GetJobElements"]
    service.clock.advance(2.0)
    assert (await scan.status()) == ("Completed", 1)
    assert scanner.soap.asked["GetJobElements"] == asked + 1
    assert ((await api("jobs"))[0]["closing"], (await api("jobs"))[0]["final"]) == (False, True)


@pytest_twisted.ensureDeferred
async def test_with_synthesize_off_the_fault_says_what_to_do(gateway, virtual, sink):
    scanner = await virtual(events="none")
    service = await gateway(scanner.scan_url, events={"synthesize": False})
    await settled(service, "none")
    head, body = await ask(service.port, PATH, subscribe((await sink()).url, events=["JobStatusEvent"]))
    envelope = read(body)
    assert (head.status, fault_of(envelope)) == (500, "EventSourceUnableToProcess")
    assert "synthesize = true" in reason_of(envelope)
    assert b"soap:Receiver" in body


@pytest_twisted.ensureDeferred
async def test_the_status_of_the_scanner_is_told_when_it_is_read_anyway(gateway, virtual, sink):
    scanner = await virtual(events="none")
    service = await gateway(scanner.scan_url)
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, events=["ScannerStatusSummaryEvent"])
    scanner.device.begin(conditions.MEDIA_JAM)
    await ask(service.port, PATH, get_scanner_elements("wscn:ScannerStatus"))
    await until(lambda: listener.received)
    status = read_status_event(listener.received[0].body)
    assert (status.state, status.state_reasons) == ("Stopped", ("MediaJam",))
    await ask(service.port, PATH, get_scanner_elements("wscn:ScannerStatus", "wscn:ScannerConfiguration"))
    assert len(listener.received) == 1


@pytest.mark.parametrize("path", ["/front-desk", "/front-desk/scan", "/front-desk/subscriptions/x"])
@pytest_twisted.ensureDeferred
async def test_clients_subscribe_at_every_address_that_takes_a_subscribe(gateway, virtual, sink, path):
    scanner = await virtual(feeder_pages=1, events="none")
    service = await gateway(scanner.scan_url, **FAST)
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent"], path=path)
    await Scan(service).begin()
    await until(lambda: listener.received)


@pytest_twisted.ensureDeferred
async def test_a_reload_that_switches_made_events_off_ends_the_subscriptions(file, virtual, sink):
    scanner = await virtual(events="none")
    text = section("front-desk", scanner.scan_url)
    service = await file.start(text)
    service.scanner = service.scanners[0]
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, end_to=listener.url, events=["JobStatusEvent"])
    await file.reload(text + "[events]\nsynthesize = false\n")
    await until(lambda: listener.received)
    assert listener.events == ["SubscriptionEnd"]
    head, _ = await ask(service.port, PATH, subscribe(listener.url, events=["JobStatusEvent"]))
    assert head.status == 500
    await file.reload(text)
    await subscribed(service, listener.url, events=["JobStatusEvent"])


@pytest_twisted.ensureDeferred
async def test_subscriptions_and_jobs_outlive_a_change_of_the_scanners_section(file, virtual, sink):
    scanner = await virtual(feeder_pages=1, events="none")
    text = section("front-desk", scanner.scan_url) + "[cache]\npoll_interval = 0.05\n"
    service = await file.start(text)
    service.scanner = service.scanners[0]
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, events=["JobEndStateEvent"])
    scan = await Scan(service).begin()
    await file.reload(text.replace("[cache]", 'events = "off"\n[cache]'))
    assert service.scanners[0] is not service.scanner
    assert await scan.page()
    assert not await scan.page()
    await until(lambda: listener.received)
    assert told(listener) == [("JobEndStateEvent", "Completed", 1)]


class Forgetful:
    """A scanner without events that no longer knows its job; `history` is its answer to GetJobHistory."""

    def __init__(self, device, history=b""):
        self.device, self.history, self.actions = device, history, []
        self.has_elements, self.refusal, self.job_id = True, "wsa:ActionNotSupported", "7"
        device.handle = self.handle

    def handle(self, asked):
        message = read(asked.request.body)
        name = message.action.rpartition("/")[2]
        self.actions.append(name)
        if name == "GetJobElements":
            self.to = message.to
        if name == "CreateScanJob":
            asked.answer(created_job(self.job_id))
        elif name == "GetJobHistory" and self.history:
            asked.answer(self.history)
        elif name == "GetJobElements" and self.has_elements:
            asked.answer(fault("wscn:ClientErrorJobIdNotFound"), b"400 Bad Request")
        else:
            asked.answer(fault(self.refusal), b"400 Bad Request")


@pytest_twisted.ensureDeferred
async def test_a_job_in_the_history_is_told(gateway, device, sink):
    scanner = Forgetful(device, listing("GetJobHistory", "JobHistory", ("6", "Aborted", 0), ("7", "Completed", 3)))
    service = await gateway(device.url, **FAST)
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    await ask(service.port, PATH, create_scan_job())
    await until(lambda: len(listener.received) == 2)
    assert told(listener) == [("JobStatusEvent", "Completed", 3), ("JobEndStateEvent", "Completed", 3)]
    assert scanner.actions.count("GetJobHistory") == 1
    assert scanner.to == device.url
    assert service.scanner.polling.is_idle


@pytest.mark.parametrize("history", [listing("GetJobHistory", "JobHistory", ("6", "Completed", 3)), b""])
@pytest_twisted.ensureDeferred
async def test_a_job_that_is_not_in_the_history_is_only_logged(gateway, device, sink, said, history):
    scanner = Forgetful(device, history)
    service = await gateway(device.url, **FAST)
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    await ask(service.port, PATH, create_scan_job())
    await until(lambda: "GetJobHistory" in scanner.actions and service.scanner.polling.is_idle)
    asked = list(scanner.actions)
    assert (asked.count("GetJobHistory"), listener.received) == (1, [])
    assert sum("no longer knows job 7" in line for line in said) == 1
    service.scanner.polling.look()
    assert service.scanner.polling.is_idle


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_get_job_elements_is_asked_once(gateway, device, sink, said):
    scanner = Forgetful(device)
    scanner.has_elements = False
    service = await gateway(device.url, **FAST)
    await settled(service, "none")
    await subscribed(service, (await sink()).url, events=["JobStatusEvent", "JobEndStateEvent"])
    await ask(service.port, PATH, create_scan_job())
    await until(lambda: "GetJobElements" in scanner.actions and service.scanner.polling.is_idle)
    assert scanner.actions.count("GetJobElements") == 1
    assert sum("refuses GetJobElements (ActionNotSupported)" in line for line in said) == 1
    service.clock.advance(60.0)
    await ask(service.port, PATH, create_scan_job("urn:uuid:create-2"))
    assert service.scanner.polling.is_idle


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_refuses_get_job_elements_is_asked_ten_times_and_then_once_for_each_job(
        gateway, device, sink, said):
    scanner = Forgetful(device)
    scanner.has_elements, scanner.refusal = False, "wscn:OperationFailed"
    service = await gateway(device.url, **FAST)
    await settled(service, "none")
    await subscribed(service, (await sink()).url, events=["JobStatusEvent", "JobEndStateEvent"])

    async def scan(number, asked):
        scanner.job_id = number
        await ask(service.port, PATH, create_scan_job(f"urn:uuid:create-{number}"))

        def is_idle():
            service.clock.advance(60.0)
            service.scanner.polling.look()
            return scanner.actions.count("GetJobElements") >= asked and service.scanner.polling.is_idle

        await until(is_idle)
        assert scanner.actions.count("GetJobElements") == asked

    await scan("1", MAX_FAILURES)
    await scan("2", MAX_FAILURES + 1)
    await scan("3", MAX_FAILURES + 2)
    assert sum("refuses GetJobElements (OperationFailed)" in line for line in said) == 1


@pytest_twisted.ensureDeferred
async def test_events_that_begin_to_arrive_take_over_without_doubles(gateway, virtual, sink):
    scanner = await virtual(feeder_pages=3, events="silent")
    service = await gateway(scanner.scan_url, **FAST)
    await settled(service, "silent")
    listener = await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    scan = await Scan(service).begin()
    assert await scan.page()
    await until(lambda: told(listener)[-1:] and told(listener)[-1][2] == 1)
    scanner.device.subscribers.mode = "all"
    for _ in range(2):
        assert await scan.page()
    assert not await scan.page()
    await until(lambda: "JobEndStateEvent" in listener.events)
    await service.scanner.subscribers.idle()
    events = told_in_full(listener)
    assert len(events) == len(set(events))
    assert told(listener)[-2:] == [("JobStatusEvent", "Completed", 3), ("JobEndStateEvent", "Completed", 3)]
    assert service.scanner.bridge.table.eventful
    assert sample(service, "wsdgateway_events_total", event="JobEndStateEvent") == 1


@pytest_twisted.ensureDeferred
async def test_after_a_restart_a_running_job_is_told_to_its_end(gateway, virtual, sink, tmp_path, running):
    scanner = await virtual(feeder_pages=2, events="none")
    state = {"gateway": {"state": f"sqlite:{tmp_path}/g.sqlite", "name": "test"}}
    service = await gateway(scanner.scan_url, **FAST, **state)
    await settled(service, "none")
    listener = await sink()
    await subscribed(service, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    scan = await Scan(service).begin()
    assert await scan.page()
    await until(lambda: told(listener)[-1:] and told(listener)[-1][2] == 1)
    await service.stopService()
    scan.service = service = await gateway(scanner.scan_url, **FAST, **state)
    await settled(service, "none")
    before = scanner.soap.asked["GetJobElements"]
    assert service.scanner.polling.is_idle
    assert await scan.page()
    await until(lambda: "JobEndStateEvent" in listener.events)
    events = told_in_full(listener)
    assert len(events) == len(set(events))
    assert told(listener)[-2:] == [("JobStatusEvent", "Completed", 2), ("JobEndStateEvent", "Completed", 2)]
    assert scanner.soap.asked["GetJobElements"] > before


@pytest_twisted.ensureDeferred
async def test_a_scanner_whose_events_are_off_is_polled_for_its_listeners(gateway, virtual, sink):
    scanner = await virtual(feeder_pages=1)
    service = await gateway(scanner.scan_url, scanner={"events": "off"}, **FAST)
    listener = await sink()
    await subscribed(service, listener.url, events=["JobEndStateEvent"])
    scan = await Scan(service).begin()
    assert await scan.page()
    await until(lambda: listener.received)
    assert told(listener) == [("JobEndStateEvent", "Completed", 1)]
    assert scanner.soap.asked["Subscribe"] == 0
