"""Requests that reach a gateway which does not own the scanner: the owner answers them."""

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from tests.loopback.clients import Granted, found, get, probe, shown
from tests.loopback.cluster.gateways import SCANNER
from tests.loopback.exchanges.images import IMAGE, MTOM, MULTIPART, PARTS
from tests.messages import (
    ELEMENTS,
    GET,
    create_scan_job,
    created_job,
    fault,
    get_job_elements,
    job_request,
    manage,
    status_response,
    subscribe,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.http.messages import first
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of

PATH = "/front-desk/scan"
OFF = {"events": "off"}


@pytest_twisted.ensureDeferred
async def test_every_operation_works_through_another_gateway(pair, virtual):
    device = await virtual(feeder_pages=2)
    owner, front = await pair(device.scan_url)
    await until(lambda: owner.scanner.bridge.table.listening)
    _, answer = await ask(front.port, PATH, create_scan_job().replace(b">Platen<", b">ADF<"))
    job = read_created(read(answer).body)
    image = job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode())
    head, body = await ask(front.port, PATH, image)
    assert (head.status, body.count(b"\xff\xd8\xff") >= 1) == (200, True)
    await until(lambda: owner.scanner.bridge.table.get(job.job_id).status.scans_completed == 1)
    head, answer = await ask(front.port, PATH, get_job_elements(job.job_id))
    assert shown(answer)[1] == 1
    for operation in ("GetActiveJobs", "GetJobHistory"):
        assert (await ask(front.port, PATH, job_request(operation)))[0].status == 200
    assert (await ask(front.port, PATH, ELEMENTS))[0].status == 200
    head, answer = await ask(front.port, PATH, job_request("CancelJob", job.job_id))
    assert head.status == 200
    head, answer = await ask(front.port, PATH, get_job_elements(job.job_id))
    assert shown(answer)[0] in ("Canceled", "Terminating")
    head, answer = await ask(front.port, PATH, image)
    assert fault_of(read(answer)) is not None
    lines = front.entries()
    assert [(one.operation, one.via, one.scanner) for one in lines] == [
        (name, "owner", SCANNER) for name in (
            "CreateScanJob", "RetrieveImage", "GetJobElements", "GetActiveJobs", "GetJobHistory", "GetScannerElements",
            "CancelJob", "GetJobElements", "RetrieveImage")]
    assert [one.job_id for one in lines if one.job_id] == [job.job_id] * 8
    assert lines[-1].fault == fault_of(read(answer))
    assert [one for one in owner.entries() if one.source != "event"] == []
    assert front.sample("wsdgateway_requests_total", operation="GetJobElements") == 2
    assert owner.sample("wsdgateway_requests_total") == 0
    assert owner.sample("wsdgateway_device_requests_total", operation="CreateScanJob") == 1
    assert front.sample("wsdgateway_passed_total", outcome="ok") == 8
    assert front.sample("wsdgateway_passed_total", outcome="fault") == 1


@pytest_twisted.ensureDeferred
async def test_the_line_in_the_log_is_that_of_a_local_exchange(pair, device):
    device.handle = lambda asked: asked.answer(status_response("7", "Completed", 1))
    owner, front = await pair(device.url, scanner=OFF)
    for gateway in (front, owner):
        await ask(gateway.port, PATH, get_job_elements("7"))
        await ask(gateway.port, PATH, get_job_elements("7"))
    passed, local = front.entries(), owner.entries()
    assert [one._replace(time=0, seconds=0, client="", via=None) for one in passed[1:]] == [
        one._replace(time=0, seconds=0, client="") for one in local[:1]]
    assert [one.via for one in passed] == ["owner", "owner"]
    assert [one.source for one in passed] == ["device", "local"]
    assert all(one.client.startswith("127.0.0.1:") for one in passed)


