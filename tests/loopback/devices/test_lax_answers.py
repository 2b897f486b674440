"""Scanners with careless answers: bytes that are passed on, bytes that are only read, and bytes withheld from clients.

RFC 9112 sections 5.1 and 6.3; RFC 2046 section 5.1; RFC 7303 section 3.
"""

import json

import pytest
import pytest_twisted
from twisted.logger import capturedLogs

from tests.loopback.gateways import sample
from tests.messages import (
    SCAN,
    create_scan_job,
    created_job,
    envelope,
    fault,
    get_job_elements,
    get_scanner_elements,
    job_request,
    scanner_elements,
    status_response,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSDP, WSE, WSX, WXF

OFF = {"events": "off"}
PATH = "/front-desk/scan"
SOAP = b"Content-Type: application/soap+xml\r\n"
IMAGE = job_request("RetrieveImage")
ELEMENTS = get_scanner_elements("ScannerDescription")
ASKED = {"forwarded": envelope(f"{SCAN}/ValidateScanTicket", "<wscn:ValidateScanTicketRequest/>"),
         "unknown": envelope("urn:vendor/Calibrate", "<x/>"), "shared": ELEMENTS, "learnt from": get_job_elements("1"),
         "a job": create_scan_job(), "an image": IMAGE, "urgent": job_request("CancelJob")}
NO_IMAGES = fault("wscn:ClientErrorNoImagesAvailable")
MTOM = b'multipart/related; type="application/xop+xml"; boundary="b"; start="<r>"'
ROOT = b"--b\r\nContent-Type: application/xop+xml\r\nContent-Id: <r>\r\n\r\n"
JPEG = b"\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff" + bytes(1000)


def outcomes(service, operation):
    """Returns the number of requests of an operation by outcome."""
    found = {outcome: sample(service, "wsdgateway_device_requests_total", operation=operation, outcome=outcome)
             for outcome in ("ok", "fault", "error")}
    return {outcome: count for outcome, count in found.items() if count}


@pytest.mark.parametrize("lenient", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_blank_before_the_colon_of_a_field_is_removed(gateway, device, lenient):
    service = await gateway(device.url, scanner={**OFF, "lenient": lenient})
    for body in ASKED.values():
        device.handle = lambda asked: asked.write(
            b"HTTP/1.1 200 OK\r\nServer : x\r\nContent-Type\t: application/soap+xml\r\nContent-Length : 4\r\n\r\n<a/>")
        client = await connect(service.port)
        client.send(post(PATH, body))
        await client.until(lambda data: data.endswith(b"<a/>"))
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nServer: x\r\n" in client.received and b"\r\nContent-Type: application/soap+xml" in client.received
        assert b" :" not in client.received.partition(b"\r\n\r\n")[0]
        client.transport.abortConnection()
        await client.end()


LAX = {
    "two equal lengths": b"Content-Length: 4\r\nContent-Length: 4\r\n\r\n<a/>",
    "a list of equal lengths": b"Content-Length: 4, 4\r\n\r\n<a/>",
    "identity": b"Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n<a/>",
    "identity until it closes": b"Transfer-Encoding: identity\r\n\r\n<a/>",
    "no line break at the end": b"Transfer-Encoding: chunked\r\n\r\n4\r\n<a/>\r\n0\r\n",
    "no line break in the last chunk": b"Transfer-Encoding: chunked\r\n\r\n4\r\n<a/>\r\n0",
}


@pytest.mark.parametrize("framing", LAX.values(), ids=LAX)
@pytest_twisted.ensureDeferred
async def test_framing_that_lenient_accepts(gateway, device, framing):
    service = await gateway(device.url, scanner={**OFF, "lenient": True, "max_connections": 1})
    strict = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    for body in ASKED.values():
        device.handle = lambda asked: (asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + framing),
                                       asked.close())
        head, answer = await ask(service.port, PATH, body)
        assert (head.status, answer) == (200, b"<a/>")
        head, answer = await ask(strict.port, PATH, body)
        assert (head.status, fault_of(read(answer))) == (500, "ServerErrorInternalError")


@pytest_twisted.ensureDeferred
async def test_a_last_chunk_without_its_line_break_on_a_connection_that_stays_open(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "lenient": True, "max_connections": 1})
    for body in ASKED.values():
        device.handle = lambda asked: asked.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<a/>\r\n0\r\n")
        head, answer = await ask(service.port, PATH, body)
        assert (head.status, answer) == (200, b"<a/>")


