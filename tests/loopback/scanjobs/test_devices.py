"""Own scan jobs with devices that deviate: how they end a feeder, break off, refuse, or serve one connection only."""

import time
import tracemalloc

import pytest
import pytest_twisted

from tests.loopback.scanjobs.ordering import CLIENT, feeder, platen
from tests.messages import created_job, envelope, fault, scanner_status, status_response
from tests.waiting import until
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.scanjob import Reason
from wsdgateway.net.scanjobs.pagewriter import MAX_PENDING
from wsdgateway.net.scanners.connection import LARGE_READ
from wsdgateway.scan.jobs import job_id_of
from wsdgateway.soap.envelope import read
from wsdgateway.storage.spool import SpoolFile

TYPE = b'multipart/related; type="application/xop+xml"; boundary=b; start="<r@x>"'
ROOT = (b"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <r@x>\r\n\r\n"
        + envelope("http://x/RetrieveImageResponse", "<wscn:RetrieveImageResponse/>")
        + b"\r\n--b\r\nContent-Type: image/jpeg\r\nContent-ID: <i@x>\r\n\r\n")
END = b"\r\n--b--\r\n"
CREATED = "2026-11-22T10:00:00Z"


def image(content):
    return ROOT + content + END


class Scanner:
    """Answers each request with the next answer for its operation, the last one again and again."""

    def __init__(self, device, **answers):
        self.device, self.answers, self.asked = device, answers, []
        device.handle = self.handle
        self.status = {"job_id": "7", "state": "Processing", "created": CREATED}

    def handle(self, asked):
        message = read(asked.request.body)
        name = message.action.rpartition("/")[2]
        self.asked.append(name)
        if name in self.answers:
            answers = self.answers[name]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            answer(asked)
        elif name == "CreateScanJob":
            asked.answer(created_job("7"))
        elif name == "GetJobElements":
            asked.answer(status_response(**self.status))
        elif name == "CancelJob":
            self.canceled = job_id_of(message.body)
            asked.answer(envelope("http://x/CancelJobResponse", "<wscn:CancelJobResponse/>"))
        else:
            asked.answer(fault("wscn:OperationFailed"), b"500 Error")

    def count(self, name):
        return self.asked.count(name)


def sends(content):
    return lambda asked: asked.answer(image(content), content_type=TYPE)


def refuses(name, status=b"400 Bad Request"):
    return lambda asked: asked.answer(fault(f"wscn:{name}"), status)


def breaks_off(asked):
    asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nContent-Length: 100000\r\n\r\n" + ROOT + b"half")
    asked.close()


def ends_early(asked):
    asked.answer(ROOT + b"half", content_type=TYPE)


def answers_nothing(asked):
    """Leaves the request without an answer."""


@pytest.mark.parametrize("last", ["ClientErrorNoImagesAvailable", "ClientErrorJobIdNotFound"])
@pytest_twisted.ensureDeferred
async def test_the_fault_that_ends_a_feeder(device, device_jobs, last):
    scanner = Scanner(device, RetrieveImage=[sends(b"one"), sends(b"two"), refuses(last)])
    jobs = await device_jobs()
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == [b"one", b"two"]
    assert (job.state, job.end.reason) == ("Completed", Reason.FINISHED)
    assert scanner.count("CancelJob") == 0


@pytest.mark.parametrize("refusal", [
    refuses("ServerErrorTemporaryError"), lambda asked: asked.answer(b"", b"503 Service Unavailable")])
@pytest_twisted.ensureDeferred
async def test_a_page_that_is_not_ready_is_asked_for_again(device, device_jobs, refusal):
    scanner = Scanner(device, RetrieveImage=[sends(b"one"), refusal, sends(b"two"), refuses(
        "ClientErrorNoImagesAvailable")])
    jobs = await device_jobs()
    assert await jobs.fetch_all(jobs.submit(feeder())) == [b"one", b"two"]
    assert scanner.count("RetrieveImage") == 4


@pytest.mark.parametrize("broken", [breaks_off, ends_early])
@pytest_twisted.ensureDeferred
async def test_a_page_of_the_platen_that_breaks_off_is_asked_for_again(device, device_jobs, broken):
    scanner = Scanner(device, RetrieveImage=[broken, sends(b"whole")])
    jobs = await device_jobs()
    assert await jobs.fetch_all(jobs.submit(platen())) == [b"whole"]
    assert (scanner.count("RetrieveImage"), scanner.count("CancelJob")) == (2, 0)


