"""Servers that refuse a connection, which must be told from servers that are away."""

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from tests.certificates import Certified
from tests.ports import free_port
from wsdgateway.storage.coordination import DEADLINE, NotAdmitted, NotNow
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.inspecting import inspect_server

ATTEMPTS = 10  # since a reset connection may lose the reason, or not


@pytest.fixture
def authority(tmp_path):
    return Certified(tmp_path, "authority", ca=True)


@pytest.fixture
def secure(tmp_path, authority, redis_servers):
    """Starts servers with TLS: `secure(**options)`."""
    certified = Certified(tmp_path, "server", "127.0.0.1", issuer=authority)
    return lambda **options: redis_servers(port=free_port(), tls=(certified.pem, certified.key),
                                           tls_ca_cert_file=str(authority.pem), **options)


async def problem(client, kind):
    """The text of the error of a command, which must be of exactly that kind."""
    with pytest.raises(NotNow) as failed:
        await client.connection("store").run(lambda redis: redis.get("x"))
    assert failed.type is kind, failed.value
    return str(failed.value)


@pytest.mark.parametrize("login", ["", "gateway:secret@"])
@pytest.mark.parametrize("certificates", ["no", "yes"])
@pytest_twisted.ensureDeferred
async def test_a_server_with_tls_and_a_url_without(secure, make_client, login, certificates):
    server = secure(tls_auth_clients=certificates)
    client = make_client(f"redis://{login}127.0.0.1:{server.port}/0")
    for _ in range(ATTEMPTS):
        assert "the server speaks TLS: the URL must begin with rediss" in await problem(client, NotAdmitted)


@pytest_twisted.ensureDeferred
async def test_a_server_without_tls_and_a_url_with_it(redis_servers, make_client):
    url = redis_servers(port=free_port()).url.replace("redis:", "rediss:")
    with pytest.raises(NotAdmitted, match="the server speaks no TLS: the URL must begin with redis, not rediss"):
        await deferToThread(inspect_server, parse(url), 4.0)
    client = make_client(url, deadline=DEADLINE)
    with pytest.raises(NotNow):  # the server waits for the end of a command, mostly for longer than the deadline
        await client.connection("store").run(lambda redis: redis.get("x"))
    for _ in range(2):
        assert "speaks no TLS" in await problem(client, NotAdmitted)


@pytest.mark.parametrize(("protocols", "said"), [
    ("TLSv1.3", "the server demands a client certificate: tls-auth-clients in redis.conf must be no"),
    ("TLSv1.2", "the server refuses the TLS connection: tls-auth-clients in redis.conf must be no")])
@pytest_twisted.ensureDeferred
async def test_a_server_that_demands_a_certificate(secure, authority, make_client, protocols, said):
    server = secure(tls_auth_clients="yes", tls_protocols=protocols)
    client = make_client(f"{server.url}?ca={authority.pem}")
    for _ in range(ATTEMPTS):
        assert said in await problem(client, NotAdmitted)


@pytest_twisted.ensureDeferred
async def test_sentinels_with_tls_and_a_url_without_or_the_reverse(secure, redis_servers, make_client):
    port = secure(sentinel=True).port
    client = make_client(f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{port}/gateways/0")
    assert f"127.0.0.1:{port}: the server speaks TLS" in await problem(client, NotAdmitted)
    port = redis_servers(port=free_port(), sentinel=True).port
    client = make_client(f"rediss+sentinel://127.0.0.1:{port},127.0.0.1:{port}/gateways/0", deadline=5.0)
    assert f"127.0.0.1:{port}: the server speaks no TLS" in await problem(client, NotAdmitted)


class _Saying(Protocol):
    """A server that says `factory.said` at once and closes the connection."""

    def connectionMade(self):
        self.transport.write(self.factory.said)
        self.transport.loseConnection()


class _Resetting(Protocol):
    """A proxy that has no server."""

    def connectionMade(self):
        self.transport.abortConnection()


@pytest.fixture
def listening():
    """Starts services on loopback, and returns the port: `listening(protocol, said)`."""
    from twisted.internet import reactor

    ports = []

    def start(protocol, said=b""):
        factory = Factory.forProtocol(protocol)
        factory.said = said
        ports.append(reactor.listenTCP(0, factory, interface="127.0.0.1"))
        return ports[-1].getHost().port

    yield start
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


@pytest.mark.parametrize("login", ["", "gateway:secret@"])
@pytest.mark.parametrize(("said", "told"), [
    (b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
     b"default user. In this mode connections are only accepted from the loopback interface.\r\n",
     "the server is in protected mode, and admits its own host only: requirepass must be set ("),
    (b"-ERR max number of clients reached\r\n", "max number of clients reached"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "must be the port of a Redis server (")])
@pytest_twisted.ensureDeferred
async def test_a_server_that_refuses_the_connection_with_a_reason(listening, make_client, said, told, login):
    port = listening(_Saying, said)
    for url in (f"redis://{login}127.0.0.1:{port}/0", f"redis+sentinel://{login}127.0.0.1:{port}/gateways/0"):
        client = make_client(url)
        for _ in range(ATTEMPTS):
            assert told in await problem(client, NotAdmitted)


@pytest.mark.parametrize("protocol", [_Saying, _Resetting])
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
@pytest_twisted.ensureDeferred
async def test_a_proxy_without_a_server_is_away(listening, make_client, protocol, scheme):
    port = listening(protocol)
    client = make_client(f"{scheme}://127.0.0.1:{port}/0")
    for _ in range(ATTEMPTS):
        await problem(client, NotNow)


@pytest_twisted.ensureDeferred
async def test_a_server_with_tls_that_was_silent_is_used_when_it_answers(secure, authority, make_client):
    server = secure()
    client = make_client(f"{server.url}?ca={authority.pem}", deadline=DEADLINE)
    server.stop()
    for _ in range(3):
        assert "no answer within 1 s" in await problem(client, NotNow)
    server.cont()
    late = make_client(f"{server.url}?ca={authority.pem}").connection("store")
    assert await late.run(lambda redis: redis.get("x")) is None
