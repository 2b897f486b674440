"""Limits of the admin site: held connections, guessed tokens, and incomplete handshakes."""

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from tests.certificates import Certified
from tests.loopback.clients import request
from tests.loopback.gateways import LOOPBACK, TOKEN, File, tls_listener, with_token
from tests.peers import Raw, ask, connect
from tests.waiting import until
from wsdgateway.admin.attempts import CLIENT_BURST, CLIENT_SECONDS
from wsdgateway.app.resourcelimits import ADMIN_SHARE

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


async def log_in(port, token, source="127.0.0.1", path=b"/login", method=b"POST", headers=FORM):
    """Sends a token from an address of this host, and returns status and head of the answer."""
    from twisted.internet import reactor

    body = b"token=" + token.encode() if method == b"POST" else b""
    client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port, bindAddress=(source, 0)), Raw())
    client.send(method + b" " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + headers
                + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    head, _, _ = (await client.end()).partition(b"\r\n\r\n")
    return int(head.split()[1]), head


@pytest_twisted.ensureDeferred
async def test_wrong_tokens_and_their_log_lines_are_limited_for_each_client(gateway, said):
    service = await gateway(None, **with_token())
    said.clear()
    answers = [await log_in(service.admin_port, f"wrong{number}") for number in range(5 * CLIENT_BURST)]
    assert [status for status, _ in answers] == [401] * CLIENT_BURST + [429] * 4 * CLIENT_BURST
    waits = [int(head.partition(b"\r\nRetry-After: ")[2].split()[0]) for status, head in answers if status == 429]
    assert max(waits) == CLIENT_SECONDS and waits == sorted(waits, reverse=True)
    assert len([line for line in said if "wrong token" in line]) == 1
    assert (await log_in(service.admin_port, TOKEN))[0] == 429
    assert (await log_in(service.admin_port, TOKEN, "127.0.0.2"))[0] == 303


@pytest_twisted.ensureDeferred
async def test_wrong_bearer_and_form_tokens_share_one_limit(gateway, said):
    service = await gateway(None, **with_token())
    said.clear()
    wrong = b"Authorization: Bearer wrong\r\n"
    for path in (b"/metrics", b"/api/jobs") * (CLIENT_BURST // 2):
        status, head = await log_in(service.admin_port, "", path=path, method=b"GET", headers=wrong)
        assert status == 401 and b"WWW-Authenticate: Bearer" in head
    status, head = await log_in(service.admin_port, "", path=b"/metrics", method=b"GET", headers=wrong)
    assert status == 429 and b"\r\nRetry-After: " in head
    assert (await log_in(service.admin_port, "wrong"))[0] == 429
    assert (await request(service.admin_port, b"/healthz", headers=wrong))[0] == 200
    right = b"Authorization: Bearer %s\r\n" % TOKEN.encode()
    assert (await log_in(service.admin_port, "", "127.0.0.2", b"/metrics", b"GET", right))[0] == 200
    assert len([line for line in said if "wrong token" in line]) == 1


@pytest_twisted.ensureDeferred
async def test_idle_connections_make_room_and_clients_of_scanners_are_not_affected(gateway):
    service = await gateway(None, admin={"endpoint": LOOPBACK, "connections": 20})
    clients = [await connect(service.admin_port) for _ in range(100)]
    await until(lambda: sum(not client.is_closed for client in clients) == 20)
    assert (await request(service.admin_port, b"/healthz"))[0] == 200
    assert (await ask(service.port, "/nowhere", b""))[0].status == 404
    for client in clients:
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_incomplete_requests_and_idle_connections_time_out(gateway):
    service = await gateway(None, limits={"header_timeout": 1.0, "keepalive_timeout": 1.0})
    silent, slow, idle = [await connect(service.admin_port) for _ in range(3)]
    slow.send(b"GET /healthz HTTP/1.1\r\nHost: 1")
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert await silent.end() == b""
    assert (await slow.end()).startswith(b"HTTP/1.1 408 ")
    assert (await idle.end()).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
@pytest_twisted.ensureDeferred
async def test_an_incomplete_handshake_times_out(gateway, tmp_path, authority, beginning):
    server = Certified(tmp_path, "server", "127.0.0.1", issuer=authority)
    service = await gateway(None, limits={"header_timeout": 0.2}, admin=tls_listener(server, connections=2))
    clients = [await connect(service.admin_port) for _ in range(4)]
    for client in clients:
        client.send(beginning)
        await client.end()
    await until(lambda: len(service.site.connections) == 0)


@pytest_twisted.ensureDeferred
async def test_changed_limits_apply_after_a_reload(tmp_path, running):
    file = File(tmp_path / "g.toml", running)
    service = await file.start("")
    assert service.site.connections.limits.connections == 200
    await file.reload('connections = 3\n[limits]\nheader_timeout = 1.0\nkeepalive_timeout = 1.5')
    limits = service.site.connections.limits
    assert (limits.connections, limits.header_timeout, limits.keepalive_timeout) == (3, 1.0, 1.5)
    clients = [await connect(service.admin_port) for _ in range(5)]
    await until(lambda: len(service.site.connections) == 3)
    for client in clients:
        assert await client.end() == b""


@pytest.mark.parametrize(("files", "connections"), [(100000, 200), (1024, int(1024 * ADMIN_SHARE)), (10, 1)])
@pytest_twisted.ensureDeferred
async def test_the_site_uses_only_its_share_of_file_descriptors(gateway, monkeypatch, files, connections):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    service = await gateway(None)
    assert service.site.connections.limits.connections == connections