@pytest_twisted.ensureDeferred
async def test_a_page_of_a_feeder_that_breaks_off_ends_the_job(device, device_jobs):
    scanner = Scanner(device, RetrieveImage=[sends(b"one"), breaks_off])
    jobs = await device_jobs()
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == [b"one"]
    await jobs.over(job)
    assert (job.end.reason, scanner.count("RetrieveImage"), scanner.canceled) == (Reason.BROKEN_OFF, 2, "7")


@pytest.mark.parametrize("answer", [
    lambda asked: asked.answer(envelope("http://x/RetrieveImageResponse", "<wscn:RetrieveImageResponse/>")),
    lambda asked: asked.answer(ROOT + END, content_type=TYPE), lambda asked: asked.answer(
        b"--b\r\n" + b"x" * 20000, content_type=TYPE), lambda asked: asked.answer(b"junk", content_type=b"image/jpeg")])
@pytest_twisted.ensureDeferred
async def test_an_answer_without_an_image(device, device_jobs, answer):
    scanner = Scanner(device, RetrieveImage=[answer])
    jobs = await device_jobs()
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == []
    await jobs.over(job)
    assert (job.end.reason, scanner.canceled) == (Reason.BROKEN_OFF, "7")


@pytest_twisted.ensureDeferred
async def test_a_fault_in_a_multipart_answer(device, device_jobs):
    body = ROOT.partition(b"<?xml")[0] + fault("wscn:ClientErrorNoImagesAvailable") + END
    Scanner(device, RetrieveImage=[lambda asked: asked.answer(body, content_type=TYPE)])
    jobs = await device_jobs()
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == []
    assert job.end.reason is Reason.FEEDER_EMPTY


@pytest_twisted.ensureDeferred
async def test_the_first_bytes_can_be_read_while_the_page_arrives(device, device_jobs):
    sending = []
    Scanner(device, RetrieveImage=[sending.append])
    jobs = await device_jobs()
    job = jobs.submit(platen())
    await until(lambda: sending)
    sending[0].write(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nContent-Length: %d\r\n\r\n" % len(
        image(bytes(100000))) + ROOT + bytes(50000))
    await until(lambda: jobs.execution.next_page(job) is not None)
    page = jobs.execution.next_page(job)
    jobs.execution.sending(job)
    reader = jobs.execution.open_page(page)
    assert not page.complete
    got = reader.read(0, page.size)
    changed = jobs.execution.changed(job)
    sending[0].write(bytes(50000) + END)
    await changed
    await until(lambda: page.complete)
    got += reader.read(len(got), page.size)
    reader.close()
    jobs.execution.sent(job, page, whole=True)
    assert got == bytes(100000)
    assert job.state == "Completed"


@pytest_twisted.ensureDeferred
async def test_the_job_is_stored_before_its_first_page_is_asked_for(device, device_jobs):
    sending = []
    Scanner(device, RetrieveImage=[sending.append])
    jobs = await device_jobs()
    job = jobs.submit(platen())
    await until(lambda: sending)
    assert await jobs.store.own_jobs() == [OwnJob("front-desk", job.id, "7", CREATED, client=CLIENT)]
    sending[0].answer(image(b"x"), content_type=TYPE)
    assert await jobs.fetch_all(job) == [b"x"]
    assert await jobs.store.own_jobs() == []


@pytest_twisted.ensureDeferred
async def test_the_job_is_stored_before_its_created_time_is_known(device, device_jobs):
    asked = []
    scanner = Scanner(device, GetJobElements=[asked.append],
                      RetrieveImage=[lambda sending: sending.answer(image(b"x"), content_type=TYPE)])
    jobs = await device_jobs()
    before = jobs.service.wall()
    job = jobs.submit(platen())
    await until(lambda: asked)
    [own] = await jobs.store.own_jobs()
    assert (own.scanner, own.job_id, own.created) == ("front-desk", "7", None)
    assert before <= own.answered <= jobs.service.wall()
    asked[0].answer(status_response(**scanner.status))
    await until(lambda: scanner.count("RetrieveImage"))
    assert await jobs.fetch_all(job) == [b"x"]
    await until(lambda: jobs.store.content.is_empty)


