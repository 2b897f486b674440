"""Hostile answers of a scanner: manipulated multipart bodies pass byte for byte, or the answer is aborted.

RFC 2046, section 5.1. Nothing is learnt from an image, and from other answers only the status of the requested job.
"""

import base64
import re

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import DONE, EVENTS, FOREIGN_TO, SCAN_PATH
from tests.messages import (
    SCAN,
    created_job,
    envelope,
    get_job_elements,
    job_elements,
    job_request,
    job_status,
    status_event,
)
from tests.peers import connect, post
from tests.waiting import until
from wsdgateway.mtom.multipart import MAX_BOUNDARY, MAX_PART_HEAD
from wsdgateway.soap.parsing import MAX_DEPTH

SOAP_PART = b"Content-Type: application/xop+xml\r\nContent-Id: <s>\r\n\r\n" + envelope(
    f"{SCAN}/RetrieveImageResponse", "<wscn:RetrieveImageResponse/>"
)
IMAGE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
PART = b"Content-Type: image/jpeg\r\nContent-Id: <i>\r\nContent-Transfer-Encoding: binary\r\n\r\n" + IMAGE


def body(*parts, boundary=b"b", end=b"--\r\n", line=b"\r\n"):
    """Returns a multipart body."""
    delimiter = line + b"--" + boundary
    return (delimiter.join([b"", *(line + part for part in parts)]) + delimiter + end).removeprefix(line)


def typed(boundary, more=b""):
    return b'multipart/related; type="application/xop+xml"; boundary=' + boundary + more


