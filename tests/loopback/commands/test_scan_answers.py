"""Tests of `wsdgateway scan` with devices whose answers differ from those of the virtual scanner."""

import base64
import binascii
import io
import threading
from queue import Empty

import pikepdf
import pytest
import pytest_twisted
from PIL import Image
from twisted.internet.threads import deferToThread

from tests.loopback.clients import Ran, scanned
from tests.messages import SCAN, created_job, envelope, fault, scanner_status, status_response
from tests.scannedfiles import names_in, pages_of
from tests.waiting import until
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.calls import CANCEL_TIMEOUT, LATE_ANSWER, NOTICE
from wsdgateway.cli.scan.outcomes import ATTENTION, BUSY, FAILED, NO_PAPER, UNREACHABLE
from wsdgateway.soap.envelope import read

pytestmark = pytest.mark.usefixtures("cwd")
IMAGE = io.BytesIO()
Image.new("L", (10, 10)).save(IMAGE, "JPEG")
NO_IMAGES = fault("wscn:ClientErrorNoImagesAvailable")
BUSY_FAULT = fault("wscn:ServerErrorNotAcceptingJobs", code="Receiver")


def multipart(image, root=b"<x/>", end=b"\r\n--b--\r\n"):
    return (b"--b\r\nContent-Type: application/xop+xml\r\n\r\n" + root
            + b"\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n" + image + end)


PAGE = multipart(IMAGE.getvalue())


@pytest.fixture
def plays(device):
    """A device that gives the listed answers to each operation in turn, and the last one repeatedly.

    An answer is a message, (status line, text), (body, its type), or a multipart; None closes the connection. `bodies`
    holds the requests by operation.
    """

    def script(**answers):
        device.bodies = {}

        def handle(asked):
            message = read(asked.request.body)
            name = message.action.rpartition("/")[2]
            device.bodies.setdefault(name, []).append(asked.request.body.decode())
            listed = answers.get(name, [("404 Not Found", b"no")])
            answer = listed.pop(0) if len(listed) > 1 else listed[0]
            if answer is None:
                asked.abort()
            elif isinstance(answer, tuple) and isinstance(answer[0], bytes):
                asked.answer(answer[0], content_type=answer[1])
            elif isinstance(answer, tuple):
                asked.answer(answer[1], answer[0].encode(), b"text/plain")
            elif answer.startswith(b"--b"):
                asked.answer(answer, content_type=b'multipart/related; boundary="b"')
            else:
                asked.answer(answer)

        device.handle = handle
        return device

    return script


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_capabilities_gets_a_minimal_ticket(plays):
    device = plays(CreateScanJob=[created_job()], RetrieveImage=[PAGE])
    ran = await scanned(device.url, "out.jpg")
    assert (ran.status, ran.files) == (0, ["out.jpg"])
    assert "The scanner's capabilities are not known: " in ran.said and "; requesting the scan anyway" in ran.said
    [ticket] = device.bodies["CreateScanJob"]
    assert "Platen" in ticket and "MediaSides" not in ticket and "InputSize" not in ticket


def related(*parts, start=None, glue=b"\r\n", end=b"--"):
    """Returns a multipart answer and its type; each part is a header and its content."""
    body = b"".join((glue if number else b"") + b"--b\r\n" + head + b"\r\n\r\n" + content
                    for number, (head, content) in enumerate(parts)) + glue + b"--b" + end
    return body, b'multipart/related; type="application/xop+xml"; boundary="b"' + (
        b'; start="<%b>"' % start if start else b"")