TYPED = {
    "plain": b"<!DOCTYPE a><a/>",
    "after a declaration": b"<?xml version='1.0' encoding='utf-8'?>\n<!DOCTYPE a [\n]><a/>",
    "around a message": b"<!DOCTYPE s [<!ENTITY e 'x'>]>" + status_response("1", "Completed", 1).partition(b"?>")[2],
    "utf-16": "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a><a/>".encode("utf-16"),
    "utf-16 without a mark": "<!DOCTYPE a><a/>".encode("utf-16-be"), "after nulls": b"\0\r\n\0<!DOCTYPE a><a/>",
    "ebcdic": "<?xml version='1.0' encoding='cp037'?><!DOCTYPE a><a/>".encode("cp037"),
    "utf-7": b"<?xml version='1.0' encoding='utf-7'?>+ADwAIQ-DOCTYPE a+AD4-<a/>",
}


@pytest.mark.parametrize("answer", TYPED.values(), ids=TYPED)
@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error"])
@pytest_twisted.ensureDeferred
async def test_a_document_type_is_not_passed_on(gateway, device, answer, status):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(answer, status)
    for body in ASKED.values():
        head, answered = await ask(service.port, PATH, body)
        assert (head.status, fault_of(read(answered))) == (500, "ServerErrorInternalError")
        assert read(answered).relates_to == read(body).message_id
        assert b"DOCTYPE" not in answered
    assert outcomes(service, "GetJobElements") == {"error": 1}


@pytest_twisted.ensureDeferred
async def test_a_document_type_in_metadata_is_not_passed_on(gateway, device):
    service = await gateway(None, scanner={"device": device.url, "events": "off"})
    device.handle = lambda asked: asked.answer(
        b"<!DOCTYPE a>" + envelope(f"{WXF}/GetResponse", "<x/>").partition(b"?>")[2])
    head, answered = await ask(service.port, "/front-desk", envelope(f"{WXF}/Get"))
    assert (head.status, fault_of(read(answered))) == (500, "ServerErrorInternalError")