@pytest_twisted.ensureDeferred
async def test_repeated_reads_are_recognised_by_their_bytes(pair, device):
    device.handle = lambda asked: asked.answer(status_response("7", "Completed", 1))
    _, front = await pair(device.url, scanner=OFF)
    client = await connect(front.port)
    for number in range(6):
        message = f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"
        client.send(post(PATH, get_job_elements("7", message_id=message)))
        head, answer = await client.answer()
        assert (head.status, shown(answer)) == (200, ("Completed", 1))
        assert number == 0 or read(answer).relates_to == message
    client.transport.abortConnection()
    await client.end()
    assert len(device.requests) == 1
    assert [(one.source, one.job_id, one.message_id[-1]) for one in front.entries()] == [
        ("device", "7", "0"), *(("local", "7", str(number)) for number in range(1, 6))]


@pytest_twisted.ensureDeferred
async def test_fields_body_and_answer_are_passed_verbatim(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    client = await connect(front.port)
    client.send(post(PATH, ELEMENTS, headers=(
        b"User-Agent: WSDAPI\r\nX-Own: 1\r\nTE: x\r\nWSDGateway-Client: 10.0.0.1:1\r\n")))
    asked = await device.next()
    assert first(asked.request.headers, b"x-own") == b"1"
    assert not [name for name, _ in asked.request.headers if name.lower().startswith(b"wsdgateway")]
    asked.answer(b"<any/>", headers=b"X-Device: 7\r\nWSDGateway-Token: 9\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n")
    head, answer = await client.answer()
    assert answer == b"<any/>"
    assert first(head.headers, b"x-device") == b"7"
    assert not [name for name, _ in head.headers if name.lower().startswith(b"wsdgateway")]
    assert [value for name, value in head.headers if name.lower() == b"date"] == [b"Sun, 22 Nov 2026 10:00:00 GMT"]
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_client_cannot_be_another_one_by_a_forged_field(pair, device):
    _, front = await pair(device.url, scanner=OFF, allow=[{"clients": ["10.0.0.0/8"]}, {"deny": True}])
    head, answer = await ask(front.port, PATH, ELEMENTS, headers=b"WSDGateway-Client: 10.0.0.1:1\r\n")
    assert (head.status, fault_of(read(answer))) == (403, "NotAllowed")
    assert device.requests == []


@pytest_twisted.ensureDeferred
async def test_a_client_that_is_not_allowed_is_refused_by_the_owner_and_recorded_here(pair, device, said):
    owner, front = await pair(device.url, scanner=OFF, allow=[{"operations": ["GetJobElements"]}, {"deny": True}])
    head, answer = await ask(front.port, PATH, job_request("RetrieveImage"))
    assert (head.status, fault_of(read(answer))) == (403, "NotAllowed")
    [line] = front.entries()
    assert (line.operation, line.source, line.fault, line.via) == ("RetrieveImage", "refused", "NotAllowed", "owner")
    assert front.sample("wsdgateway_refused_total", reason="rule", scanner=SCANNER) == 1
    assert owner.sample("wsdgateway_refused_total", reason="rule", scanner=SCANNER) == 0
    assert len([line for line in said if "RetrieveImage of client 127.0.0.1 refused" in line]) == 1


@pytest_twisted.ensureDeferred
async def test_clients_are_given_the_address_that_they_reached(pair, virtual):
    device = await virtual()
    owner, front = await pair(device.scan_url, scanner={"device": None})
    await until(lambda: owner.scanner.bridge.table.listening)
    head, body = await ask(front.port, "/front-desk", GET)
    assert head.status == 200
    assert f"http://127.0.0.1:{front.port}/front-desk/scan".encode() in body
    assert b":%d/" % owner.port not in body
    [(_, xaddrs)] = await found(front.service, "/front-desk", probe())
    assert xaddrs == f"http://127.0.0.1:{front.port}/front-desk"


@pytest_twisted.ensureDeferred
async def test_a_page_for_browsers_needs_no_owner(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    status, head, _ = await get(front.port, b"/front-desk/scan")
    assert (status, b"Allow: POST" in head) == (405, True)


@pytest.mark.parametrize(("version", "headers"), [
    (b"1.0", b""), (b"1.1", b"Connection: close\r\n"), (b"1.1", b"Expect: 100-continue\r\n")])
@pytest_twisted.ensureDeferred
async def test_the_clients_connection_is_its_own_matter(pair, device, version, headers):
    device.handle = lambda asked: asked.answer(b"<a/>")
    _, front = await pair(device.url, scanner=OFF)
    client = await connect(front.port)
    message = post(PATH, ELEMENTS, version=version, headers=headers)
    client.send(message)
    if b"Expect" in headers:
        await client.until(lambda data: b"<a/>" in data)
        client.transport.abortConnection()
    assert b"<a/>" in await client.end()
    assert first(device.requests[0].request.headers, b"expect") is None


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest_twisted.ensureDeferred
async def test_images_pass_unchanged(pair, device, framing, version):
    owner, front = await pair(device.url, scanner=OFF)

    def handle(asked):
        head = b"HTTP/1.1 200 OK\r\nX-Device: 7\r\nContent-Type: " + MTOM + b"\r\n"
        if framing == "length":
            asked.write(head + b"Content-Length: %d\r\n\r\n" % len(MULTIPART) + MULTIPART)
        else:
            asked.write(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(MULTIPART) + MULTIPART
                        + b"\r\n0\r\n\r\n")

    device.handle = handle
    client = await connect(front.port)
    client.send(post(PATH, IMAGE, version=version))
    if version == b"1.0" and framing == "chunked":
        _, _, body = (await client.end()).partition(b"\r\n\r\n")
    else:
        head, body = await client.answer()
        assert first(head.headers, b"x-device") == b"7"
        assert (head.length == len(MULTIPART)) is (framing == "length")
        client.transport.abortConnection()
        await client.end()
    assert body == MULTIPART
    [line] = front.entries()
    assert (line.operation, line.source, line.status, line.response_bytes, line.via) == (
        "RetrieveImage", "device", 200, len(MULTIPART), "owner")
    assert owner.sample("wsdgateway_image_bytes_total") == 10242


@pytest_twisted.ensureDeferred
async def test_a_slow_client_slows_the_scanner_down_and_gets_the_whole_image(pair, device):
    from twisted.internet import reactor

    size = len(PARTS) + (64 << 20)
    owner, front = await pair(device.url, scanner=OFF)
    client = await connect(front.port)
    client.transport.pauseProducing()
    client.send(post(PATH, IMAGE))
    image = await device.next()
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\nContent-Length: %d\r\n\r\n" % size)
    image.write(PARTS + b"x" * (size - len(PARTS)))
    await deferLater(reactor, 0.3)
    for server in (front.service.server, owner.server):
        [connection] = server.connections
        assert connection.pending() < 2 << 20
    client.transport.resumeProducing()
    await client.until_size(size)
    client.transport.abortConnection()
    await client.end()
    await until(lambda: front.entries())
    assert front.entries()[0].response_bytes == size


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_during_an_image_frees_the_scanner(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    for begun in (True, False):
        client = await connect(front.port)
        client.send(post(PATH, IMAGE))
        asked = await device.next()
        if begun:
            asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nabc")
            await client.until(lambda data: data.endswith(b"abc"))
        client.transport.abortConnection()
        await client.end()
        await device.until_lost(asked)
    await until(lambda: len(front.entries()) == 2)
    assert [(one.operation, one.status) for one in front.entries()] == [("RetrieveImage", None)] * 2


@pytest_twisted.ensureDeferred
async def test_an_image_that_breaks_off_breaks_off_for_the_client(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    client = await connect(front.port)
    client.send(post(PATH, IMAGE))
    asked = await device.next()
    asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await client.until(lambda data: b"abc" in data)
    asked.abort()
    assert not (await client.end()).endswith(b"0\r\n\r\n")
    await until(lambda: front.entries())


@pytest_twisted.ensureDeferred
async def test_a_create_scan_job_that_is_sent_again_at_another_gateway_makes_one_job(pair, device):
    owner, front = await pair(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(created_job("5"))
    answers = [await ask(gateway.port, PATH, create_scan_job()) for gateway in (front, owner, front)]
    assert [read_created(read(body).body).job_id for _, body in answers] == ["5"] * 3
    assert len(device.requests) == 1


@pytest_twisted.ensureDeferred
async def test_the_scanner_has_as_many_connections_as_with_one_gateway(pair, device):
    owner, front = await pair(device.url, scanner={**OFF, "max_connections": 1})
    clients = [await connect(gateway.port) for gateway in (front, owner, front, owner)]
    for client in clients:
        client.send(post(PATH, job_request("ValidateScanTicket")))
    for _ in clients:
        asked = await device.next()
        assert len(device.factory.open) == 1
        asked.answer(b"<a/>")
    for client in clients:
        await client.answer()
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_the_scanner_has_the_rate_that_it_has_with_one_gateway(pair, device):
    device.handle = lambda asked: asked.answer(b"<a/>")
    owner, front = await pair(device.url, scanner={**OFF, "cache": False, "max_rate": 2.0, "max_connections": 10})
    for gateway in (front, owner, front, owner):
        assert (await ask(gateway.port, PATH, ELEMENTS))[0].status == 200
    assert 1 <= owner.sample("wsdgateway_device_delayed_total") <= 3
    assert front.sample("wsdgateway_device_delayed_total") == 0


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_scanner_is_a_fault_here(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(fault("wscn:ServerErrorNotAcceptingJobs"), b"500 Internal")
    head, answer = await ask(front.port, PATH, create_scan_job())
    assert (head.status, fault_of(read(answer))) == (500, "ServerErrorNotAcceptingJobs")
    assert front.entries()[0].fault == "ServerErrorNotAcceptingJobs"
    assert front.sample("wsdgateway_passed_total", outcome="fault") == 1


@pytest_twisted.ensureDeferred
async def test_a_request_that_cannot_be_read_is_refused_by_the_owner(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    head, answer = await ask(front.port, PATH, b"<no")
    assert (head.status, fault_of(read(answer))) == (400, "InvalidArgs")
    assert "cannot be read" in reason_of(read(answer))
    assert [(one.operation, one.source, one.via) for one in front.entries()] == [("other", "refused", "owner")]


@pytest_twisted.ensureDeferred
async def test_a_header_block_that_leaves_no_room_is_refused(pair, device):
    _, front = await pair(device.url, scanner=OFF)
    head, _ = await ask(front.port, PATH, ELEMENTS, headers=b"X: " + b"a" * 15000 + b"\r\n")
    assert head.status == 431


@pytest_twisted.ensureDeferred
async def test_subscriptions_are_managed_through_any_gateway(pair, virtual, sink):
    device, listener = await virtual(), await sink()
    owner, front = await pair(device.scan_url)
    await until(lambda: owner.scanner.bridge.table.listening)
    granted = Granted(*await ask(front.port, PATH, subscribe(listener.url)))
    assert granted.manager.startswith(f"http://127.0.0.1:{front.port}/front-desk/subscriptions/")
    for gateway, operation in ((front, "Renew"), (owner, "GetStatus"), (front, "GetStatus")):
        head, _ = await ask(gateway.port, granted.path, manage(operation))
        assert head.status == 200, operation
    await ask(front.port, PATH, create_scan_job())
    await until(lambda: "JobStatusEvent" in listener.events)
    assert (await ask(front.port, granted.path, manage("Unsubscribe")))[0].status == 200
    assert len(owner.scanner.bridge.subscriptions.all()) == 0
