"""Finished jobs after a restart: the scanner is asked first, and if it has forgotten a job, the store answers."""

import json

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from tests.loopback.clients import get, shown
from tests.loopback.gateways import File, section
from tests.loopback.scanners import Subscribed
from tests.messages import (
    create_scan_job,
    created_job,
    end_event,
    fault,
    get_job_elements,
    status_event,
    status_response,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

PATH = "/front-desk/scan"
EARLY, LATE = "2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z"


class Forgetful(Subscribed):
    """Scanner that knows only the jobs in `jobs`, by JobId."""

    def __init__(self, device):
        super().__init__(device)
        self.jobs, self.asked = {}, []
        self.unknown = (fault("wscn:ClientErrorJobIdNotFound"), b"500 Error", b"application/soap+xml")

    def handle(self, asked):
        message = read(asked.request.body)
        if message.action.endswith("/CreateScanJob"):
            asked.answer(created_job("7"))
        elif message.action.endswith("/GetJobElements"):
            job_id = message.body[0].text
            self.asked.append(job_id)
            if job_id in self.jobs:
                asked.answer(status_response(job_id, **self.jobs[job_id]))
            else:
                asked.answer(*self.unknown)
        else:
            super().handle(asked)


@pytest.fixture
def scanner(device):
    return Forgetful(device)


@pytest.fixture
def restarted(gateway, scanner, tmp_path):
    """Starts a gateway on the same store each time, after stopping the former one."""
    former = []

    async def start(**more):
        if former:
            await former.pop().stopService()
        service = await gateway(scanner.device.url, gateway={
            "state": f"sqlite:{tmp_path}/s.sqlite", "name": "test"}, **more)
        former.append(service)
        await until(lambda: service.scanner.bridge.table.listening)
        return service
    return start


@pytest.fixture
def finished(restarted, scanner):
    """Starts a gateway again after job 7 has finished and the scanner has forgotten it."""
    async def start(**more):
        service = await restarted(**more)
        for event in (status_event("7", "Processing", 1, created=EARLY, message_id=None),
                      end_event("7", "Completed", 2, message_id=None)):
            assert (await ask(service.port, scanner.path, event))[0].status == 202
        assert await read_job(service) == ("Completed", 2)
        assert scanner.asked == []
        return await restarted(**more)
    return start


async def answer_of(service, job_id="7", **more):
    head, body = await ask(service.port, PATH, get_job_elements(job_id, **more))
    return head.status, body


async def read_job(service, job_id="7"):
    """Returns the state that GetJobElements reports, or the name of its fault."""
    status, body = await answer_of(service, job_id)
    return shown(body) if status == 200 else fault_of(read(body))


async def listed(service):
    return json.loads((await get(service.admin_port, b"/api/jobs"))[2])


@pytest.mark.parametrize("unknown", [
    (fault("wscn:ClientErrorJobIdNotFound"), b"500 Error", b"application/soap+xml"),
    (fault("wscn:ClientErrorJobIdNotFound"), b"200 OK", b"application/soap+xml"),
    (b"no such job", b"404 Not Found", b"text/plain"), (b"", b"404 Not Found", b"text/plain")])
@pytest_twisted.ensureDeferred
async def test_a_forgotten_job_is_answered_from_the_store_consistently_with_the_site(finished, scanner, unknown):
    service = await finished()
    scanner.unknown = unknown
    for _ in range(20):
        status, body = await answer_of(service)
        assert status == 200
    known = read_response(read(body).body).status
    assert 1 <= len(scanner.asked) <= 3
    [job] = await listed(service)
    assert (job["job_id"], job["state"], job["scans_completed"], job["created"], job["completed"], job["final"]) == (
        "7", known.state, known.scans_completed, known.created, known.completed, True)
    assert (known.state, known.created) == ("Completed", EARLY)


@pytest_twisted.ensureDeferred
async def test_while_the_scanner_is_unreachable_the_answer_is_a_fault(finished, scanner):
    service = await finished()
    await scanner.device.stop()
    assert await read_job(service) == "ServerErrorTemporaryError"
    [job] = await listed(service)
    assert job["state"] == "Completed"


@pytest_twisted.ensureDeferred
async def test_the_scanner_answers_for_a_job_that_it_still_knows(finished, restarted, scanner):
    service = await finished()
    scanner.jobs["7"] = {"state": "Completed", "scans": 2, "created": EARLY, "completed": "2026-11-22T10:00:09Z"}
    for _ in range(3):
        assert await read_job(service) == ("Completed", 2)
    assert scanner.asked == ["7"]
    assert len(await listed(service)) == 1
    service = await restarted()
    assert len(await listed(service)) == 1


@pytest.mark.parametrize("state", [{"state": "Processing", "created": LATE}, {"state": "Processing"},
                                   {"state": "Canceled", "created": LATE}])
@pytest_twisted.ensureDeferred
async def test_a_reused_job_id_is_a_new_job(finished, restarted, scanner, state):
    service = await finished()
    scanner.jobs["7"] = {"scans": 1, **state}
    assert await read_job(service) == (state["state"], 1)
    assert {(job["state"], job["created"]) for job in await listed(service)} == {
        ("Completed", EARLY), (state["state"], state.get("created"))}
    del scanner.jobs["7"]
    service = await restarted()  # the new job is forgotten, too: the old one must not be shown for it
    assert await read_job(service) == (
        ("Canceled", 1) if state["state"] == "Canceled" else "ClientErrorJobIdNotFound")


@pytest_twisted.ensureDeferred
async def test_a_job_created_with_a_reused_id_remains_a_new_job_after_a_restart(
        finished, restarted, scanner):
    service = await finished()
    await ask(service.port, PATH, create_scan_job())
    assert await read_job(service) == "ClientErrorJobIdNotFound"
    service = await restarted()
    assert await read_job(service) == "ClientErrorJobIdNotFound"
    assert [job["state"] for job in await listed(service)] == ["Completed"]


@pytest_twisted.ensureDeferred
async def test_a_reused_job_id_after_a_detected_reboot(finished, scanner):
    service = await finished()
    service.scanner.bridge.rebooted()
    assert await read_job(service) == ("Completed", 2)
    await ask(service.port, scanner.path, status_event("7", "Processing", 0, message_id=None))
    assert await read_job(service) == "ClientErrorJobIdNotFound"


@pytest_twisted.ensureDeferred
async def test_several_elements_of_a_forgotten_job(finished, scanner):
    service = await finished()
    for _ in range(5):
        status, body = await answer_of(service, names=("wscn:JobStatus", "wscn:ScanTicket"))
        assert status == 200
        assert [(one.get("Name"), one.get("Valid")) for one in read(body).body[0]] == [
            ("wscn:JobStatus", "true"), ("wscn:ScanTicket", "false")]
    assert len(scanner.asked) <= 2
    status, body = await answer_of(service, names=("wscn:ScanTicket",))
    assert fault_of(read(body)) == "ClientErrorJobIdNotFound"


@pytest_twisted.ensureDeferred
async def test_an_unfinished_job_is_not_answered_from_the_store(restarted, scanner):
    service = await restarted()
    await ask(service.port, scanner.path, status_event("7", "Processing", 1, created=EARLY))
    service = await restarted()
    assert await read_job(service) == "ClientErrorJobIdNotFound"


@pytest_twisted.ensureDeferred
async def test_a_scanner_added_by_a_reload_has_its_stored_jobs(running, scanner, tmp_path):
    file = File(tmp_path / "g.toml", running)
    service = await file.start(section("front-desk", scanner.device.url))
    await until(lambda: service.scanners[0].bridge.table.listening)
    await ask(service.port, scanner.path, end_event("7", "Completed", 2))
    for name in ("copy-room", "front-desk"):
        await file.reload(section(name, scanner.device.url))
        await until(lambda: service.bridged.is_settled)
    assert await read_job(service) == ("Completed", 2)


@pytest_twisted.ensureDeferred
async def test_create_scan_job_is_answered_after_the_store_has_recorded_the_reused_id(finished, scanner):
    service = await finished()
    marked, writing = [], Deferred()

    def slow(*given):
        marked.append(given)
        return writing

    service.store.supersede = slow
    client = await connect(service.port)
    client.send(post(PATH, create_scan_job()))
    await until(lambda: marked == [("front-desk", "7")])
    assert await read_job(service) == "ClientErrorJobIdNotFound"  # other clients do not wait
    assert client.received == b""
    writing.callback(None)
    head, _ = await client.answer()
    assert head.status == 200
    client.transport.loseConnection()
    await client.end()


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_a_failing_store_does_not_prevent_scanning(finished, scanner):
    service = await finished()
    service.store.supersede = lambda *given: fail(OSError("the disk is full"))
    assert (await ask(service.port, PATH, create_scan_job()))[0].status == 200