B = typed(b"b")
STATUS = job_status("1", "Processing", 9).encode()
WHOLE = {  # content type and body: complete, so that they pass whatever they contain
    "usual": (B, body(SOAP_PART, PART)),
    "quoted": (typed(b'"b"'), body(SOAP_PART, PART)),
    "longest-boundary": (typed(b"x" * MAX_BOUNDARY), body(SOAP_PART, PART, boundary=b"x" * MAX_BOUNDARY)),
    "longer-boundary": (typed(b"x" * 71), body(SOAP_PART, PART, boundary=b"x" * 71)),
    "very-long-boundary": (typed(b"x" * 5000), body(SOAP_PART, PART, boundary=b"x" * 5000)),
    "no-boundary": (b"multipart/related", body(SOAP_PART, PART)),
    "empty-boundary": (typed(b'""'), body(SOAP_PART, PART)),
    "open-quote": (typed(b'"b'), body(SOAP_PART, PART)),
    "two-boundaries": (typed(b"b", b"; boundary=c"), body(SOAP_PART, PART)),
    "pattern": (typed(b'"(.*)+$[a-z]{9}"'), body(SOAP_PART, PART, boundary=b"(.*)+$[a-z]{9}")),
    "dashes": (typed(b"--"), body(SOAP_PART, PART, boundary=b"--")),
    "other-boundary": (typed(b"c"), body(SOAP_PART, PART)),
    "mixed": (b"multipart/mixed; boundary=b", body(SOAP_PART, PART)),
    "byteranges": (b"multipart/byteranges; boundary=b", body(SOAP_PART, PART)),
    "start-nowhere": (typed(b"b", b'; start="<x>"'), body(SOAP_PART, PART)),
    "parameter-flood": (typed(b"b", b"; a=b" * 2000), body(SOAP_PART, PART)),
    "image-first": (B, body(PART, SOAP_PART)),
    "image-alone": (B, body(PART)),
    "soap-alone": (B, body(SOAP_PART)),
    "no-parts": (B, b"--b--\r\n"),
    "empty-parts": (B, body(b"", b"", b"")),
    "ten-thousand-parts": (B, body(SOAP_PART, *[b"A: b\r\n\r\nx"] * 10000)),
    "twice-the-same": (B, body(SOAP_PART, PART, PART)),
    "preamble": (B, b"--c\r\nno\r\n--b\n" + body(SOAP_PART, PART)),
    "long-preamble": (B, b"x" * 200000 + b"\r\n" + body(SOAP_PART, PART)),
    "epilogue": (B, body(SOAP_PART, PART) + b"--b\r\n\r\nmore\r\n--b--" + b"x" * 100000),
    "glued": (B, body(SOAP_PART, PART, end=b"--").replace(b"\r\n--b", b"--b")),
    "glued-end": (B, body(SOAP_PART, PART, end=b"").removesuffix(b"\r\n--b") + b"--b--\r\n"),
    "no-line-behind-the-end": (B, body(SOAP_PART, PART, end=b"--")),
    "nothing": (B, b""),
    "line-feeds": (B, body(SOAP_PART, PART, line=b"\n")),
    "carriage-returns": (B, body(SOAP_PART, PART, line=b"\r")),
    "blanks-after": (B, body(SOAP_PART, PART).replace(b"--b\r", b"--b \t \r")),
    "words-after": (B, body(SOAP_PART, PART).replace(b"--b\r", b"--bad\r")),
    "no-line-after": (B, body(SOAP_PART) + b"--b" * 10000),
    "delimiter-in-image": (B, body(SOAP_PART, PART + b"--b" + IMAGE + b"x\r\n--not\r\n--\r\n-b")),
    "nested": (B, body(SOAP_PART, b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + body(PART, boundary=b"c"))),
    "head-without-end": (B, body(SOAP_PART, b"Content-Type: image/jpeg")),
    "head-too-long": (B, body(SOAP_PART, b"A: " + b"x" * MAX_PART_HEAD + b"\r\n\r\nx")),
    "head-flood": (B, body(SOAP_PART, b"A: b\r\n" * 10000 + b"\r\n" + IMAGE)),
    "head-null": (B, body(SOAP_PART, b"A\0: \0\r\n\r\n" + IMAGE)),
    "line-too-long": (B, b"--b" + b"x" * (MAX_PART_HEAD + 1) + b"\r\n" + body(SOAP_PART, PART)),
    "length-lies": (B, body(SOAP_PART, b"Content-Length: 99999999\r\n\r\nx")),
    "base64": (B, body(SOAP_PART, b"Content-Transfer-Encoding: base64\r\n\r\n/9j/")),
    "soap-malformed": (B, body(b"\r\n<a", PART)),
    "soap-deep": (B, body(b"\r\n" + b"<a>" * (MAX_DEPTH * 4), PART)),
    "include-file": (
        B,
        body(b'\r\n<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="file:///etc/passwd"/>', PART),
    ),
    "status-within": (B, body(b"\r\n" + get_job_elements() + STATUS, b"\r\n" + status_event("1", "Processing", 9))),
    "executable": (B, body(SOAP_PART, b"Content-Type: application/x-executable\r\n\r\n\x7fELF" + bytes(2000))),
    "bare-jpeg": (b"image/jpeg", IMAGE),
    "bare-bytes": (b"application/octet-stream", IMAGE),
    "bare-nothing": (b"image/png", b""),
    "html": (b"text/html", b"<script>alert(1)</script>"),
    "unknown": (b"x/y", b"\0" * 100),
    "case": (B.upper(), body(SOAP_PART, PART, boundary=b"B")),
}
CUT = {  # incomplete and ended by closing the connection: they must not appear complete to the client
    "no-end": body(SOAP_PART, PART, end=b""),
    "half-end": body(SOAP_PART, PART, end=b"-"),
    "in-image": body(SOAP_PART, PART)[:-500],
    "in-head": body(SOAP_PART, PART)[: body(SOAP_PART, PART).index(b"image/jpeg")],
    "in-soap": body(SOAP_PART)[:100],
    "nothing": b"",
    "preamble-only": b"x" * 1000,
    "wrong-end": body(SOAP_PART, PART).replace(b"--b--", b"--c--"),
    "end-in-line-amidst": body(SOAP_PART, PART, end=b"").replace(b"\r\n--b", b" --b--") + b"x",
    "no-dashes-in-line": body(SOAP_PART, PART, end=b"").removesuffix(b"\r\n--b") + b"--b",
}
DOCTYPE = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
TYPED = {  # documents with a document type: no client receives them
    "root": (B, body(b"\r\n" + DOCTYPE, PART)),
    "root-with-header": (
        B, body(b"Content-Type: application/xop+xml\r\n\r\n<?xml version='1.0'?>\r\n" + DOCTYPE, PART)),
    "root-in-utf-16": (B, body(b"\r\n" + DOCTYPE.decode().encode("utf-16"), PART)),
    "root-in-base64": (B, body(
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"<?xml version='1.0'?>" + DOCTYPE), PART)),
    "root-in-utf-7": (B, body(b"Content-Type: text/xml; charset=utf-7\r\n\r\n+ADwAIQ-DOCTYPE a+AD4-<a/>", PART)),
    "root-after-nulls": (B, body(b"\r\n\0\r\n\0" + DOCTYPE, PART)),
    "root-without-end": (B, b"--b\r\n\r\n" + DOCTYPE),
    "root-after-comments": (B, body(b"\r\n" + b"<!-- -->" * 1000 + DOCTYPE, PART)),
    "comments-without-end": (B, body(b"\r\n" + b"<!-- -->" * 10000 + b"<a/>", PART)),
    "body-that-is-no-multipart": (B, DOCTYPE),
    "no-boundary": (b"multipart/related", DOCTYPE),
    "octets": (b"application/octet-stream", DOCTYPE),
    "image": (b"image/jpeg", b"\xef\xbb\xbf" + DOCTYPE),
    "soap": (b"application/soap+xml", b"<?xml version='1.0' encoding='utf-8'?>" + DOCTYPE),
    "text": (b"text/xml", DOCTYPE),
    "untyped": (b"", DOCTYPE),
}
FRAMINGS = ["length", "chunked", "close"]
RETRIEVE = job_request("RetrieveImage", "1", to=FOREIGN_TO)


