"""Folders of captures come with bug reports, from anybody."""

import os

import pytest

from tests.messages import SCAN, create_scan_job, created_job, envelope, fault, job_request
from wsdgateway.exchangelog.folder import CaptureError, CaptureFolder, capture_name, read_folder
from wsdgateway.exchangelog.har import write_har
from wsdgateway.exchangelog.images import LeftOut, read_note
from wsdgateway.exchangelog.tape import CLIENT, DEVICE, EVENT, Message
from wsdgateway.replay.pages import make_page
from wsdgateway.replay.recording import read_recording
from wsdgateway.replay.script import Script
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.namespaces import WSE

IMAGE = LeftOut(5000, "0" * 64, "JPEG", 40, 30, 150)


def http(body, first=b"POST /scan HTTP/1.1", host=b"scanner"):
    return first + b"\r\nHost: " + host + b"\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % (
        len(body)) + body


class Folder:
    def __init__(self, path):
        self.path, self.number = path, 0

    def add(self, operation, request, response=b"", *, side=DEVICE, scanner="s", took=0.01):
        self.number += 1
        name = capture_name(1795430051.0 + self.number, self.number, scanner, operation, took)
        CaptureFolder(self.path, 1 << 30).finish(str(self.number), name, [
            Message(side, True, request), Message(side, False, response)])
        return self

    def read(self, scanner=None):
        return read_recording(read_folder(self.path), scanner)

    def har(self):
        return "".join(write_har(read_folder(self.path)))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def job(folder, job_id, source, form, status=b"HTTP/1.1 200 OK"):
    request = create_scan_job().replace(b"Platen", source).replace(
        b"</wscn:InputSource>", b"</wscn:InputSource><wscn:Format>%s</wscn:Format>" % form)
    answer = created_job(job_id) if b"200" in status else fault("wscn:ServerErrorNotAcceptingJobs")
    return folder.add("CreateScanJob", http(request), http(answer, status))


@pytest.mark.parametrize(("first", "host"), [
    (b"POST //[ HTTP/1.1", b"h"), (b"POST / HTTP/1.1", b"["), (b"POST", b""), (b"", b""), (b"\xff\xfe \xff", b"\xff"),
    (b"POST http://[ HTTP/1.1", b"a:b:c")])
def test_odd_heads_end_nothing(folder, first, host):
    folder.add("GetScannerElements", http(envelope(f"{SCAN}/GetScannerElements"), first, host),
               http(envelope(f"{SCAN}/GetScannerElementsResponse"), b"HTTP/1.1 200 OK"))
    assert folder.har().startswith('{"log"')
    assert [one.operation for one in folder.read().exchanges] == ["GetScannerElements"]


def test_what_is_no_plain_file_is_not_read(folder, tmp_path):
    folder.add("Get", b"x")
    name = capture_name(1795430099.0, 99, "s", "Get", 0.0)
    (tmp_path / f"{name}.device.request.http").symlink_to("/etc/passwd")
    with pytest.raises(CaptureError):
        folder.har()
    (tmp_path / f"{name}.device.request.http").unlink()
    os.mkfifo(tmp_path / f"{name}.device.request.http")
    with pytest.raises(CaptureError, match="plain"):
        folder.har()


@pytest.mark.parametrize("note", [
    IMAGE.note().replace(b"JPEG", b"FOO"), IMAGE.note().replace(b"40x30", b"40x100000000"),
    IMAGE.note().replace(b"5000", b"9" * 5000), IMAGE.note().replace(b"SHA-256 0", b"SHA-256 g"), b""])
def test_notes_that_are_none(note):
    assert read_note(note) is None


@pytest.mark.parametrize("left_out", [
    IMAGE, LeftOut(10, "0" * 64), LeftOut(10**12 - 1, "0" * 64), LeftOut(100, "0" * 64, "BMP", 99999, 99999, 99999),
    LeftOut(100, "0" * 64, "PNG", 1, 1), LeftOut(100, "0" * 64, "TIFF", 10, 10, 1)])
