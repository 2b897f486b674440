"""Limits of TLS to clients: expensive or failed handshakes, and connections that the client does not close."""

import pytest
import pytest_twisted
from twisted.logger import capturedLogs

from tests.certificates import Certified
from tests.loopback.gateways import tls_listener
from tests.messages import ELEMENTS, scanner_elements
from tests.peers import connect, post
from tests.waiting import until
from wsdgateway.bridge.access.quotas import HANDSHAKE_COSTS
from wsdgateway.metrics import RATE, TLS
from wsdgateway.tls.trust import Caller, Trust

PATH = "/front-desk/scan"
LARGE = 12_000_000  # more than the system buffers for a connection


@pytest.fixture
def secured(gateway, device, tmp_path):
    """Starts a gateway with a TLS listener in front of the device; limits apply to any client."""
    server = Certified(tmp_path, "server", "127.0.0.1")

    async def start(tls=None, **limits):
        return await gateway(device.url, scanner={"events": "off"}, limits=limits, listen=[
            tls_listener(server, **(tls or {}))])

    return start


def anybody():
    return Caller(Trust(insecure=True), "127.0.0.1")


async def answered(service):
    client = await connect(service.port, anybody())
    client.send(post(PATH, ELEMENTS))
    assert (await client.answer())[0].status == 200
    return client


async def leave(*clients):
    for client in clients:
        client.transport.abortConnection()
        await client.end()


def refused(service, reason):
    return service.metrics.registry.get_sample_value("wsdgateway_refused_total", {"scanner": "", "reason": reason})


@pytest_twisted.ensureDeferred
async def test_a_closed_idle_connection_is_gone_before_the_client_closes_it(secured, device):
    device.handle = lambda asked: asked.answer(scanner_elements("ScannerStatus"))
    service = await secured(connections=1)
    silent = await answered(service)
    silent.transport.pauseProducing()  # the client does not even notice that the connection ends
    other = await answered(service)
    await until(lambda: len(service.server.connections) == 1)
    await leave(silent, other)


@pytest_twisted.ensureDeferred
async def test_an_answer_arrives_completely_before_the_connection_closes(secured):
    body = b"x" * LARGE
    service = await secured()
    service.server.respond = lambda exchange: exchange.answer(200, body)
    client = await connect(service.port, anybody())
    client.send(post(PATH, ELEMENTS, headers=b"Connection: close\r\n"))
    await client.until(bool)
    client.transport.pauseProducing()
    [connection] = service.server.connections
    await until(lambda: connection.transport.disconnecting)
    assert connection.pending()
    client.transport.resumeProducing()
    received = await client.end()
    assert received.endswith(body)
    await until(lambda: not service.server.connections)


@pytest_twisted.ensureDeferred
async def test_handshakes_count_for_the_request_limit(secured, said):
    service = await secured(unlimited=[], client_requests=12 * HANDSHAKE_COSTS)
    service.server.seconds = lambda: 0.0  # no tokens are added with time
    welcome = [await connect(service.port, anybody()) for _ in range(12)]
    await until(lambda: len(service.server.connections) == 12)
    late = await connect(service.port, anybody())
    assert await late.end() == b""
    assert refused(service, RATE) == 1.0
    assert any(line.startswith("a TLS handshake of client 127.0.0.1 refused: ") for line in said)
    assert not any(client.is_closed for client in welcome)
    await leave(*welcome)


@pytest_twisted.ensureDeferred
async def test_failed_handshakes_are_counted_and_logged_once(secured, tmp_path):
    authority = Certified(tmp_path, "authority", ca=True)
    service = await secured({"client_ca": str(authority.pem)})
    with capturedLogs() as events:
        for _ in range(2):
            client = await connect(service.port, anybody())
            client.send(post(PATH, ELEMENTS))
            await client.end()
        await until(lambda: not service.server.connections)
    assert refused(service, TLS) == 2.0
    [said] = [event for event in events if "why" in event]
    assert said["client"] == "127.0.0.1"
    assert "did not return a certificate" in said["why"] and "client_ca" in said["why"]


@pytest.mark.parametrize(("kind", "words"), [
    ("stranger", "alert unknown ca): it does not know the authority of the gateway's certificate"),
    ("plain", "http request): it sent plain HTTP to a TLS port"), ("garbage", "TLS handshake failed (")])
@pytest_twisted.ensureDeferred
async def test_the_log_explains_a_failed_handshake(secured, tmp_path, kind, words):
    service = await secured()
    other = Certified(tmp_path, "other", ca=True)
    with capturedLogs() as events:
        client = await connect(service.port, Caller(Trust(ca=other.pem), "127.0.0.1") if kind == "stranger" else None)
        client.send(b"\x00" * 50 if kind == "garbage" else post(PATH, ELEMENTS))
        await client.end()
        await until(lambda: not service.server.connections)
    [said] = [event["why"] for event in events if "why" in event]
    assert words in said
    assert refused(service, TLS) == 1.0


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_during_the_handshake_is_not_a_failure(secured):
    service = await secured()
    client = await connect(service.port)
    client.send(b"\x16\x03\x01")
    await until(lambda: service.server.connections)
    await leave(client)
    await until(lambda: not service.server.connections)
    assert not refused(service, TLS)