XOP = b"Content-Type: application/xop+xml; charset=UTF-8\r\nContent-Id: <root>"
JPEG = b"Content-Type: image/jpeg\r\nContent-Id: <image>"
DATA = IMAGE.getvalue()
BASE64 = base64.encodebytes(DATA).replace(b"\n", b"\r\n")
QUOTED = binascii.b2a_qp(DATA, istext=False)
ANSWERS = {
    "last-delimiter-glued": related((XOP, b"<x/>"), (JPEG, DATA))[0].replace(b"\r\n--b--", b"--b--"),
    "all-delimiters-glued": related((XOP, b"<x/>"), (JPEG, DATA), glue=b""),
    "glued-and-a-line-behind": related((XOP, b"<x/>"), (JPEG, DATA), glue=b"", end=b"--\r\n"),
    "no-line-behind": related((XOP, b"<x/>"), (JPEG, DATA)),
    "root-behind": related((JPEG, DATA), (XOP, b"<x/>"), start=b"root"),
    "root-between": related((b"Content-Type: text/xml\r\nContent-Id: <a>", b"<a/>"), (XOP, b"<x/>"), (JPEG, DATA),
                            start=b"root"),
    "start-nowhere": related((XOP, b"<x/>"), (JPEG, DATA), start=b"nowhere"),
    "base64": related((XOP, b"<x/>"), (JPEG + b"\r\nContent-Transfer-Encoding: base64", BASE64)),
    "quoted-printable": related((XOP, b"<x/>"), (JPEG + b"\r\nContent-Transfer-Encoding: Quoted-Printable", QUOTED)),
    "root-in-base64": related(
        (XOP + b"\r\nContent-Transfer-Encoding: base64", base64.b64encode(b"<x/>")), (JPEG, DATA)),
    "in-three-parts": related((XOP, b"<x/>"), (JPEG, DATA), (JPEG, b"a thumbnail")),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("through", ["straight", "gateway"])
@pytest_twisted.ensureDeferred
async def test_multipart_bodies_in_various_forms(plays, gateway, cwd, answer, through):
    device = plays(CreateScanJob=[created_job()], RetrieveImage=[answer])
    service = await gateway(device.url, scanner={"events": "off"}) if through == "gateway" else None
    url = device.url if service is None else f"http://127.0.0.1:{service.port}/front-desk/scan"
    ran = await scanned(url, "out.jpg")
    assert (ran.status, ran.files) == (0, ["out.jpg"]), ran.error
    assert (cwd / "out.jpg").read_bytes() == DATA


@pytest.mark.parametrize(("content", "said"), [(BASE64[:-5] + b"=", "cannot be read"), (b"", "contains no image")])
@pytest_twisted.ensureDeferred
async def test_an_invalid_base64_image_leaves_no_file(plays, cwd, content, said):
    device = plays(CreateScanJob=[created_job()], CancelJob=[b"<x/>"], RetrieveImage=[
        related((XOP, b"<x/>"), (JPEG + b"\r\nContent-Transfer-Encoding: base64", content))])
    ran = await scanned(device.url, "out.jpg")
    assert (ran.status, names_in(cwd)) == (FAILED, [])
    assert said in str(ran.error)


@pytest_twisted.ensureDeferred
async def test_a_no_images_fault_in_a_root_part_with_status_200_ends_the_job(plays, cwd):
    device = plays(CreateScanJob=[created_job()], RetrieveImage=[
        related((XOP, b"<x/>"), (JPEG, DATA)), related((XOP, b"\0\r\n" + NO_IMAGES + b"\0"))])
    ran = await scanned(device.url, "out.pdf", source="adf")
    assert (ran.status, names_in(cwd)) == (0, ["out.pdf"]), ran.error


@pytest_twisted.ensureDeferred
async def test_an_address_without_a_scan_service_is_a_wrong_url(plays):
    ran = await scanned(plays().url, "out.jpg")
    assert ran.status == WRONG and "wsdgateway discover lists them" in str(ran.error)


@pytest_twisted.ensureDeferred
async def test_an_https_address_of_a_server_without_tls(plays):
    ran = await scanned(plays().url.replace("http:", "https:"), "out.jpg")
    assert ran.status == UNREACHABLE
    assert str(ran.error).endswith("if it does not use TLS, write http:// instead of https://")


@pytest_twisted.ensureDeferred
async def test_an_http_address_of_a_server_with_tls(virtual, certified):
    scanner = await virtual(certificate=str(certified.pem), key=str(certified.key))
    ran = await scanned(scanner.scan_url.replace("https:", "http:"), "out.jpg")
    assert ran.status == UNREACHABLE
    assert str(ran.error).endswith("if it uses TLS, write https:// instead of http://")


@pytest_twisted.ensureDeferred
async def test_an_address_that_has_answered_before_is_not_said_to_use_tls(plays):
    device = plays(CreateScanJob=[created_job()], RetrieveImage=[None])
    ran = await scanned(device.url, "out.jpg")
    assert str(ran.error).endswith(
        ": the connection was closed before the answer; a gateway does so when it is stopped"), ran.error


@pytest_twisted.ensureDeferred
async def test_formats_are_tried_in_turn(plays):
    device = plays(CreateScanJob=[fault("wscn:ClientErrorFormatNotSupported"), created_job()], RetrieveImage=[PAGE])
    assert (await scanned(device.url, "out.jpg")).status == 0
    assert [">jfif<" in body for body in device.bodies["CreateScanJob"]] == [True, False]
    assert ">exif<" in device.bodies["CreateScanJob"][1]


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_refuses_an_unlimited_number_of_images_is_asked_for_100(plays):
    device = plays(CreateScanJob=[fault("wscn:InvalidArgs"), created_job()], RetrieveImage=[PAGE, NO_IMAGES])
    assert (await scanned(device.url, "out.pdf", source="adf")).status == 0
    assert "<wscn:ImagesToTransfer>100<" in device.bodies["CreateScanJob"][1]


@pytest.mark.parametrize(("answers", "status", "cancelled"), [
    ({"RetrieveImage": [NO_IMAGES]}, NO_PAPER, 1),
    ({"RetrieveImage": [PAGE, PAGE, ("404 Not Found", b"")]}, 0, 0),
    ({"RetrieveImage": [PAGE, ("500 Internal Server Error", b"")], "GetJobElements": [
        status_response("1", "Completed")]}, 0, 0),
    ({"RetrieveImage": [PAGE, ("500 Internal Server Error", b"")]}, FAILED, 1),
    ({"RetrieveImage": [PAGE, ("500 Internal Server Error", b"")], "GetJobElements": [
        status_response("1", "Completed", 2)]}, FAILED, 0),
    ({"CreateScanJob": [fault("wscn:Calibrating", code="Receiver"), fault("wscn:LampWarming", code="Receiver"),
                        created_job()], "RetrieveImage": [PAGE, NO_IMAGES]}, 0, 0),
    ({"RetrieveImage": [PAGE, NO_IMAGES], "GetJobElements": [
        status_response("1", "Aborted", reasons=["ScannerStopped"])]}, FAILED, 0),
    ({"RetrieveImage": [BUSY_FAULT, PAGE, BUSY_FAULT, NO_IMAGES]}, 0, 0),
    ({"RetrieveImage": [fault("wscn:ClientErrorJobIdNotFound")]}, FAILED, 0),
    ({"RetrieveImage": [None]}, FAILED, 1),
    ({"RetrieveImage": [multipart(IMAGE.getvalue(), end=b"")]}, FAILED, 1),
    ({"RetrieveImage": [multipart(b"")]}, FAILED, 1),
    ({"RetrieveImage": [b"--b\r\n\r\n" + NO_IMAGES + b"\r\n--b--\r\n"]}, NO_PAPER, 1),
    ({"CreateScanJob": [fault("wscn:ServerErrorNotAcceptingJobs", code="Receiver", reason="Paper jam in tray 1")]},
     ATTENTION, 0),
    ({"RetrieveImage": [fault("wscn:OperationFailed", code="Receiver", reason="CoverOpen")]}, ATTENTION, 1),
    ({"RetrieveImage": [PAGE, NO_IMAGES], "GetJobElements": [
        status_response("1", "Aborted", reasons=["ScannerStopped", "MediaJam"])]}, ATTENTION, 0),
    ({"CreateScanJob": [BUSY_FAULT]}, BUSY, 0), ({"CreateScanJob": [("503 Busy", b"")]}, BUSY, 0),
    ({"CreateScanJob": [fault("wscn:InvalidArgs")]}, FAILED, 0), ({"CreateScanJob": [envelope("x")]}, FAILED, 0),
    ({"CreateScanJob": [("200 OK", b"hello")]}, WRONG, 0), ({"CreateScanJob": [None]}, UNREACHABLE, 0),
    ({"GetScannerElements": [None]}, UNREACHABLE, 0), ({"GetScannerElements": [BUSY_FAULT]}, BUSY, 0)])
@pytest_twisted.ensureDeferred
async def test_the_exit_status_of_a_feeder_job(plays, cwd, answers, status, cancelled):
    device = plays(**{"CreateScanJob": [created_job()], **{name: list(given) for name, given in answers.items()}})
    ran = await scanned(device.url, "out.pdf", source="adf", wait=3)
    assert ran.status == status, ran.error
    assert len(device.bodies.get("CancelJob", [])) == cancelled
    pages = len([answer for answer in answers.get("RetrieveImage", ()) if answer == PAGE])
    assert names_in(cwd) == (["out.pdf"] if pages else [])
    if pages:
        assert pages_of("out.pdf") == pages


@pytest.mark.parametrize(("state", "status"), [("Stopped", ATTENTION), ("Processing", 0)])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_does_not_answer_because_paper_is_jammed(plays, cwd, state, status):
    device = plays(GetScannerElements=[scanner_status(state, "CoverOpen")], CreateScanJob=[created_job()],
                   CancelJob=[envelope("x")])
    play, held, waiting = device.handle, [], threading.Event()

    def handle(asked):
        if read(asked.request.body).action.endswith("/RetrieveImage"):
            held.append(asked)
            waiting.set()
        else:
            play(asked)

    def get(answers, seconds):
        while True:
            try:
                return answers.get(timeout=0.01)
            except Empty:
                if waiting.is_set() and seconds == NOTICE:  # as if this time was over
                    waiting.clear()
                    raise

    ran = Ran()
    ran.get, device.handle = get, handle
    running = deferToThread(ran, device.url, "out.jpg")
    await until(lambda: len(device.bodies.get("GetScannerElements", ())) == 2)
    if not status:
        held[0].answer(PAGE, content_type=b'multipart/related; boundary="b"')
    await running
    assert (ran.status, names_in(cwd)) == (status, [] if status else ["out.jpg"])
    assert len(device.bodies.get("CancelJob", ())) == bool(status)
    assert ran.said.splitlines()[-1 if status else -2].startswith("Waiting for page 1 from ")


@pytest_twisted.ensureDeferred
async def test_an_empty_tray_explains_any_refusal_of_the_feeder(plays):
    tray = scanner_status("Idle", "InputTrayEmpty")
    for refusal in (BUSY_FAULT, fault("wscn:OperationFailed", code="Receiver")):
        device = plays(GetScannerElements=[tray], CreateScanJob=[refusal])
        ran = await scanned(device.url, "out.pdf", source="adf")
        assert (ran.status, ran.slept) == (NO_PAPER, 0)
        assert (await scanned(device.url, "out.pdf")).status != NO_PAPER


@pytest.mark.parametrize(("state", "condition", "refusal", "status"), [
    ("Idle", "InputTrayEmpty", "OperationFailed", 0), ("Idle", "", "OperationFailed", 0),
    ("Processing", "", "OperationFailed", FAILED), ("Stopped", "MediaJam", "OperationFailed", ATTENTION),
    ("Idle", "", "ServerErrorInternalError", FAILED)])
@pytest_twisted.ensureDeferred
async def test_the_end_of_a_feeder_at_a_scanner_without_job_status(plays, state, condition, refusal, status):
    device = plays(GetScannerElements=[scanner_status(state, condition)], CreateScanJob=[created_job()],
                   RetrieveImage=[PAGE, fault(f"wscn:{refusal}", code="Receiver")])
    ran = await scanned(device.url, "out.pdf", source="adf")
    assert (ran.status, ran.files) == (status, ["out.pdf"])


@pytest.mark.parametrize(("state", "condition", "status", "slept"), [
    ("Idle", "", NO_PAPER, 5), ("Processing", "", BUSY, 30), ("Idle", "LampWarming", BUSY, 30)])
@pytest_twisted.ensureDeferred
async def test_an_idle_scanner_that_accepts_no_job_from_its_feeder_has_an_empty_one(
        plays, state, condition, status, slept):
    device = plays(GetScannerElements=[scanner_status(state, condition)], CreateScanJob=[BUSY_FAULT])
    ran = await scanned(device.url, "out.pdf", source="adf")
    assert (ran.status, ran.slept) == (status, slept)
    assert (await scanned(device.url, "out.pdf")).status == BUSY
    assert (await scanned(device.url, "out.pdf", source="adf", wait=0)).status == status


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_has_just_become_idle_may_refuse_once(plays):
    device = plays(GetScannerElements=[scanner_status("Idle")], CreateScanJob=[BUSY_FAULT] * 3 + [created_job()],
                   RetrieveImage=[PAGE, NO_IMAGES])
    assert (await scanned(device.url, "out.pdf", source="adf")).status == 0


@pytest_twisted.ensureDeferred
async def test_a_pdf_that_cannot_be_made_does_not_hide_the_first_failure(plays, cwd):
    device = plays(CreateScanJob=[created_job()], RetrieveImage=[multipart(b"no image"), NO_IMAGES],
                   GetJobElements=[status_response("1", "Aborted", reasons=["JobCanceledAtDevice"])])
    ran = await scanned(device.url, "out.pdf", source="adf")
    assert (ran.status, str(ran.error)) == (FAILED, "The scanner ended the job: canceled at the scanner")
    assert "Creating the PDF failed: " in ran.said
    assert ran.files == names_in(cwd) == ["out-001.image"]


@pytest_twisted.ensureDeferred
async def test_changes_by_the_scanner_are_shown_without_control_characters(plays):
    final = (b"</wscn:JobId><wscn:JobToken>t</wscn:JobToken><wscn:DocumentFinalParameters>"
             b"<wscn:Format>exif[bold]\xc2\x9b1m</wscn:Format><wscn:MediaSides><wscn:MediaFront>"
             b"<wscn:Resolution><wscn:Width>200</wscn:Width>"
             b"</wscn:Resolution></wscn:MediaFront></wscn:MediaSides></wscn:DocumentFinalParameters>")
    device = plays(CreateScanJob=[created_job().replace(b"</wscn:JobId>", final)], RetrieveImage=[PAGE])
    ran = await scanned(device.url, "out.pdf", resolution=300)
    assert ran.status == 0, ran.error
    assert "uses resolution 200 instead of 300" in ran.said
    assert "uses format exif[bold]�1m instead of jfif" in ran.said
    with pikepdf.open("out.pdf") as pdf:
        assert float(pdf.pages[0].MediaBox[2]) == pytest.approx(10 * 72 / 200, abs=0.01)


@pytest_twisted.ensureDeferred
async def test_an_image_of_another_format_is_kept_but_fails(plays, cwd):
    device = plays(CreateScanJob=[created_job()], RetrieveImage=[PAGE])
    ran = await scanned(device.url, "out.png")
    assert (ran.status, names_in(cwd)) == (FAILED, ["out.jpg"])


@pytest_twisted.ensureDeferred
async def test_a_job_interrupted_before_its_answer_is_cancelled_after_it(device):
    ran, waits = Ran(), []

    def get(answers, seconds):
        waits.append(seconds)
        if waits == [NOTICE, NOTICE]:  # for the capabilities, then for the job
            raise KeyboardInterrupt
        return answers.get(timeout=60)

    ran.get = get
    running = deferToThread(ran, device.url, "out.pdf")
    for answer in (envelope("x"), created_job("7"), envelope("x")):
        asked = await device.next()
        asked.answer(answer)
    await running
    assert (ran.status, waits) == (130, [NOTICE, NOTICE, LATE_ANSWER, CANCEL_TIMEOUT])
    assert b"<wscn:JobId>7<" in asked.request.body
    assert read(asked.request.body).action == f"{SCAN}/CancelJob"
    await until(lambda: not device.factory.open)
