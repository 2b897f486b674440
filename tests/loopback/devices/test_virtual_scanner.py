"""Tests of the virtual scanner's control interface, and of the events about its status, through the gateway."""

import json

import pytest
import pytest_twisted

from tests.loopback.clients import Granted, request
from tests.messages import create_scan_job, get_scanner_elements, job_request, subscribe
from tests.peers import ask
from tests.schema import checked
from tests.waiting import until
from wsdgateway.scan.jobs import read_created
from wsdgateway.scan.operations import EVENTS, SCANNER_STATUS_EVENTS
from wsdgateway.scan.reading import tag
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

SUMMARY, CONDITION, CLEARED = SCANNER_STATUS_EVENTS
PATH = "/front-desk/scan"


class Controlled:
    """A virtual scanner whose control interface is used."""

    def __init__(self, scanner):
        self.device = scanner.device
        self.port = int(scanner.base.rpartition(":")[2])

    async def state(self):
        status, _, body = await request(self.port, b"/control/")
        assert status == 200
        return json.loads(body)

    async def do(self, action):
        status, _, body = await request(self.port, f"/control/{action}".encode(), method=b"POST")
        assert status == 200, body
        return json.loads(body)

    async def mistake(self, action, method=b"POST"):
        """The HTTP status and the line that answer a mistake."""
        status, head, body = await request(self.port, f"/control/{action}".encode(), method=method)
        [line] = body.decode().splitlines()
        assert b"text/plain" in head
        return status, line


@pytest.fixture
def controlled(virtual):
    async def start(**settings):
        return Controlled(await virtual(**settings))
    return start


@pytest_twisted.ensureDeferred
async def test_trouble_is_set_and_cleared_by_http(controlled):
    made = await controlled(feeder_pages=3)
    state = await made.state()
    assert (state["state"], state["reasons"], state["conditions"], state["trouble"]) == ("Idle", ["None"], [], [])
    assert {"jam", "cover", "lamp-warming", "busy", "clear"} <= set(state["actions"])
    for action in ("jam", "lamp-error", "attention", "feeder?pages=0"):
        await made.do(action)
    state = await made.state()
    assert (state["state"], state["reasons"]) == ("Stopped", ["MediaJam", "LampError", "AttentionRequired"])
    assert state["conditions"] == ["MediaJam", "LampError", "InputTrayEmpty"]
    assert state["trouble"] == ["jam", "lamp-error", "attention", "feeder-empty"]
    await made.do("clear?what=jam")
    assert (await made.state())["reasons"] == ["LampError", "AttentionRequired"]
    await made.do("jam?after=2")
    assert (await made.state())["jam_after"] == 2
    await made.do("clear")
    state = await made.state()
    assert (state["state"], state["trouble"], state["jam_after"]) == ("Idle", ["feeder-empty"], 0)


@pytest_twisted.ensureDeferred
async def test_trouble_ends_by_itself_after_its_time(controlled):
    made = await controlled()
    await made.do("lamp-warming?seconds=0.05")
    await made.do("busy?seconds=0.05")
    await until(lambda: made.device.status.current == ("Idle", ("None",)))
    assert (await made.state())["trouble"] == []


@pytest.mark.parametrize(("action", "status", "line"), [
    ("crumple", 404, 'the action "crumple" must be one of attention, break-image, busy, '),
    ("jam/2", 404, 'the action "jam/2" must be one of '), ("", 404, "the path after /control/ must be one of "),
    ("jam?afer=2", 400, '"afer": must be seconds or after'), ("jam?after=0", 400, 'after = "0": must be a whole number '
                                                             "from 1 to 100000"),
    ("jam?after=2&seconds=3", 400, "seconds: must be left out if after is given"),
    ("silent?seconds=1", 400, '"seconds": must be left out, since this action has no arguments'),
    ("feeder?pages=1.5", 400, 'pages = "1.5": must be a whole number from 0 to 100000'),
    ("feeder?pages=1&pages=2", 400, "pages: must be given once"),
    ("busy?seconds=nan", 400, 'seconds = "nan": must be a number from 0 to 100000'),
    ("busy?seconds=soon%0A", 400, 'seconds = "soon\\n": must be a number '),
    ("clear?what=all", 400, 'what = "all": must be one of jam, cover, '),
    ("events?mode=some", 400, 'mode = "some": must be one of all, jobs, silent, none')])
