"""Event storms: the events that subscribers get, and the effect on other clients and scanners."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from tests.loopback.clients import shown
from tests.loopback.gateways import sample, section
from tests.loopback.scanners import Subscribed
from tests.messages import SCAN, end_event, envelope, get_job_elements, status_event, status_response, subscribe
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.bridge.events.intake import MAX_UNKNOWN_SENDERS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSCN

PATH = "/front-desk/scan"
S = f"{{{WSCN}}}"
STORM = 1000


@pytest.fixture
def events(device):
    return Subscribed(device)


async def listened_to(gateway, scanner, sink, listeners, **more):
    """Starts a gateway whose scanner has so many subscribers, and returns it with their sinks."""
    service = await gateway(scanner.device.url, **more)
    await until(lambda: service.scanner.bridge.table.listening)
    sinks = [await sink() for _ in range(listeners)]
    for one in sinks:
        assert (await ask(service.port, PATH, subscribe(one.url)))[0].status == 200
    return service, sinks


async def notify(service, events, messages):
    """Sends all messages on one connection without waiting for answers, and checks that each is accepted."""
    client = await connect(service.port)
    for message in messages:
        client.send(post(events.path, message))
    for _ in messages:
        assert (await client.answer())[0].status == 202
    client.transport.abortConnection()
    await client.end()


def scans(messages):
    """Returns ScansCompleted of each event that has it."""
    found = [one.body.findtext(f"{S}JobStatus/{S}ScansCompleted") for one in messages]
    return [int(number) for number in found if number is not None]


@pytest_twisted.ensureDeferred
async def test_the_newest_state_and_every_job_end_are_delivered_in_a_storm(
        gateway, events, sink):
    service, sinks = await listened_to(gateway, events, sink, 20, events={"scanner_rate": 20.0})
    storm = [status_event("7", "Processing", number, message_id=f"urn:uuid:{number}") for number in range(STORM)]
    for number in range(50):
        storm.insert(number * 20, end_event(f"e{number}", message_id=f"urn:uuid:end-{number}"))
    await notify(service, events, storm)
    _, answer = await ask(service.port, PATH, get_job_elements("7"))
    assert shown(answer) == ("Processing", STORM - 1)
    await until(lambda: all(one.received and scans(one.received)[-1:] == [STORM - 1] for one in sinks))
    for one in sinks:
        assert one.events.count("JobEndStateEvent") == 50
        assert scans(one.received) == sorted(scans(one.received)) and len(scans(one.received)) < STORM / 2
    assert sample(service, "wsdgateway_events_left_out_total") > STORM / 2
    assert sample(service, "wsdgateway_events_total", event="JobStatusEvent") == STORM


@pytest_twisted.ensureDeferred
async def test_the_events_of_a_scan_are_delivered_completely(gateway, events, sink):
    service, [one] = await listened_to(gateway, events, sink, 1)
    await notify(service, events, [
        *(status_event("7", "Processing", number, message_id=f"urn:uuid:{number}") for number in range(80)),
        status_event("7", "Completed", 80, message_id="urn:uuid:80"), end_event("7", scans=80)])
    await until(lambda: len(one.received) == 82)
    assert scans(one.received) == list(range(81))
    assert one.events[-1] == "JobEndStateEvent"
    assert sample(service, "wsdgateway_events_left_out_total") == 0


@pytest_twisted.ensureDeferred
async def test_a_storm_does_not_affect_another_scanner(gateway, events, sink):
    """The subscribers of the storm do not answer; a client and a subscriber of another scanner are not affected."""
    service, sinks = await listened_to(gateway, events, sink, 30)
    held = []
    for one in sinks:
        one.device.handle = held.append
    from wsdgateway.config.sections import ScannerConfig

    other = service.bridged.bridge(ScannerConfig("other", scan=events.device.url + "/other"))
    other.start()
    first_path = events.path
    await until(lambda: other.bridge.table.listening)
    quiet = await sink()
    assert (await ask(service.port, "/other/scan", subscribe(quiet.url)))[0].status == 200
    quiet_path, events.device.path = events.path, first_path
    assert quiet_path != first_path
    storming = []
    for begin in range(4):
        client = await connect(service.port)
        for number in range(begin, STORM, 4):
            client.send(post(first_path, status_event("7", "Processing", number, message_id=f"urn:uuid:{number}")))
        storming.append(client)
    assert (await ask(service.port, quiet_path, status_event("1", "Completed", 1)))[0].status == 202
    for _ in range(20):
        _, answer = await ask(service.port, "/other/scan", get_job_elements("1"))
        assert shown(answer) == ("Completed", 1)
    await until(lambda: quiet.received)
    for client in storming:
        for _ in range(STORM // 4):
            assert (await client.answer())[0].status == 202
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_a_storm_from_unknown_senders_is_barely_read_and_logged_once(gateway, events, sink, monkeypatch, said):
    service, [one] = await listened_to(gateway, events, sink, 1)
    service.scanner.device.peers = {"198.51.100.20"}
    service.scanner.bridge.device = "http://198.51.100.20/scan"
    read_messages = []
    from wsdgateway.net.events import eventsink

    really = eventsink.examine
    monkeypatch.setattr(eventsink, "examine", lambda *given: read_messages.append(1) or really(*given))
    client = await connect(service.port)
    for number in range(300):
        client.send(post(events.path, status_event("7", message_id=f"urn:uuid:{number}")))
    for _ in range(300):
        head, answer = await client.answer()
        assert (head.status, fault_of(read(answer))) == (400, "InvalidArgs")
        assert b"event_sources" in answer
    client.transport.abortConnection()
    await client.end()
    assert MAX_UNKNOWN_SENDERS <= len(read_messages) < 200
    assert len([line for line in said if "not an address of the scanner" in line]) == 1
    assert service.scanner.bridge.table.get("7") is None and not one.received


@pytest_twisted.ensureDeferred
async def test_notifications_of_unknown_senders_count_for_the_request_limit(gateway, events, sink):
    service, _ = await listened_to(gateway, events, sink, 0,
                                   limits={"client_requests": 5, "unlimited": ["192.0.2.0/24"]})
    own = [status_event("7", message_id=f"urn:uuid:{number}") for number in range(20)]
    await notify(service, events, own)
    service.scanner.device.peers = {"198.51.100.20"}
    service.scanner.bridge.device = "http://198.51.100.20/scan"
    heads = [(await ask(service.port, events.path, message))[0].status for message in own]
    assert heads[0] == 400 and heads[-1] == 429


@pytest_twisted.ensureDeferred
async def test_waiting_events_survive_a_reload_and_are_delivered_at_the_stop(file, device, sink):
    events, one = Subscribed(device), await sink()
    rate = "[events]\nscanner_rate = 1\n"
    service = await file.start(section("front-desk", device.url) + rate)
    await until(lambda: service.scanners[0].bridge.table.listening)
    await ask(service.port, PATH, subscribe(one.url))
    for number in range(4):
        await ask(service.port, events.path, end_event(str(number), message_id=f"urn:uuid:{number}"))
    await until(lambda: one.received)
    await file.reload(section("front-desk", device.url + "/moved") + rate)
    assert len(one.received) < 4
    await service.stopService()
    assert len(one.received) == 4


@pytest_twisted.ensureDeferred
async def test_a_storm_of_scanner_events_does_not_displace_job_events(gateway, events, sink):
    """Events without a job's state are dropped before events with one."""
    service, [one] = await listened_to(gateway, events, sink, 1, events={"scanner_rate": 1.0})
    events.device.handle = lambda asked: asked.answer(status_response("8"))
    changes = [envelope(f"{SCAN}/ScannerElementsChangeEvent", "<wscn:ScannerElementsChangeEvent/>",
                        message_id=f"urn:uuid:{number}") for number in range(2 * STORM)]
    changes.insert(10, end_event("7"))
    await notify(service, events, changes)
    queue = service.scanner.subscribers.distribution.queue
    assert len(queue) <= STORM
    waiting = [queue.take(0.0)[0].action.rpartition("/")[2] for _ in range(len(queue))]
    await until(lambda: "JobEndStateEvent" in waiting + one.events)  # it may be on its way
    assert (await gatherResults([ensureDeferred(ask(service.port, PATH, get_job_elements("8")))]))[0][0].status == 200
