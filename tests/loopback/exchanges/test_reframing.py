"""Framing of requests: whatever framing a client uses, the scanner gets one request framed by the gateway.

RFC 9110 section 7.6.1, RFC 9112 sections 3.2.2, 6.3 and 11.2.
"""

import pytest
import pytest_twisted

from tests.messages import SCAN, create_scan_job, envelope, get_job_elements, job_request, status_response
from tests.peers import connect
from wsdgateway.http.messages import HOP_BY_HOP
from wsdgateway.soap.envelope import read

PATH = b"/front-desk/scan"
OPERATIONS = {
    "forwarded": envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>"),
    "unknown": envelope("urn:vendor/Calibrate", "<x/>"), "learnt from": get_job_elements("1"),
    "a job": create_scan_job(), "an image": job_request("RetrieveImage"), "urgent": job_request("CancelJob")}
ANSWER = status_response("1", "Completed", 1)


def chunked(body, size):
    """Returns a body in chunks of that size, with extensions and trailers."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return (b"Transfer-Encoding: chunked\r\nTrailer: X-Trailer, Host\r\n\r\n"
            + b"".join(b'%x;a="b;c"\r\n%b\r\n' % (len(piece), piece) for piece in pieces)
            + b"0;last\r\nX-Trailer: 1\r\nHost: trailer\r\n\r\n")


def counted(body):
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


ODD = {
    "chunks": (b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\n", lambda body: chunked(body, 100)),
    "chunks of one byte": (b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\n", lambda body: chunked(body, 1)),
    "a length with zeros": (b"\r\n\r\nPOST " + PATH + b" HTTP/1.1\r\nHost:\r\n",
                            lambda body: counted(body).replace(b": ", b": 000", 1)),
    "an absolute target": (b"POST http://other:1" + PATH + b"?a=b HTTP/1.1\r\nHost: a\r\n", counted),
    "HTTP/1.0": (b"POST " + PATH + b" HTTP/1.0\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\n", counted),
    "HTTP/1.0 without Host": (b"POST " + PATH + b" HTTP/1.0\r\n", counted),
    "an upgrade": (b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                   b"HTTP2-Settings: AAMAAABk\r\n", lambda body: chunked(body, 50)),
    "hop-by-hop fields": (
        b"POST " + PATH + b" HTTP/1.1\r\nhOST: a\r\nTE: trailers\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n"
        b"Proxy-Authorization: Basic eDp5\r\nProxy-Authenticate: Basic\r\nConnection: x-own, , TE\r\n"
        b"Connection: keep-alive,X-OTHER\r\nX-Own: 1\r\nx-other: 2\r\nExpect: 100-continue\r\n", counted),
    "names with underscores": (
        b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\nContent_Length: 7\r\nTransfer_Encoding: chunked\r\n", counted),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest_twisted.ensureDeferred
async def test_the_scanner_gets_a_reframed_request(gateway, device, odd, operation):
    service = await gateway(device.url, scanner={"events": "off"})
    received = []
    device.handle = lambda asked: (received.append(asked.request), asked.answer(ANSWER))
    head, framed = ODD[odd]
    body = OPERATIONS[operation]
    client = await connect(service.port)
    client.send(head + b"Content-Type: application/soap+xml\r\nX-Kept: kept\r\n" + framed(body))
    assert (await client.answer())[1] == ANSWER
    client.transport.abortConnection()
    await client.end()
    [request] = received
    names = sorted(name.lower() for name, _ in request.headers)
    assert names == [b"content-length", b"content-type", b"host", b"x-kept"]
    assert not HOP_BY_HOP & set(names)
    assert (request.method, request.path, request.http10) == (b"POST", b"/scan", False)
    assert request.host == b"127.0.0.1:%d" % device.port
    assert (b"Content-Length", b"%d" % len(request.body)) in request.headers
    sent, got = read(body), read(request.body)
    assert (got.action, got.message_id) == (sent.action, sent.message_id)


@pytest.mark.parametrize("hidden", [b"POST /scan HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                                    b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"])
@pytest_twisted.ensureDeferred
async def test_a_request_inside_a_body_remains_content(gateway, device, hidden):
    service = await gateway(device.url, scanner={"events": "off"})
    device.handle = lambda asked: asked.answer(ANSWER)
    body = OPERATIONS["forwarded"].replace(b"</soap:Body>", b"<!--" + hidden + b"--></soap:Body>")
    client = await connect(service.port)
    head = b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/soap+xml\r\n"
    for framed in (counted(body), chunked(body, body.index(hidden))):
        client.send(head + framed)
        assert (await client.answer())[1] == ANSWER
    client.transport.abortConnection()
    await client.end()
    as_xml = hidden.replace(b"\r\n", b"\n")  # XML section 2.11 on line ends
    assert [asked.request.body.count(as_xml) for asked in device.requests] == [1, 1]


@pytest.mark.parametrize("framing", [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n"])
@pytest_twisted.ensureDeferred
async def test_ambiguous_framing_never_reaches_the_scanner(gateway, device, framing):
    service = await gateway(device.url, scanner={"events": "off"})
    device.handle = lambda asked: asked.answer(ANSWER)
    client = await connect(service.port)
    body = OPERATIONS["forwarded"]
    head = b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/soap+xml\r\n"
    client.send(head + framing + head + counted(body))
    assert (await client.end()).startswith(b"HTTP/1.1 400 ")
    assert not device.requests
