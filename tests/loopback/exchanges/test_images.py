"""Images on their way from the scanner to a client."""

import pytest
import pytest_twisted

from tests.loopback.exchanges.images import IMAGE, MTOM, MULTIPART, PARTS
from tests.messages import (
    ELEMENTS,
    create_scan_job,
    created_job,
)
from tests.peers import connect, post
from wsdgateway.http.messages import first

OFF = {"events": "off"}
PATH = "/front-desk/scan"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest_twisted.ensureDeferred
async def test_images_pass_unchanged(gateway, device, framing, version):
    service = await gateway(device.url, scanner=OFF)

    def handle(asked):
        head = b"HTTP/1.1 200 OK\r\nX-Device: 7\r\nContent-Type: " + MTOM + b"\r\n"
        if framing == "length":
            asked.write(head + b"Content-Length: %d\r\n\r\n" % len(MULTIPART) + MULTIPART)
        elif framing == "chunked":
            pieces = [MULTIPART[i:i + 1000] for i in range(0, len(MULTIPART), 1000)]
            asked.write(head + b"Transfer-Encoding: chunked\r\n\r\n"
                        + b"".join(b"%x\r\n" % len(p) + p + b"\r\n" for p in pieces) + b"0\r\n\r\n")
        else:
            asked.write(head.replace(b"1.1", b"1.0") + b"\r\n" + MULTIPART)
            asked.close()

    device.handle = handle
    client = await connect(service.port)
    client.send(post(PATH, IMAGE, version=version))
    if version == b"1.0" and framing != "length":
        answer = await client.end()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Transfer-Encoding" not in head
        assert body == MULTIPART
    else:
        head, body = await client.answer()
        assert body == MULTIPART
        assert first(head.headers, b"content-type") == MTOM
        assert first(head.headers, b"x-device") == b"7"
        assert (head.length == len(MULTIPART)) is (framing == "length")
        client.transport.abortConnection()
        await client.end()
    text = service.metrics.render().decode()
    assert 'wsdgateway_image_bytes_total{scanner="front-desk"} 10242.0' in text


@pytest_twisted.ensureDeferred
async def test_the_first_byte_does_not_wait_for_the_last(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, IMAGE))
    image = await device.next()
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\nContent-Length: 1000000\r\n\r\n" + PARTS)
    await client.until(lambda data: data.endswith(PARTS))
    client.transport.abortConnection()
    await client.end()
    await device.until_lost(image)


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
    b"HTTP/1.0 200 OK\r\n"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest_twisted.ensureDeferred
async def test_an_incomplete_image_is_not_ended_like_a_complete_one(gateway, device, head, version):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, IMAGE, version=version))
    image = await device.next()
    body = PARTS + b"half an image"
    image.write(head + b"Content-Type: " + MTOM + b"\r\n\r\n"
                + (b"%x\r\n" % len(body) + body + b"\r\n" if b"chunked" in head else body))
    await client.until(lambda data: b"half an image" in data)
    image.close()
    answer = await client.end()
    assert not answer.endswith(b"0\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_a_stalled_image_times_out(gateway, device):
    service = await gateway(device.url, scanner={**OFF, "idle_timeout": 0.2})
    client = await connect(service.port)
    client.send(post(PATH, IMAGE))
    image = await device.next()
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\nContent-Length: 1000000\r\n\r\n" + PARTS)
    await client.end()
    await device.until_lost(image)


@pytest_twisted.ensureDeferred
async def test_a_client_that_disconnects_ends_only_its_image(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    leaving, staying = await connect(service.port), await connect(service.port)
    leaving.send(post(PATH, IMAGE))
    image = await device.next()
    staying.send(post(PATH, ELEMENTS))
    other = await device.next()
    leaving.transport.abortConnection()
    await device.until_lost(image)
    other.answer(b"<a/>")
    assert (await staying.answer())[1] == b"<a/>"
    staying.transport.abortConnection()
    await staying.end()


@pytest_twisted.ensureDeferred
async def test_a_slow_client_slows_the_device(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.transport.pauseProducing()
    client.send(post(PATH, IMAGE))
    image = await device.next()
    size = 32 * 1024 * 1024
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + MTOM + b"\r\nContent-Length: %d\r\n\r\n" % (size + len(PARTS)))
    image.write(PARTS + b"x" * size)
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.3)
    [connection] = service.server.connections
    assert connection.pending() < 2 * 1024 * 1024
    client.transport.resumeProducing()
    await client.until_size(size)
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_a_client_that_disconnects_before_the_first_byte_ends_its_image(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, IMAGE))
    image = await device.next()
    client.transport.loseConnection()
    await device.until_lost(image)
    await client.end()
    assert service.scanner.device.reachable is not False


@pytest.mark.parametrize("content_type", [b"application/x-scan", b"application/pdf", b""])
@pytest_twisted.ensureDeferred
async def test_an_image_of_another_content_type_is_streamed(gateway, device, content_type):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, IMAGE))
    image = await device.next()
    image.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\nContent-Length: 10\r\n\r\n01234")
    await client.until(lambda data: data.endswith(b"01234"))
    image.write(b"56789")
    assert (await client.answer())[1] == b"0123456789"
    client.transport.loseConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_bytes_after_an_answer_are_ignored(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    client = await connect(service.port)
    client.send(post(PATH, create_scan_job()))
    asked = await device.next()
    body = created_job("5")
    asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body + b"\r\n")
    assert (await client.answer())[1] == body
    client.transport.loseConnection()
    await client.end()