@pytest.mark.parametrize("connections", [1, 2])
@pytest_twisted.ensureDeferred
async def test_a_cancel_overtakes_the_image(device, device_jobs, connections):
    sending = []
    scanner = Scanner(device, RetrieveImage=[sending.append])
    jobs = await device_jobs(scanner={"max_connections": connections})
    job = jobs.submit(platen())
    await until(lambda: sending)
    sending[0].write(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nContent-Length: 100000\r\n\r\n" + ROOT)
    jobs.execution.cancel(job)
    await jobs.over(job)
    assert scanner.canceled == "7"
    await device.until_lost(sending[0])
    await until(lambda: not jobs.files)


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_answers_a_cancel_only_after_the_image(device, device_jobs, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.scanjobs.transfers.CANCEL_SECONDS", 0.1)
    sending, canceling = [], []
    Scanner(device, RetrieveImage=[sending.append], CancelJob=[canceling.append])
    jobs = await device_jobs()
    job = jobs.submit(platen())
    await until(lambda: sending)
    jobs.execution.cancel(job)
    await until(lambda: canceling)
    await device.until_lost(sending[0])
    assert job.phase is Phase.CANCELING
    canceling[0].answer(envelope("http://x/CancelJobResponse", "<wscn:CancelJobResponse/>"))
    await jobs.over(job)
    assert len(canceling) == 1


@pytest_twisted.ensureDeferred
async def test_no_cancel_for_a_job_that_the_scanner_has_ended(device, device_jobs):
    scanner = Scanner(device, RetrieveImage=[sends(b"one"), refuses("OperationFailed")])
    scanner.status |= {"state": "Aborted"}
    jobs = await device_jobs()
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == [b"one"]
    await jobs.over(job)
    assert (job.end.reason, scanner.count("CancelJob")) == (Reason.STOPPED_AT_DEVICE, 0)


@pytest.mark.parametrize(("fault", "status", "reason"), [
    ("OperationFailed", scanner_status("Idle"), Reason.FINISHED),
    ("OperationFailed", scanner_status("Idle", "InputTrayEmpty"), Reason.FINISHED),
    ("OperationFailed", scanner_status("Stopped", "MediaJam"), Reason.STOPPED_AT_DEVICE),
    ("OperationFailed", scanner_status("Processing"), Reason.FAILED),
    ("OperationFailed", fault("wscn:OperationFailed"), Reason.FAILED),
    ("ClientErrorNoImagesAvailable", scanner_status("Stopped", "MediaJam"), Reason.STOPPED_AT_DEVICE),
    ("ClientErrorNoImagesAvailable", fault("wscn:OperationFailed"), Reason.FINISHED)])
@pytest_twisted.ensureDeferred
async def test_the_end_of_a_feeder_at_a_scanner_without_job_status(device, device_jobs, fault, status, reason):
    scanner = Scanner(device, RetrieveImage=[sends(b"one"), refuses(fault)], GetJobElements=[refuses("InvalidArgs")],
                      GetScannerElements=[lambda asked: asked.answer(status)])
    jobs = await device_jobs()
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == [b"one"]
    await jobs.over(job)
    assert (job.end.reason, scanner.count("CancelJob")) == (reason, 0)


@pytest.mark.parametrize(("order", "status", "reason"), [
    (feeder(), scanner_status("Idle"), Reason.FEEDER_EMPTY), (feeder(), scanner_status("Processing"), Reason.BUSY),
    (feeder(), scanner_status("Idle", "LampWarming"), Reason.BUSY),
    (feeder(), scanner_status("Stopped", "CoverOpen"), Reason.BUSY), (platen(), scanner_status("Idle"), Reason.BUSY)])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_accepts_no_job_from_an_empty_feeder(device, device_jobs, order, status, reason):
    Scanner(device, CreateScanJob=[refuses("ServerErrorNotAcceptingJobs")],
            GetScannerElements=[lambda asked: asked.answer(status)])
    jobs = await device_jobs()
    job = jobs.submit(order)
    await jobs.over(job)
    assert (job.end.reason, job.end.fault) == (reason, "ServerErrorNotAcceptingJobs")


@pytest_twisted.ensureDeferred
async def test_an_unreachable_scanner(device, device_jobs):
    jobs = await device_jobs()
    await device.stop()
    job = jobs.submit(platen())
    await jobs.over(job)
    assert (job.end.reason, job.end.fault) == (Reason.UNREACHABLE, "ServerErrorTemporaryError")


@pytest.mark.parametrize(("answer", "text"), [
    (lambda asked: asked.answer(b"<html/>"), "The scanner's answer cannot be read as SOAP"),
    (lambda asked: asked.answer(envelope("http://x", "<wscn:CreateScanJobResponse/>")),
     "The scanner's answer to CreateScanJob contains no job")])
@pytest_twisted.ensureDeferred
async def test_a_create_without_a_job(device, device_jobs, answer, text):
    scanner = Scanner(device, CreateScanJob=[answer])
    jobs = await device_jobs()
    job = jobs.submit(platen(patience=60.0))
    await jobs.over(job)
    assert (job.end.reason, job.end.text, scanner.count("CreateScanJob")) == (Reason.REFUSED, text, 1)


# A large image, and a spool that cannot hold it.

@pytest_twisted.ensureDeferred
async def test_an_endless_image_is_stopped(device, device_jobs):
    sending = []
    scanner = Scanner(device, RetrieveImage=[sending.append])
    jobs = await device_jobs(limit=1 << 20)
    job = jobs.submit(platen())
    await until(lambda: sending)
    sending[0].write(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nConnection: close\r\n\r\n" + ROOT)
    for _ in range(64):
        sending[0].write(bytes(1 << 16))
    await jobs.over(job)
    assert (job.end.reason, scanner.canceled, jobs.room.used) == (Reason.TOO_LARGE, "7", 0)


@pytest_twisted.ensureDeferred
async def test_a_disk_that_cannot_be_written_to(device, device_jobs, monkeypatch):
    scanner = Scanner(device, RetrieveImage=[sends(b"one")])
    jobs = await device_jobs()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wsdgateway.storage.spool.SpoolFile.write", full)
    job = jobs.submit(feeder())
    await jobs.over(job)
    assert (job.end.reason, scanner.canceled) == (Reason.SPOOL_FAILED, "7")
    assert "No space left on device" in job.end.text


class Endless:
    """Sends an image of `size` bytes as fast as the gateway reads it, without holding more than a piece of it."""

    def __init__(self, size):
        self.left = size

    def __call__(self, asked):
        self.transport = asked.connection.transport
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nContent-Length: %d\r\n\r\n" % (
            self.left + len(ROOT + END)) + ROOT)
        self.transport.registerProducer(self, False)

    def resumeProducing(self):
        self.left -= len(PIECE)
        self.transport.write(PIECE)
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.write(END)

    def stopProducing(self):
        pass


PIECE = bytes(1 << 16)


@pytest.mark.parametrize("seconds", [0.0, 0.002])
@pytest_twisted.ensureDeferred
async def test_memory_does_not_grow_with_the_image(device, device_jobs, monkeypatch, seconds):
    write, most = SpoolFile.write, []

    def slow(self, data):
        time.sleep(seconds)  # in the writer's thread, as a slow disk
        most.append(len(data))
        write(self, data)

    monkeypatch.setattr(SpoolFile, "write", slow)
    Scanner(device, RetrieveImage=[Endless(64 << 20)])
    jobs = await device_jobs()
    tracemalloc.start()
    try:
        job = jobs.submit(platen())
        await jobs.over(job)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (job.pages[0].size, job.pages[0].complete, sum(most)) == (64 << 20, True, 64 << 20)
    assert max(most) <= MAX_PENDING + LARGE_READ
    assert peak < 5 * MAX_PENDING


# Jobs of earlier starts.

@pytest.mark.parametrize(("status", "stored", "cancels"), [
    ({}, CREATED, 1), ({"state": "Completed"}, CREATED, 0), ({"created": "2026-11-22T11:00:00Z"}, CREATED, 0),
    ({}, None, 0), ({"created": None}, CREATED, 0)])
@pytest_twisted.ensureDeferred
async def test_a_job_of_an_earlier_start_is_canceled_only_if_it_is_active(device, device_jobs, status, stored, cancels):
    scanner = Scanner(device)
    scanner.status |= status
    jobs = await device_jobs()
    own = OwnJob("front-desk", "a", "7", stored)
    await jobs.store.begin_job(own)
    jobs.own.end_leftovers([own])
    await until(lambda: jobs.store.content.is_empty)
    assert scanner.count("GetJobElements") == 1
    assert scanner.count("CancelJob") == cancels


@pytest_twisted.ensureDeferred
async def test_an_unknown_job_of_an_earlier_start_is_not_canceled(device, device_jobs):
    scanner = Scanner(device, GetJobElements=[refuses("ClientErrorJobIdNotFound")])
    jobs = await device_jobs()
    jobs.own.end_leftovers([OwnJob("front-desk", "a", "7", CREATED)])
    await until(lambda: scanner.count("GetJobElements"))
    await until(lambda: jobs.service.scanner.device.waiting == 0)
    assert scanner.count("CancelJob") == 0


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_cannot_be_asked_is_asked_again(device, device_jobs, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.scanjobs.leftovers.PAUSE_SECONDS", 0.05)
    scanner = Scanner(device, GetJobElements=[
        lambda asked: asked.abort(), lambda asked: asked.abort(),
        lambda asked: asked.answer(status_response(**scanner.status))])
    jobs = await device_jobs()
    jobs.own.end_leftovers([OwnJob("front-desk", "a", "7", CREATED)])
    await until(lambda: scanner.count("CancelJob"))
    assert scanner.canceled == "7"