@pytest.mark.parametrize(("status", "answer", "content_type"), [
    (b"404 Not Found", b"<!DOCTYPE html>\n<html><p>No.</html>", b"text/html"),
    (b"503 Busy", b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html></html>', b"text/html; charset=utf-8"),
    (b"200 OK", b"<!doctype html><html></html>", b"text/html"),
    (b"200 OK", b"<a><![CDATA[<!DOCTYPE a>]]></a>", b"application/soap+xml")])
@pytest.mark.parametrize("body", ASKED.values(), ids=ASKED)
@pytest_twisted.ensureDeferred
async def test_a_web_page_is_passed_on(gateway, device, status, answer, content_type, body):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(answer, status, content_type)
    head, answered = await ask(service.port, PATH, body)
    assert (head.status, answered) == (int(status[:3]), answer)


AROUND = [(b"", b"\0"), (b"\r\n\r\n", b"\r\n"), (b"\xef\xbb\xbf", b"\0\0"),
          (b"\0 \xef\xbb\xbf\n", b"\xef\xbb\xbf\0\r\n")]


@pytest.mark.parametrize(("before", "after"), AROUND)
@pytest_twisted.ensureDeferred
async def test_bytes_around_an_answer_are_passed_on_and_ignored_when_reading(gateway, device, before, after):
    service = await gateway(device.url, scanner=OFF)
    done = before + status_response("1", "Completed", 1) + after
    device.handle = lambda asked: asked.answer(done)
    assert (await ask(service.port, PATH, get_job_elements("1")))[1] == done
    answered = (await ask(service.port, PATH, get_job_elements("1")))[1]
    assert b">Completed<" in answered and len(device.requests) == 1
    elements = before + scanner_elements("ScannerDescription") + after
    device.handle = lambda asked: asked.answer(elements)
    for number in (1, 2):
        answer = (await ask(service.port, PATH, get_scanner_elements(
            "ScannerDescription", message_id=f"urn:uuid:{number}")))[1]
        assert answer.startswith(before) and answer.endswith(after) and read(answer).action
    assert len(device.requests) == 2
    device.handle = lambda asked: asked.answer(before + NO_IMAGES + after)
    assert (await ask(service.port, PATH, IMAGE))[1] == before + NO_IMAGES + after
    assert outcomes(service, "RetrieveImage") == {"fault": 1}


@pytest_twisted.ensureDeferred
async def test_the_charset_of_the_content_type_overrides_the_declaration(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    done = status_response("1", "Completed", 1).replace(b'"utf-8"', b'"utf-16"')
    device.handle = lambda asked: asked.answer(done, content_type=b"application/soap+xml; charset=utf-8")
    assert (await ask(service.port, PATH, get_job_elements("1")))[1] == done
    assert b">Completed<" in (await ask(service.port, PATH, get_job_elements("1")))[1]
    assert len(device.requests) == 1


@pytest.mark.parametrize(("before", "after"), AROUND)
@pytest.mark.parametrize("to", ["http://gateway.test:5357/front-desk/scan", "urn:uuid:somebody"])
@pytest_twisted.ensureDeferred
async def test_bytes_around_a_request_are_not_sent_to_the_scanner(gateway, device, before, after, to):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(created_job())
    request = create_scan_job(to=to)
    head, _ = await ask(service.port, PATH, before + request + after)
    assert head.status == 200
    [asked] = device.requests
    sent = asked.request.body
    assert sent.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml") and sent.rstrip().endswith(b"</soap:Envelope>")
    assert read(sent).message_id == read(request).message_id


@pytest_twisted.ensureDeferred
async def test_names_that_are_not_escaped_or_not_in_the_encoding_of_the_answer(gateway, device):
    """The bytes are passed on; the gateway reads them, and its own metadata are UTF-8."""
    service = await gateway(None, scanner={"device": device.url, **OFF})
    elements = scanner_elements("ScannerDescription", note="B\u00fcro").replace("B\u00fcro".encode(), b"B\xfcro")
    description = envelope(f"{WXF}/GetResponse", (
        f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:ThisDevice><d:FriendlyName>B\u00fcro</d:FriendlyName>'
        "</d:ThisDevice><d:Relationship><d:Hosted><wsa:EndpointReference><wsa:Address>"
        f"{device.url}</wsa:Address></wsa:EndpointReference><d:Types>wscn:ScannerServiceType</d:Types></d:Hosted>"
        "</d:Relationship></m:Metadata>")).replace("B\u00fcro".encode(), b"B\xfcro R&D").replace(
            b"<d:ThisDevice>", b"<d:ThisDevice><dn:Color>1</dn:Color>")
    device.handle = lambda asked: asked.answer(
        description if read(asked.request.body).action == f"{WXF}/Get" else elements)
    await until(lambda: service.scanner.bridge.device)
    head, answer = await ask(service.port, "/front-desk", envelope(f"{WXF}/Get"))
    assert (head.status, read(answer).body.findtext(f".//{{{WSDP}}}FriendlyName")) == (200, "B\u00fcro R&D")
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, b">B\xfcro<" in answer) == (200, True)
    refused = fault("wscn:ClientErrorNoImagesAvailable", reason="F\u00e4cher leer").replace("\u00e4".encode(), b"\xe4")
    device.handle = lambda asked: asked.answer(refused)
    assert (await ask(service.port, PATH, IMAGE))[1] == refused
    assert outcomes(service, "RetrieveImage") == {"fault": 1}


# Faults with status 200.

MULTIPART_FAULT = ROOT + NO_IMAGES + b"\r\n--b--\r\n"


@pytest.mark.parametrize(("answer", "content_type"), [
    (NO_IMAGES, b"application/soap+xml"), (NO_IMAGES, b"application/xml"), (NO_IMAGES, b"text/xml"), (NO_IMAGES, b""),
    (MULTIPART_FAULT, MTOM), (NO_IMAGES.decode().replace("utf-8", "utf-16").encode("utf-16"), b"application/soap+xml")])
@pytest.mark.parametrize("status", [b"200 OK", b"202 Accepted", b"500 Internal Server Error"])
@pytest_twisted.ensureDeferred
async def test_a_fault_instead_of_an_image_ends_the_job_with_any_status(gateway, device, tmp_path, answer, content_type,
                                                                    status):
    service = await gateway(device.url, scanner=OFF, limits={"client_jobs": 1, "unlimited": []},
                            exchange_log={"path": str(tmp_path / "log.jsonl")})
    device.handle = lambda asked: asked.answer(created_job("7"))
    assert (await ask(service.port, PATH, create_scan_job("urn:uuid:first")))[0].status == 200
    assert (await ask(service.port, PATH, create_scan_job("urn:uuid:second")))[0].status == 500
    device.handle = lambda asked: asked.answer(answer, status, content_type)
    head, answered = await ask(service.port, PATH, job_request("RetrieveImage", "7"))
    assert (head.status, answered) == (int(status[:3]), answer)
    assert outcomes(service, "RetrieveImage") == {"fault": 1}
    device.handle = lambda asked: asked.answer(created_job("8"))
    assert (await ask(service.port, PATH, create_scan_job("urn:uuid:third")))[0].status == 200
    await service.stopService()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["fault"] for line in lines if line["operation"] == "RetrieveImage"] == ["ClientErrorNoImagesAvailable"]


