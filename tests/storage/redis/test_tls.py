"""TLS to a Redis server: the certificate must be signed by the CA of the URL, and be for the host."""

import pytest
import pytest_twisted

from tests.certificates import Certified
from tests.ports import free_port
from wsdgateway.storage.coordination import DEADLINE, NotAdmitted, NotNow


@pytest.fixture
def authority(tmp_path):
    return Certified(tmp_path, "authority", ca=True)


def serve(redis_servers, certified):
    return redis_servers(port=free_port(), tls=(certified.pem, certified.key))


async def problem(client, kind=NotNow):
    with pytest.raises(kind) as failed:
        await client.connection("store").run(lambda redis: redis.ping())
    return str(failed.value)


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_the_ca(tmp_path, authority, redis_servers, make_client):
    server = serve(redis_servers, Certified(tmp_path, "server", "127.0.0.1", issuer=authority))
    connection = make_client(f"{server.url}?ca={authority.pem}").connection("store")
    assert await connection.run(lambda redis: redis.set("x", "1"))
    server.restart(keep=True)
    assert await connection.run(lambda redis: redis.get("x")) == b"1"


@pytest_twisted.ensureDeferred
async def test_other_certificates_are_refused(tmp_path, authority, redis_servers, make_client):
    stranger = Certified(tmp_path, "stranger", ca=True)
    for certified, ca in ((Certified(tmp_path, "foreign", "127.0.0.1", issuer=stranger), f"?ca={authority.pem}"),
                          (Certified(tmp_path, "elsewhere", "192.0.2.1", issuer=authority), f"?ca={authority.pem}"),
                          (Certified(tmp_path, "unknown", "127.0.0.1", issuer=authority), "")):
        server = serve(redis_servers, certified)
        assert "certificate verify failed" in await problem(make_client(server.url + ca), NotAdmitted)


@pytest_twisted.ensureDeferred
async def test_no_tls_on_either_side(tmp_path, authority, redis_servers, make_client):
    plain = redis_servers(port=free_port())
    await problem(make_client(f"{plain.url.replace('redis:', 'rediss:')}?ca={authority.pem}", deadline=DEADLINE))
    secure = serve(redis_servers, Certified(tmp_path, "server", "127.0.0.1", issuer=authority))
    await problem(make_client(secure.url.replace("rediss:", "redis:"), deadline=DEADLINE))


@pytest_twisted.ensureDeferred
async def test_a_ca_file_that_cannot_be_read(tmp_path, redis_servers, make_client):
    server = serve(redis_servers, Certified(tmp_path, "server", "127.0.0.1"))
    (tmp_path / "text").write_text("no certificate")
    assert "missing.pem" in await problem(make_client(f"{server.url}?ca={tmp_path}/missing.pem"))
    await problem(make_client(f"{server.url}?ca={tmp_path}/text"))