def framed(framing, content_type, data):
    """Returns the answer as bytes; chunks are small and of uneven size."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n"
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(data) + data
    if framing == "close":
        return head + b"Connection: close\r\n\r\n" + data
    sizes = [1, 2, 3, 5, 7, 4099, 1]
    chunks, start = [], 0
    while start < len(data):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(b"%x\r\n%b\r\n" % (len(data[start : start + size]), data[start : start + size]))
        start += size
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"


@pytest.fixture
def answering(attacked):
    """Sets the scanner's next answer: `answering(data, closes)`."""

    def with_(data, closes=False):
        def answer(asked):
            asked.write(data)
            if closes:
                asked.close()

        attacked.answer = answer
        return attacked

    yield with_
    attacked.answer = lambda asked: asked.answer(DONE)


def counted(gateway):
    """Returns how many bytes of images have been counted."""
    found = re.search(
        rb'wsdgateway_image_bytes_total\{scanner="front-desk"\} ([\d.e+]+)', gateway.service.metrics.render()
    )
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(("content_type", "data"), WHOLE.values(), ids=WHOLE)
@pytest_twisted.ensureDeferred
async def test_an_image_passes_byte_for_byte(answering, framing, content_type, data):
    gateway = answering(framed(framing, content_type, data))
    before = counted(gateway)
    outcome = await gateway.send(SCAN_PATH, RETRIEVE)
    assert (outcome.status, outcome.body) == (200, data)
    assert 0 <= counted(gateway) - before <= len(data)
    assert [request.body for request in outcome.reached] == [RETRIEVE]


@pytest_twisted.ensureDeferred
async def test_only_bytes_of_the_image_are_counted(answering):
    gateway = answering(framed("chunked", *WHOLE["usual"]))
    before = counted(gateway)
    await gateway.send(SCAN_PATH, RETRIEVE)
    assert counted(gateway) - before == len(IMAGE)


@pytest.mark.parametrize("data", CUT.values(), ids=CUT)
@pytest_twisted.ensureDeferred
async def test_an_incomplete_body_does_not_appear_complete(answering, data):
    gateway = answering(framed("close", B, data), closes=True)
    client = await connect(gateway.port)
    client.send(post(SCAN_PATH, RETRIEVE))
    received = await client.end()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert not received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("name", ["usual", "epilogue", "ten-thousand-parts", "line-feeds", "no-parts", "glued",
                                  "glued-end", "no-line-behind-the-end"])
@pytest_twisted.ensureDeferred
async def test_a_complete_multipart_body_needs_no_framing(answering, name):
    gateway = answering(framed("close", *WHOLE[name]), closes=True)
    outcome = await gateway.send(SCAN_PATH, RETRIEVE)
    assert (outcome.status, outcome.body) == (200, WHOLE[name][1])


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("data", [WHOLE["usual"][1], WHOLE["ten-thousand-parts"][1]])
@pytest_twisted.ensureDeferred
async def test_a_body_shorter_than_its_framing_is_aborted(answering, framing, data):
    gateway = answering(framed(framing, B, data)[:-6], closes=True)
    client = await connect(gateway.port)
    client.send(post(SCAN_PATH, RETRIEVE))
    received = await client.end()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert not received.endswith((b"0\r\n\r\n", data))


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("content_type", "data"), TYPED.values(), ids=TYPED)
@pytest_twisted.ensureDeferred
async def test_an_image_with_a_document_type_is_a_fault(answering, framing, content_type, data):
    gateway = answering(framed(framing, content_type, data), closes=framing == "close")
    outcome = await gateway.send(SCAN_PATH, RETRIEVE)
    assert (outcome.status, outcome.code) == (500, "ServerErrorInternalError")
    assert b"DOCTYPE" not in outcome.body


