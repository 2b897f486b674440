"""Scanners whose answers are not HTTP: clients get a fault, and the next exchange is not affected.

RFC 9112 sections 4 to 8.
"""

import pytest
import pytest_twisted

from tests.messages import (
    ELEMENTS,
    create_scan_job,
    fault,
    get_job_elements,
    job_request,
    status_response,
)
from tests.peers import ask, connect, post
from wsdgateway.http.messages import first
from wsdgateway.http.responses import MAX_HEADER_BLOCK, MAX_INTERIM
from wsdgateway.net.scanners.reply import MAX_COLLECTED
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

OFF = {"events": "off"}
PATH = "/front-desk/scan"
ASKED = {"forwarded": ELEMENTS, "learnt from": get_job_elements("1"), "a job": create_scan_job(),
         "an image": job_request("RetrieveImage")}
SOAP = b"Content-Type: application/soap+xml\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + SOAP
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = b"4\r\n<a/>\r\n0\r\n\r\n"

NOT_HTTP = {
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1),
    "an interim answer with a body": b"HTTP/1.1 102 Wait\r\nContent-Length: 4\r\n\r\n<a/>" + OK + b"\r\n",
    "a protocol switch without Upgrade": b"HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "an endless field": OK + b"X: " + b"x" * (2 * MAX_HEADER_BLOCK),
    "endless fields": OK + b"X: y\r\n" * MAX_HEADER_BLOCK,
    "an endless reason": b"HTTP/1.1 200 " + b"x" * (3 * MAX_HEADER_BLOCK),
    "a length and chunks": OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + GOOD,
    "chunks and a length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + GOOD,
    "two lengths": OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n<a/>",
    "a list of lengths": OK + b"Content-Length: 4, 4\r\n\r\n<a/>",
    "a negative length": OK + b"Content-Length: -4\r\n\r\n<a/>",
    "a length of 2^64": OK + b"Content-Length: 18446744073709551616\r\n\r\n<a/>",
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + GOOD,
    "chunked in two fields": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n" + GOOD,
    "an unsupported coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + GOOD,
    "a coding until it closes": OK + b"Transfer-Encoding: gzip\r\n\r\n<a/>",
    "an invalid chunk size": CHUNKED + b"x\r\n<a/>\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-4\r\n<a/>\r\n0\r\n\r\n",
    "a chunk size of 2^64": CHUNKED + b"10000000000000000\r\n<a/>\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\n<a/>\r\n0\r\n\r\n",
    "an endless extension": CHUNKED + b"4;" + b"x" * (3 * MAX_HEADER_BLOCK),
    "endless trailers": CHUNKED + b"4\r\n<a/>\r\n0\r\n" + b"X: y\r\n" * MAX_HEADER_BLOCK,
    "a folded field": OK + b"X: y\r\n z\r\nContent-Length: 4\r\n\r\n<a/>",
    "a field without a colon": OK + b"X\r\nContent-Length: 4\r\n\r\n<a/>",
    "a NUL in a field": OK + b"X: \x00\r\nContent-Length: 4\r\n\r\n<a/>",
    "a bare CR in a field": OK + b"X: y\rSet-Cookie: z\r\nContent-Length: 4\r\n\r\n<a/>",
    "bare LFs": OK.replace(b"\r\n", b"\n") + b"Content-Length: 4\n\n<a/>",
    "no version": b"HTTP 200 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "HTTP/0.9 by its number": b"HTTP/0.9 200 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "a status of two digits": b"HTTP/1.1 99 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "a negative status": b"HTTP/1.1 -200 OK\r\nContent-Length: 4\r\n\r\n<a/>",
    "a page without a head": b"<html><body>200 OK</body></html>\r\n\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x28",
    "an incomplete head": OK + b"Content-Len",
    "an incomplete body": OK + b"Content-Length: 400\r\n\r\n<a/>",
    "incomplete chunks": CHUNKED + b"4\r\n<a/>\r\n",
    "incomplete trailers": CHUNKED + GOOD[:-2],
    "a body above the limit": OK + b"Content-Length: 1000000000000\r\n\r\n" + b"x" * (MAX_COLLECTED + 1),
    "chunks above the limit": CHUNKED + b"fffffff\r\n" + b"x" * (MAX_COLLECTED + 1),
    "endless chunks of one byte": CHUNKED + b"1\r\nx\r\n" * 100000 + b"400000\r\n" + b"x" * MAX_COLLECTED,
    "a body without end": OK + b"\r\n" + b"x" * (MAX_COLLECTED + 1),
}