@pytest_twisted.ensureDeferred
async def test_a_mistake_gets_one_line(controlled, action, status, line):
    made = await controlled()
    answered = await made.mistake(action)
    assert answered[0] == status
    assert answered[1].startswith(line)
    assert (await made.state())["trouble"] == []


@pytest_twisted.ensureDeferred
async def test_an_action_by_another_method_is_refused(controlled):
    made = await controlled()
    for method in (b"GET", b"PUT"):
        assert await made.mistake("jam", method) == (405, "jam: the method must be POST, as in curl -X POST")
    assert not (await made.state())["jammed"]


async def subscribed(port, path, listener, events):
    return Granted(*await ask(port, path, subscribe(listener.url, events=events)))


@pytest.mark.parametrize("where", ["straight", "gateway"])
@pytest_twisted.ensureDeferred
async def test_each_subscriber_gets_the_status_events_of_its_filter(bridged, sink, where):
    service = await bridged()
    made = Controlled(service.device)
    port, path = (made.port, "/WDP/SCAN") if where == "straight" else (service.port, PATH)
    everything, summaries, jobs = [await sink() for _ in range(3)]
    await subscribed(port, path, everything, EVENTS)
    await subscribed(port, path, summaries, [SUMMARY])
    await subscribed(port, path, jobs, ["JobStatusEvent", "JobEndStateEvent"])
    await made.do("jam")
    await made.do("clear")
    await until(lambda: len(everything.received) == 4 and len(summaries.received) == 2)
    assert everything.events == [CONDITION, SUMMARY, CLEARED, SUMMARY]
    began, stopped, ended, idle = (checked(asked.request.body).body for asked in everything.device.requests)
    assert (began.find(tag("DeviceCondition")).get("Id"), began.findtext(f".//{tag('Name')}"),
            began.findtext(f".//{tag('Severity')}")) == ("1", "MediaJam", "Critical")
    assert ended.findtext(f".//{tag('ConditionId')}") == "1"
    assert [(body.findtext(f".//{tag('ScannerState')}"), body.findtext(f".//{tag('ScannerStateReason')}"))
            for body in (stopped, idle)] == [("Stopped", "MediaJam"), ("Idle", "None")]
    assert (summaries.events, jobs.events) == ([SUMMARY] * 2, [])


@pytest_twisted.ensureDeferred
async def test_a_feeder_that_jams_after_a_page_ends_the_job_for_client_and_subscriber(bridged, sink):
    service = await bridged({"jam_after": 1})
    listener = await sink()
    await subscribed(service.port, PATH, listener, EVENTS)
    _, body = await ask(service.port, PATH, create_scan_job().replace(b">Platen<", b">ADF<"))
    job = read_created(read(body).body)

    async def retrieve(number):
        head, answer = await ask(service.port, PATH, job_request("RetrieveImage", job.job_id).replace(
            b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()).replace(
            b"urn:uuid:1", f"urn:uuid:page-{number}".encode()))
        return head.status, answer

    assert (await retrieve(1))[0] == 200
    status, answer = await retrieve(2)
    assert (status, fault_of(checked(answer))) == (400, "ClientErrorNoImagesAvailable")
    await until(lambda: listener.events[-2:] == ["JobStatusEvent", "JobEndStateEvent"] and SUMMARY in listener.events)
    place = listener.events.index(CONDITION)
    assert listener.events[place:place + 4] == [CONDITION, SUMMARY, "JobStatusEvent", "JobEndStateEvent"]
    end = listener.received[-1].body
    assert (end.findtext(f".//{tag('JobCompletedState')}"), end.findtext(f".//{tag('JobStateReason')}"),
            end.findtext(f".//{tag('ScansCompleted')}")) == ("Aborted", "ScannerStopped", "1")
    _, answer = await ask(service.port, PATH, create_scan_job("urn:uuid:another"))
    assert fault_of(checked(answer)) == "ServerErrorNotAcceptingJobs"


@pytest_twisted.ensureDeferred
async def test_a_condition_that_has_ended_is_in_the_history(bridged):
    service = await bridged()
    made = Controlled(service.device)
    await made.do("cover")
    await made.do("clear")
    _, answer = await ask(service.port, PATH, get_scanner_elements("ScannerStatus"))
    status = checked(answer).body
    [entry] = status.iter(tag("ConditionHistoryEntry"))
    assert (entry.get("Id"), entry.findtext(tag("Name"))) == ("1", "CoverOpen")
    assert entry.findtext(tag("ClearTime")) >= entry.findtext(tag("Time"))
    assert next(status.iter(tag("DeviceCondition")), None) is None
