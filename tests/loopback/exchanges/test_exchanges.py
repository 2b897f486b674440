"""Exchanges of clients with a device that conforms, and with one that does not."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.exchanges.images import IMAGE, MTOM
from tests.messages import (
    ELEMENTS,
    SCAN,
    create_scan_job,
    created_job,
    envelope,
    fault,
    get_job_elements,
    job_request,
    status_response,
)
from tests.peers import Device, ask, connect, post
from wsdgateway.http.messages import first
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of

OFF = {"events": "off"}
PATH = "/front-desk/scan"


@pytest_twisted.ensureDeferred
async def test_a_forwarded_request_changes_only_what_it_must(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    body = ELEMENTS.replace(b"http://gateway.test:5357", b"http://127.0.0.1:%d" % service.port)
    client.send(post(PATH, body, headers=b"User-Agent: WSDAPI\r\nAccept-Encoding: gzip\r\nX-Own: 1\r\nTE: x\r\n"))
    asked = await device.next()
    names = [name.lower() for name, _ in asked.request.headers]
    assert names.count(b"content-length") == names.count(b"host") == 1
    assert not {b"accept-encoding", b"te", b"transfer-encoding"} & set(names)
    assert first(asked.request.headers, b"user-agent") == b"WSDAPI"
    assert first(asked.request.headers, b"content-type") == b"application/soap+xml"
    assert first(asked.request.headers, b"host") == b"127.0.0.1:%d" % device.port
    assert asked.request.path == b"/scan"
    assert read(asked.request.body).to == device.url
    asked.answer(b"<any/>", headers=b"X-Device: 7\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n")
    head, answer = await client.answer()
    assert answer == b"<any/>"
    assert first(head.headers, b"x-device") == b"7"
    assert [value for name, value in head.headers if name.lower() == b"date"] == [b"Sun, 22 Nov 2026 10:00:00 GMT"]
    client.transport.loseConnection()
    await client.end()


@pytest.mark.parametrize(("status", "content_type", "body"), [
    (b"404 Gone Fishing", b"text/plain", b"no job"), (b"503 Busy", b"text/plain", b""),
    (b"500 Internal", b"application/soap+xml", fault("wscn:ServerErrorNotAcceptingJobs")),
    (b"200 OK", b"application/octet-stream", b"\x00\x01"), (b"200 OK", b"text/html", b"<html>"),
])
@pytest_twisted.ensureDeferred
async def test_any_answer_of_the_device_is_passed_on(gateway, device, status, content_type, body):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(body, status, content_type)
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (b"%d " % head.status + head.reason, answer) == (status, body)
    assert first(head.headers, b"content-type") == content_type


@pytest.mark.parametrize("raw", [
    b"HTTP/1.0 200 OK\r\nContent-Type: application/soap+xml\r\n\r\n" + fault("wscn:X"),
    b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nConnection: close\r\n\r\n" + fault("wscn:X"),
])
@pytest_twisted.ensureDeferred
async def test_unframed_answers_get_a_length(gateway, device, raw):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: (asked.write(raw), asked.close())
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert answer == fault("wscn:X")
    assert head.length == len(answer)


@pytest.mark.parametrize("raw", [
    b"nonsense", b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 100\r\n\r\nhalf",
    b"HTTP/1.0 200 OK\r\nContent-Type: application/soap+xml\r\n\r\n" + fault("wscn:X")[:-5], b"",
    b"HTTP/1.1 200 OK\nContent-Type: application/soap+xml\nContent-Length: 4\n\n<a/>",
])
@pytest_twisted.ensureDeferred
async def test_an_incomplete_answer_is_an_internal_error(gateway, device, raw):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: (asked.write(raw), asked.close())
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, fault_of(read(answer))) == (500, "ServerErrorInternalError")
    assert read(answer).relates_to == "urn:uuid:00000000-0000-4000-8000-000000000001"


@pytest_twisted.ensureDeferred
async def test_lenient_accepts_bare_line_feeds(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "lenient": True})
    device.handle = lambda asked: asked.write(
        b"HTTP/1.1 200 OK\nContent-Type: application/soap+xml\nContent-Length: 4\n\n<a/>")
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, answer) == (200, b"<a/>")


@pytest_twisted.ensureDeferred
async def test_an_unreachable_device_opens_the_circuit(gateway, device, said):
    await device.listening.stopListening()
    service = await gateway(device.url, scanner=OFF)
    for _ in range(5):
        head, answer = await ask(service.port, PATH, ELEMENTS)
        assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
    about = [line for line in said if line.startswith("front-desk: ")]
    assert about == ["front-desk: problem: does not accept connections"]  # once, and not once for each client
    assert b"does not accept connections" in answer
    assert not service.scanner.device.reachable
    await device.start(device.port)
    device.handle = lambda asked: asked.answer(b"<a/>")
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    for _ in range(100):
        head, answer = await ask(service.port, PATH, ELEMENTS)
        if head.status == 200:
            break
        await deferLater(reactor, 0.1)
    assert head.status == 200
    assert service.scanner.device.reachable


@pytest_twisted.ensureDeferred
async def test_a_device_that_does_not_answer_times_out(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "timeout": 0.2})
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
    await device.until_lost(device.requests[0])


@pytest_twisted.ensureDeferred
async def test_connections_are_bounded_and_reused(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "max_connections": 2})
    clients = [await connect(service.port) for _ in range(6)]
    for client in clients:
        client.send(post(PATH, ELEMENTS))
    first_two = [await device.next(), await device.next()]
    assert len(device.factory.open) == 2
    device.handle = lambda asked: asked.answer(b"<a/>")
    for asked in first_two:
        asked.answer(b"<a/>")
    for client in clients:
        assert (await client.answer())[0].status == 200
        client.transport.abortConnection()
        await client.end()
    assert device.factory.connections == 2


@pytest_twisted.ensureDeferred
async def test_a_read_is_repeated_if_its_idle_connection_was_closed(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(b"<a/>")
    await ask(service.port, PATH, ELEMENTS)
    device.handle = None
    client = await connect(service.port)
    client.send(post(PATH, ELEMENTS))
    (await device.next()).abort()
    again = await device.next()
    again.answer(b"<b/>")
    assert (await client.answer())[1] == b"<b/>"
    assert device.factory.connections == 2
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_read_is_repeated_once_and_not_twice(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.abort()
    _, answer = await ask(service.port, PATH, ELEMENTS)
    assert fault_of(read(answer)) == "ServerErrorInternalError"
    assert len(device.requests) == 2


@pytest.mark.parametrize("body", [create_scan_job(), IMAGE, envelope(f"{SCAN}/Vendor")])
@pytest_twisted.ensureDeferred
async def test_other_requests_get_a_new_connection_and_are_not_repeated(gateway, device, body):
    service = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    device.handle = lambda asked: asked.answer(b"<a/>")
    await ask(service.port, PATH, ELEMENTS)
    device.handle = lambda asked: asked.abort()
    head, _ = await ask(service.port, PATH, body)
    assert head.status == 500
    assert len(device.requests) == 2
    assert device.requests[0].connection is not device.requests[1].connection


@pytest_twisted.ensureDeferred
async def test_connections_to_a_device_never_exceed_the_limit(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    most = 0

    def handle(asked):
        nonlocal most
        most = max(most, len(device.factory.open))
        asked.answer(b"<a/>")

    device.handle = handle
    for number in range(10):
        assert (await ask(service.port, PATH, ELEMENTS))[0].status == 200
        assert (await ask(service.port, PATH, create_scan_job(f"urn:uuid:{number}")))[0].status == 200
    assert most == 1


@pytest_twisted.ensureDeferred
async def test_a_device_that_answers_without_reading_keeps_no_connection(gateway, device, monkeypatch):
    service = await gateway(device.url, scanner=OFF, limits={"request_body": 8 << 20})

    def answer_without_reading(connection, data):
        connection.transport.write(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        connection.transport.pauseProducing()

    monkeypatch.setattr(device.factory.protocol, "dataReceived", answer_without_reading)
    huge = ELEMENTS.replace(b"<wscn:GetScannerElementsRequest/>", b"<wscn:X>" + b"x" * (7 << 20) + b"</wscn:X>")
    head, _ = await ask(service.port, PATH, huge)
    assert head.status == 413
    assert service.scanner.device.connections.idle == 0
    await service.stopService()
    assert not len(service.scanner.device.connections)


@pytest_twisted.ensureDeferred
async def test_cancel_does_not_wait_behind_images(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    scanning, waiting, canceling = [await connect(service.port) for _ in range(3)]
    scanning.send(post(PATH, IMAGE))
    image = await device.next()
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n--b-o\r\n")
    waiting.send(post(PATH, ELEMENTS))
    await scanning.until(lambda data: b"--b-o" in data)
    canceling.send(post(PATH, job_request("CancelJob")))
    cancel = await device.next()
    assert b"CancelJob" in cancel.request.body
    cancel.answer(b"<a/>")
    assert (await canceling.answer())[0].status == 200
    assert len(device.requests) == 2
    for client in (scanning, waiting, canceling):
        client.transport.abortConnection()
        await client.end()
    await device.until_lost(image)


@pytest_twisted.ensureDeferred
async def test_a_full_queue_is_a_temporary_error(gateway, device):
    from wsdgateway.net.scanners.queue import MAX_QUEUE

    service = await gateway(device.url, scanner={**OFF, "max_connections": 1})
    clients = [await connect(service.port) for _ in range(MAX_QUEUE + 1)]
    for client in clients:
        client.send(post(PATH, envelope(f"{SCAN}/Vendor")))
    await device.next()
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
    for client in clients:
        client.transport.abortConnection()
        await client.end()


# Jobs.

@pytest_twisted.ensureDeferred
async def test_a_hundred_clients_share_one_answer(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    clients = [await connect(service.port) for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(post(PATH, get_job_elements("1", message_id=f"urn:uuid:{number}")))
    asked = await device.next()
    asked.answer(status_response("1", "Processing", 3))
    for number, client in enumerate(clients):
        _, body = await client.answer()
        if number:
            assert read(body).relates_to == f"urn:uuid:{number}"
        assert b"<wscn:ScansCompleted>3<" in body
        client.transport.abortConnection()
        await client.end()
    assert len(device.requests) == 1
    text = service.metrics.render().decode()
    assert 'wsdgateway_requests_total{operation="GetJobElements",scanner="front-desk",source="device"} 1.0' in text
    assert 'wsdgateway_requests_total{operation="GetJobElements",scanner="front-desk",source="local"} 99.0' in text


@pytest_twisted.ensureDeferred
async def test_a_repeated_create_scan_job_makes_one_job(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    impatient, again = await connect(service.port), await connect(service.port)
    impatient.send(post(PATH, create_scan_job()))
    asked = await device.next()
    impatient.transport.abortConnection()
    await impatient.end()
    again.send(post(PATH, create_scan_job()))
    asked.answer(created_job("5"))
    assert (await again.answer())[1] == created_job("5")
    assert (await ask(service.port, PATH, create_scan_job()))[1] == created_job("5")
    assert len(device.requests) == 1
    again.transport.abortConnection()
    await again.end()


@pytest_twisted.ensureDeferred
async def test_idle_connections_to_another_port_do_not_block_the_queue(device):
    """The request is for another port than the pool's idle connections, as a Renew may be."""
    from twisted.internet import reactor
    from twisted.internet.defer import gatherResults

    from tests.options import scanner_options
    from wsdgateway.http.urls import address_of
    from wsdgateway.net.scanners.client import DeviceClient
    from wsdgateway.net.scanners.ratelimit import RateLimit
    from wsdgateway.net.scanners.request import ScannerRequest
    from wsdgateway.scan.operations import GET_ACTIVE_JOBS

    other = Device()
    await other.start()
    other.handle = lambda asked: asked.answer(b"<b/>")
    client = DeviceClient(reactor, scanner_options(timeout=5.0, idle_timeout=5.0), seconds=reactor.seconds,
                          rate_limit=RateLimit(0.0))

    async def fetch(url):
        return await (await client.request(ScannerRequest(address_of(url), GET_ACTIVE_JOBS, b"<x/>", []))).collect()

    running = [ensureDeferred(fetch(url)) for url in (device.url, device.url, other.url)]
    asked = [await device.next(), await device.next()]
    for one in asked:
        one.answer(b"<a/>")
    assert await gatherResults(running) == [b"<a/>", b"<a/>", b"<b/>"]
    await client.stop()
    await other.stop()