@pytest_twisted.ensureDeferred
async def test_a_late_document_type_aborts_the_answer(answering):
    """The root part may be the last one, when the client already has the image."""
    whole = framed("length", typed(b"b", b'; start="<s>"'), body(
        PART, b"Content-Type: application/xop+xml\r\nContent-Id: <s>\r\n\r\n" + DOCTYPE))
    root = whole.index(b"Content-Type: application")
    gateway, asked = answering(b""), []
    gateway.answer = asked.append
    client = await connect(gateway.port)
    client.send(post(SCAN_PATH, RETRIEVE))
    await until(lambda: asked)
    asked[0].write(whole[:root])
    await client.until(lambda data: IMAGE[-100:-50] in data)
    asked[0].write(whole[root:])
    received = await client.end()
    assert received.startswith(b"HTTP/1.1 200 ") and b"DOCTYPE" not in received


ASKED = "asked"
ELSEWHERE = job_elements(("JobStatus", job_status("1", "Processing", 9)))
ANSWERS = {  # answers to a status request: they pass, and change neither the requested job nor job 1
    "another-job": ELSEWHERE,
    "no-status": job_elements(),
    "not-valid": job_elements(("JobStatus", job_status(ASKED))).replace(b'Valid="true"', b'Valid="false"'),
    "another-body": envelope(f"{SCAN}/GetJobElementsResponse", job_status(ASKED)),
    "event": status_event(ASKED, "Completed", 1),
    "malformed": b"<a",
    "empty": b"",
    "text": b"hello",
    "two-bodies": job_elements(("JobStatus", job_status(ASKED))).replace(b"<soap:Body>", b"<soap:Body/><soap:Body>"),
    "two-actions": job_elements(("JobStatus", job_status(ASKED))).replace(
        b"</soap:Header>", b"<wsa:Action>x</wsa:Action></soap:Header>"
    ),
    "no-state": job_elements(("JobStatus", "<wscn:JobStatus><wscn:JobId>asked</wscn:JobId></wscn:JobStatus>")),
    "long-state": job_elements(("JobStatus", job_status(ASKED, "x" * 300))),
    "nameless": job_elements(("JobStatus", job_status(""))),
    "other-then": job_elements(("JobStatus", job_status(ASKED)), ("JobStatus", job_status("1"))),
    "data-flood": job_elements(*[("Documents", "<wscn:X/>")] * 5000),
    "created": created_job("1"),
    "fault-with-status": ELSEWHERE.replace(b"GetJobElementsResponse>", b"Fault>"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest_twisted.ensureDeferred
async def test_unusable_status_answers_change_nothing(answering, request, answer):
    job_id = f"job {request.node.callspec.id}"
    answer = answer.replace(b">asked<", f">{job_id}<".encode())
    gateway = answering(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
    )
    outcome = await gateway.send(SCAN_PATH, get_job_elements(job_id, to=FOREIGN_TO))
    assert (outcome.status, outcome.body) == (200, answer)
    job = gateway.scanner.bridge.table.get(job_id)
    assert job is None or job.status is None


@pytest.mark.parametrize("content_type", [b"multipart/related; boundary=b", b"image/jpeg", b"text/plain", b""])
@pytest_twisted.ensureDeferred
async def test_a_status_in_a_multipart_body_is_passed_on_but_not_used(answering, content_type):
    job_id = f"job in {content_type.decode()}"
    data = body(b"\r\n" + job_elements(("JobStatus", job_status(job_id))))
    gateway = answering(framed("chunked", content_type, data))
    outcome = await gateway.send(SCAN_PATH, get_job_elements(job_id, to=FOREIGN_TO))
    assert (outcome.status, outcome.body) == (200, data)
    assert gateway.scanner.bridge.table.get(job_id) is None


@pytest_twisted.ensureDeferred
async def test_a_response_at_the_event_address_is_refused(attacked):
    outcome = await attacked.send(EVENTS, created_job("77"))
    assert (outcome.status, outcome.code) == (400, "ActionNotSupported")
    assert attacked.scanner.bridge.table.get("77") is None