@pytest.mark.parametrize("raw", NOT_HTTP.values(), ids=NOT_HTTP)
@pytest_twisted.ensureDeferred
async def test_an_invalid_answer_is_a_fault_and_does_not_affect_the_next_one(gateway, device, raw):
    service = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    good = status_response("1", "Completed", 1)
    for body in ASKED.values():
        device.handle = lambda asked: (asked.write(raw), asked.close())
        head, answer = await ask(service.port, PATH, body)
        assert (head.status, fault_of(read(answer))) == (500, "ServerErrorInternalError")
        assert read(answer).relates_to == read(body).message_id
        device.handle = lambda asked: asked.answer(good)
        head, answer = await ask(service.port, PATH, ELEMENTS)
        assert (head.status, answer) == (200, good)
    assert len(device.requests) == 2 * len(ASKED)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("framing", [b"Content-Length: 4\r\n\r\n<a/>", b"Transfer-Encoding: chunked\r\n\r\n" + GOOD,
                                     b"\r\n", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<b/>"])
@pytest.mark.parametrize("asked", ASKED)
@pytest_twisted.ensureDeferred
async def test_an_answer_whose_status_has_no_body_is_passed_on_without_one(gateway, device, status, framing, asked):
    """It has no length either, and the bytes after it are discarded (RFC 9110 sections 8.6 and 15.3.5)."""
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.write(b"HTTP/1.1 " + status + b"\r\n" + SOAP + framing)
    client = await connect(service.port)
    client.send(post(PATH, ASKED[asked]))
    await client.until(lambda data: b"\r\n\r\n" in data)
    assert client.received.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert client.received.endswith(b"\r\n\r\n")
    assert not {b"content-length", b"transfer-encoding"} & {
        line.partition(b":")[0].lower() for line in client.received.split(b"\r\n")}
    client.received = b""
    device.handle = lambda asked: asked.answer(fault("wscn:X"))
    client.send(post(PATH, ELEMENTS))
    assert (await client.answer())[1] == fault("wscn:X")
    client.transport.loseConnection()
    await client.end()


@pytest.mark.parametrize(("asked", "content_type"), [("forwarded", b"application/soap+xml"),
                                                     ("an image", b"multipart/related; boundary=b")])
@pytest_twisted.ensureDeferred
async def test_an_answer_is_framed_and_dated_by_the_gateway(gateway, device, asked, content_type):
    """The gateway adds a Date and removes hop-by-hop fields (RFC 9110 sections 6.6.1 and 7.6.1)."""
    service = await gateway(device.url, scanner=OFF)
    raw = (b"HTTP/1.1 200 Fi\x00ne\r\nContent-Type: " + content_type + b"\r\nConnection: X-Own, upgrade\r\nX-Own: 1\r\n"
           b"Upgrade: x\r\nKeep-Alive: timeout=5\r\nTrailer: X-Digest\r\nProxy-Authenticate: Basic\r\nTE: trailers\r\n"
           b"Content_Length: 9\r\nX-Kept: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"4;a=b\r\n<a/>\r\n0\r\nX-Digest: z\r\n\r\n")
    device.handle = lambda asked: asked.write(raw)
    head, answer = await ask(service.port, PATH, ASKED[asked])
    assert (head.status, head.reason, answer) == (200, b"Fi ne", b"<a/>")
    assert sorted(name.lower() for name, _ in head.headers) == sorted([
        b"content-type", b"date", b"x-kept", b"content-length" if asked == "forwarded" else b"transfer-encoding"])
    assert first(head.headers, b"date").endswith(b" GMT")