def test_pages_have_bounds(left_out):
    page = make_page(left_out, "image/jpeg")
    assert 0 < len(page) <= 1 << 27
    assert left_out.length > 10000 or len(page) >= min(left_out.length, 5000)


def test_the_job_that_was_asked_for_is_played(folder):
    job(folder, "1", b"ADF", b"jfif")
    job(folder, "2", b"Platen", b"png")
    script = Script(folder.read())
    assert script.answer("CreateScanJob", None, ("Platen", "png")).exchange.created == "2"
    assert script.answer("CreateScanJob", None, ("Platen", "png")).exchange.created == "1"
    again = script.answer("CreateScanJob", None, ("Platen", "png"))
    assert again.exchange.created == "2" and again.jobs == {"2": "3"}


def test_busy_answers_come_in_their_place(folder):
    job(folder, "", b"ADF", b"jfif", b"HTTP/1.1 500 Internal Server Error")
    job(folder, "4", b"ADF", b"jfif")
    script = Script(folder.read())
    assert script.answer("CreateScanJob", None, ("ADF", "jfif")).exchange.fault == "ServerErrorNotAcceptingJobs"
    assert script.answer("CreateScanJob", None, ("ADF", "jfif")).exchange.created == "4"


def test_images_end_and_other_answers_are_repeated(folder):
    job(folder, "1", b"ADF", b"jfif")
    folder.add("RetrieveImage", http(job_request("RetrieveImage", "1")), b"HTTP/1.1 200 OK\r\n\r\nimage")
    folder.add("CancelJob", http(job_request("CancelJob", "1")), http(envelope(f"{SCAN}/CancelJobResponse"),
                                                                     b"HTTP/1.1 200 OK"))
    script = Script(folder.read())
    script.answer("CreateScanJob", None, ("ADF", "jfif"))
    assert script.answer("RetrieveImage", "1", ()).exchange.answer().content == b"image"
    with pytest.raises(Refused, match="no more images"):
        script.answer("RetrieveImage", "1", ())
    first = script.answer("CancelJob", "1", ()).exchange
    assert script.answer("CancelJob", "1", ()).exchange is first
    with pytest.raises(Refused, match="no GetJobElements for the job 1"):
        script.answer("GetJobElements", "1", ("JobStatus",))
    with pytest.raises(Refused):
        script.answer("CancelJob", "nobody's", ())


def test_events_follow_their_requests(folder):
    folder.add("Subscribe", http(envelope(f"{WSE}/Subscribe")), http(envelope(f"{WSE}/SubscribeResponse"),
                                                                     b"HTTP/1.1 200 OK"))
    job(folder, "1", b"ADF", b"jfif")
    from tests.messages import status_event
    folder.add("JobStatusEvent", http(status_event("1")), side=EVENT)
    folder.add("ScannerStatusSummaryEvent", http(envelope(f"{SCAN}/ScannerStatusSummaryEvent", (
        "<wscn:ScannerStatusSummaryEvent/>"))), side=EVENT)
    script = Script(folder.read())
    alone, = script.without_anchor()
    assert (alone.name, alone.delay) == ("ScannerStatusSummaryEvent", pytest.approx(3.0))
    event, = script.answer("CreateScanJob", None, ("ADF", "jfif")).events
    assert (event.name, event.delay) == ("JobStatusEvent", pytest.approx(1.0))


def test_which_scanner(folder):
    job(folder, "1", b"ADF", b"jfif")
    folder.add("Get", http(envelope("x")), scanner="other")
    folder.add("other", b"POST / HTTP/1.1\r\n\r\n", side=CLIENT, scanner=None)
    with pytest.raises(CaptureError, match="choose one with --scanner: other, s"):
        folder.read()
    with pytest.raises(CaptureError, match="nothing of the scanner x"):
        folder.read("x")
    assert folder.read("s").scanner == "s"
