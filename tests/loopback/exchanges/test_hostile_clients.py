"""Hostile clients beside a conforming one, which must not be affected.

RFC 9112 sections 8 and 9.5.
"""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from tests.messages import ELEMENTS, get_job_elements, status_response
from tests.peers import TIMEOUT, ask, connect, post
from wsdgateway.net.server.connection import ClientConnection

OFF = {"events": "off"}
PATH = "/front-desk/scan"
ANSWER = status_response("1", "Completed", 1)
WHOLE = post(PATH, get_job_elements("1"))


async def served(service, device):
    """Checks that another client's request reaches the device and is answered."""
    device.handle = lambda asked: asked.answer(ANSWER)
    head, answer = await ask(service.port, PATH, ELEMENTS)
    assert (head.status, answer) == (200, ANSWER)


async def all_gone(service):
    """Waits until the gateway has no connection left."""
    from twisted.internet import reactor

    await service.server.empty().addTimeout(TIMEOUT, reactor)


def begin(port, data):
    """Opens a connection and sends the data on it."""
    async def opened():
        client = await connect(port)
        client.send(data)
        return client

    return ensureDeferred(opened())


@pytest_twisted.ensureDeferred
async def test_no_more_than_one_read_of_a_flood_is_taken(gateway, device, monkeypatch):
    service = await gateway(device.url, scanner=OFF)
    read, received = [], ClientConnection.dataReceived

    def reading(connection, data):
        read.append(len(data))
        received(connection, data)

    monkeypatch.setattr(ClientConnection, "dataReceived", reading)
    flooding = await connect(service.port)
    flooding.send(WHOLE * 30000)
    asked = await device.next()
    flood = sum(read)
    await served(service, device)
    assert flood <= 2 * 65536
    assert sum(read) - flood <= 65536
    assert len(device.requests) == 2
    flooding.transport.abortConnection()
    asked.answer(ANSWER)
    await flooding.end()
    await served(service, device)


@pytest_twisted.ensureDeferred
async def test_hundreds_of_slow_clients_delay_no_other_and_time_out(gateway, device):
    service = await gateway(device.url, scanner=OFF, limits={"header_timeout": 1.0})
    beginnings = [b"", b"POST /front-desk/scan HTTP/1.1\r\nX: ", WHOLE[:-1], WHOLE[:len(WHOLE) // 2],
                  b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"]
    slow = await gatherResults([begin(service.port, beginning) for beginning in beginnings for _ in range(40)])
    await served(service, device)
    received = await gatherResults([ensureDeferred(client.end()) for client in slow])
    assert [answer[:13] for answer in received] == [b""] * 40 + [b"HTTP/1.1 408 "] * 160
    await all_gone(service)
    await served(service, device)


@pytest_twisted.ensureDeferred
async def test_hundreds_of_incomplete_requests_leave_nothing_behind(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    for cut in range(1, len(WHOLE), 5):
        client = await connect(service.port)
        client.send(WHOLE[:cut])
        client.transport.loseConnection()
        assert await client.end() == b""
    await served(service, device)
    assert len(device.requests) == 1


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"\r\n" * 99 + b"x",
                                      b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000, bytes(range(256)) * 100])
@pytest_twisted.ensureDeferred
async def test_hundreds_of_invalid_requests_get_an_answer(gateway, device, nonsense):
    service = await gateway(device.url, scanner=OFF)
    clients = await gatherResults([begin(service.port, nonsense) for _ in range(100)])
    received = await gatherResults([ensureDeferred(client.end()) for client in clients])
    assert {answer[:13] for answer in received} <= {b"HTTP/1.1 400 ", b"HTTP/1.1 431 "}
    await all_gone(service)
    await served(service, device)