@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error"])
@pytest_twisted.ensureDeferred
async def test_a_fault_counts_as_a_fault_with_any_status(gateway, device, status):
    service = await gateway(device.url, scanner=OFF)
    refused = fault("wscn:ServerErrorNotAcceptingJobs", code="Receiver")
    device.handle = lambda asked: asked.answer(refused, status)
    for _ in range(2):  # nothing is cached, including for a repeated CreateScanJob
        for body in ASKED.values():
            head, answered = await ask(service.port, PATH, body)
            assert (head.status, answered) == (int(status[:3]), refused)
    for operation in ("ValidateScanTicket", "other", "GetScannerElements", "CreateScanJob", "RetrieveImage",
                      "CancelJob"):
        assert outcomes(service, operation) == {"fault": 2}
    assert outcomes(service, "GetJobElements").keys() == {"fault"}


@pytest_twisted.ensureDeferred
async def test_a_cancel_job_refused_with_status_200_cancels_nothing(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(status_response("1", "Processing", 0))
    await ask(service.port, PATH, get_job_elements("1"))
    device.handle = lambda asked: asked.answer(fault("wscn:OperationFailed"))
    await ask(service.port, PATH, job_request("CancelJob", "1"))
    device.handle = lambda asked: asked.answer(status_response("1", "Processing", 1))
    assert b">Processing<" in (await ask(service.port, PATH, get_job_elements("1")))[1]
    assert service.scanner.bridge.table.get("1").status.state == "Processing"


@pytest_twisted.ensureDeferred
async def test_a_subscription_that_is_refused_with_status_200_counts_as_a_fault(gateway, device):
    device.handle = lambda asked: asked.answer(fault("wse:EventSourceUnableToProcess"))
    service = await gateway(device.url)
    await until(lambda: outcomes(service, "Subscribe"))
    assert outcomes(service, "Subscribe").keys() == {"fault"}
    assert read(device.requests[0].request.body).action == f"{WSE}/Subscribe"


# Multipart bodies.

@pytest.mark.parametrize("end", [b"\r\n--b--", b"\r\n--b--\r\n", b"--b--", b"--b--\r\n"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest_twisted.ensureDeferred
async def test_an_image_that_ends_without_line_breaks_is_complete(gateway, device, end, framing):
    service = await gateway(device.url, scanner=OFF)
    body = ROOT + b"<a/>" + JPEG + end
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\n"
    raw = {"length": head + b"Content-Length: %d\r\n\r\n" % len(body) + body, "close": head + b"\r\n" + body,
           "chunked": head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"}[framing]
    device.handle = lambda asked: (asked.write(raw), asked.close())
    head, answer = await ask(service.port, PATH, IMAGE)
    assert (head.status, answer) == (200, body)
    assert outcomes(service, "RetrieveImage") == {"ok": 1}
    assert sample(service, "wsdgateway_image_bytes_total") == 1003


@pytest.mark.parametrize("end", [b"", b"\r\n--b", b"\r\n--b-", b"\r\n--c--\r\n", b"--b--x", b"\r\n--b\r\nA: b"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest_twisted.ensureDeferred
async def test_an_image_without_a_closing_delimiter_counts_as_an_error(gateway, device, end, framing):
    service = await gateway(device.url, scanner=OFF)
    body = ROOT + b"<a/>" + JPEG + end
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\n"
    raw = {"length": head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
           "chunked": head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"}[framing]
    device.handle = lambda asked: asked.write(raw)
    with capturedLogs() as events:
        head, answer = await ask(service.port, PATH, IMAGE)
    assert (head.status, answer) == (200, body)
    assert outcomes(service, "RetrieveImage") == {"error": 1}
    [warning] = [event for event in events if event.get("operation") == "RetrieveImage" and "error" in event]
    assert "closing delimiter" in warning["error"]


@pytest_twisted.ensureDeferred
async def test_the_head_is_passed_on_before_the_body(gateway, device):
    """Some scanners send the head when they begin to scan, and clients have a time limit for the first bytes."""
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, IMAGE))
    asked = await device.next()
    asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\nContent-Length: 1000000\r\n\r\n")
    await client.until(lambda data: data.endswith(b"\r\n\r\n"))
    asked.write(ROOT + b"<!DOCTYPE a><a/>")
    assert (await client.end()).endswith(b"\r\n\r\n")
    await device.until_lost(asked)
    assert outcomes(service, "RetrieveImage") == {"error": 1}
