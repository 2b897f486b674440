"""The HTTP server for clients, over real sockets."""

import pytest
import pytest_twisted

from tests.messages import SCAN, envelope, get_job_elements, status_response
from tests.peers import ask, connect, post
from wsdgateway.http.messages import first
from wsdgateway.http.requests import MAX_HEADER_BLOCK
from wsdgateway.net.clients.discoveryendpoint import STABLE
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSD, WSE

OFF = {"events": "off"}
PATH = "/front-desk/scan"


@pytest_twisted.ensureDeferred
async def test_keep_alive_and_pipelining_answer_in_order(gateway, echo):
    service = await gateway(echo.url, scanner=OFF)
    client = await connect(service.port)
    ids = [f"urn:uuid:{number}" for number in range(20)]
    client.send(b"".join(post(PATH, get_job_elements("1", message_id=id_)) for id_ in ids))
    for position, id_ in enumerate(ids):
        head, body = await client.answer()
        assert head.status == 200
        if position:  # the first one was forwarded, so its answer is the device's
            assert read(body).relates_to == id_
    assert len(echo.requests) == 1
    client.transport.loseConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_chunked_requests_and_expect(gateway, echo):
    service = await gateway(echo.url, scanner=OFF)
    client = await connect(service.port)
    body = get_job_elements("1")
    client.send(b"POST /front-desk/scan HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\n"
                b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.until(lambda data: data == b"HTTP/1.1 100 Continue\r\n\r\n")
    client.received = b""
    client.send(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
    head, _ = await client.answer()
    assert head.status == 200
    assert echo.requests[0].request.body.endswith(b"</soap:Envelope>")
    client.transport.loseConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_expect_behind_a_running_request_is_answered_in_its_turn(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    body = get_job_elements("2")
    second = post(PATH, body, headers=b"Expect: 100-continue\r\n")
    client.send(post(PATH, get_job_elements("1")) + second[:-len(body)])
    asked = await device.next()
    asked.answer(status_response("1", "Completed", 1))
    await client.until(lambda data: data.endswith(b"HTTP/1.1 100 Continue\r\n\r\n"))
    client.received = b""
    client.send(body)
    (await device.next()).answer(status_response("2", "Completed", 1))
    assert (await client.answer())[0].status == 200
    client.transport.loseConnection()
    await client.end()


@pytest.mark.parametrize(("version", "headers", "stays"), [
    (b"1.0", b"", False), (b"1.0", b"Connection: keep-alive\r\n", True), (b"1.1", b"Connection: close\r\n", False),
    (b"1.1", b"", True)])
@pytest_twisted.ensureDeferred
async def test_persistence(gateway, echo, version, headers, stays):
    service = await gateway(echo.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, get_job_elements("1"), version=version, headers=headers))
    head, _ = await client.answer()
    assert first(head.headers, b"connection") == (None if stays and version == b"1.1" else
                                                  b"keep-alive" if stays else b"close")
    if stays:
        client.send(post(PATH, get_job_elements("1"), version=version))
        assert (await client.answer())[0].status == 200
        client.transport.loseConnection()
    await client.end()


@pytest.mark.parametrize(("data", "status"), [
    (b"nonsense\r\n\r\n", 400), (post(PATH, b"").replace(b"Host: 127.0.0.1\r\n", b""), 400),
    (post(PATH, b"", headers=b"Transfer-Encoding: chunked\r\n"), 400),
    (post(PATH, b"", headers=b"X: " + b"x" * MAX_HEADER_BLOCK + b"\r\n"), 431),
    (post(PATH, b"x" * 3000), 413), (b"POST / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
])
@pytest_twisted.ensureDeferred
async def test_unreadable_requests_are_refused_and_the_connection_closed(gateway, echo, data, status):
    service = await gateway(echo.url, scanner=OFF, limits={"request_body": 2000})
    client = await connect(service.port)
    client.send(data)
    head, body = await client.answer()
    assert head.status == status
    assert first(head.headers, b"content-type").startswith(b"text/plain")
    assert first(head.headers, b"connection") == b"close"
    assert body
    assert await client.end() == b""
    assert not echo.requests


@pytest.mark.parametrize(("request_line", "status"), [
    (b"GET /front-desk/scan", 405), (b"HEAD /front-desk/scan", 405), (b"GET /", 405), (b"PUT /front-desk", 405),
    (b"GET " + STABLE, 405), (b"GET /front-desk/subscriptions/5", 405), (b"GET /none", 404),
    (b"POST /front-desk/", 404),
    (b"POST /front-desk/scan/x", 404), (b"POST /other/scan", 404), (b"POST /front-desk/events/guess", 404),
    (b"POST /front-desk/events/", 404), (b"POST /front-desk/scan", 415), (b"OPTIONS *", 404)])
@pytest_twisted.ensureDeferred
async def test_paths_methods_and_types(gateway, echo, request_line, status):
    service = await gateway(echo.url, scanner=OFF)
    client = await connect(service.port)
    client.send(request_line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await client.end()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nAllow: POST\r\n" in answer) is (status == 405)
    if request_line.startswith(b"HEAD"):
        assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("content_type", [b"text/xml", b"application/xml", b"multipart/related"])
@pytest_twisted.ensureDeferred
async def test_another_content_type_is_415(gateway, echo, content_type):
    service = await gateway(echo.url, scanner=OFF)
    head, _ = await ask(service.port, PATH, get_job_elements(), content_type=content_type)
    assert head.status == 415


@pytest.mark.parametrize(("path", "body", "code", "status"), [
    (PATH, b"<soap", "InvalidArgs", 400), (PATH, b"", "InvalidArgs", 400), (PATH, b"<a/>", "InvalidArgs", 400),
    (PATH, b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "InvalidArgs", 400),
    (PATH, b"<a>" * 300 + b"</a>" * 300, "InvalidArgs", 400),
    (PATH, envelope(None, "<wscn:X/>"), "MessageInformationHeaderRequired", 400),
    (PATH, envelope(f"{WSE}/Subscribe", "<wse:Subscribe/>"), "InvalidMessage", 400),
    ("/front-desk/subscriptions/5", envelope(f"{WSE}/Renew", "<wse:Renew/>"), "InvalidMessage", 400),
    ("/front-desk", envelope(f"{SCAN}/GetJobElements"), "ActionNotSupported", 400),
    ("/", envelope(f"{WSD}/Nonsense"), "ActionNotSupported", 400), ("/", b"<a", "InvalidArgs", 400),
    (STABLE.decode(), envelope(None), "MessageInformationHeaderRequired", 400),
])
@pytest_twisted.ensureDeferred
async def test_faults_of_the_gateway(gateway, echo, path, body, code, status):
    service = await gateway(echo.url, scanner=OFF)
    head, answer = await ask(service.port, path, body)
    message = read(answer)
    assert (head.status, fault_of(message)) == (status, code)
    assert first(head.headers, b"content-type") == b"application/soap+xml; charset=utf-8"
    if b"MessageID" in body:
        assert message.relates_to == "urn:uuid:00000000-0000-4000-8000-000000000001"
    assert not echo.requests


@pytest_twisted.ensureDeferred
async def test_slow_requests_time_out_and_silent_connections_close(gateway, echo):
    service = await gateway(echo.url, scanner=OFF, limits={"header_timeout": 1.0, "keepalive_timeout": 1.0})
    silent, slow_head, slow_body, idle = [await connect(service.port) for _ in range(4)]
    slow_head.send(b"POST / HTT")
    slow_body.send(post(PATH, b"x" * 10)[:-1])
    idle.send(post(PATH, get_job_elements("1")))
    await idle.answer()
    assert await silent.end() == b""
    assert await idle.end() == b""
    for slow in (slow_head, slow_body):
        assert (await slow.end()).startswith(b"HTTP/1.1 408 ")


@pytest_twisted.ensureDeferred
async def test_connections_are_bounded(gateway, echo):
    service = await gateway(echo.url, scanner=OFF, limits={"connections": 2})
    clients = [await connect(service.port) for _ in range(3)]
    assert (await clients[2].end()).startswith(b"HTTP/1.1 503 ")
    clients[0].send(post(PATH, get_job_elements("1")))
    assert (await clients[0].answer())[0].status == 200
    for client in clients[:2]:
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_an_upgrade_is_ignored(gateway, echo):
    service = await gateway(echo.url, scanner=OFF)
    client = await connect(service.port)
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    client.send(post(PATH, get_job_elements("1"), headers=upgrade) + b"PRI * HTTP/2.0")
    answer = await client.end()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest_twisted.ensureDeferred
async def test_half_closed_clients_get_their_answer(gateway, echo):
    service = await gateway(echo.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, get_job_elements("1")))
    client.transport.loseWriteConnection()
    assert (await client.end()).startswith(b"HTTP/1.1 200 ")


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_not_read_from(gateway, echo):
    """An endless pipeline: the waiting data stays bounded, and the client is closed in time."""
    service = await gateway(echo.url, scanner=OFF, limits={"keepalive_timeout": 0.3})
    await ask(service.port, PATH, get_job_elements("1"))
    client = await connect(service.port)
    client.transport.pauseProducing()
    pipeline = post(PATH, get_job_elements("1")) * 20000
    client.send(pipeline)
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    for _ in range(200):
        await deferLater(reactor, 0.02)
        if not service.server.connections:
            break
    assert not service.server.connections
    client.transport.resumeProducing()
    assert len(await client.end()) < len(pipeline)


@pytest_twisted.ensureDeferred
async def test_refusals_of_one_kind_are_logged_once_a_minute(gateway, echo, said):
    service = await gateway(echo.url, scanner=OFF)

    async def refuse(data, times):
        for _ in range(times):
            client = await connect(service.port)
            client.send(data)
            await client.answer()
            client.transport.abortConnection()

    def lines():
        return [line.partition(": ")[2] for line in said if "refused with" in line]

    await refuse(b"nonsense\r\n\r\n", 3)
    [first] = lines()
    assert first.startswith("refused with 400: ") and first.endswith("(logged at most once a minute)")
    await refuse(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 2)
    assert [line.partition(": ")[0] for line in lines()] == ["refused with 400", "refused with 413"]
    service.clock.advance(60.0)
    await refuse(b"nonsense\r\n\r\n", 2)
    assert lines()[2:] == [first]
