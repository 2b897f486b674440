"""Tests of cli.redischeck: what `wsdgateway check` says of the Redis server in `[gateway] state`."""

import socket
import sys

import pytest

from tests.ports import free_port
from tests.redisserver import redis_server, redis_servers
from wsdgateway.cli.main import main

__all__ = ("redis_server", "redis_servers")

LISTEN = '[[listen]]\nendpoint = "tcp:5358"\n[cluster]\nendpoint = "tcp:5360"\n'
GOOD = {"appendonly": "yes", "maxmemory_policy": "noeviction"}


@pytest.fixture
def check(tmp_path, capsys):
    """Checks a configuration with a state: returns the exit status, and the lines on stdout and on stderr."""
    def run(state, more=""):
        file = tmp_path / "g.toml"
        file.write_text(f'[gateway]\nstate = "{state}"\n{more}{LISTEN}')
        status = main(["check", str(file)])
        said = capsys.readouterr()
        return status, *(text.replace(f"{tmp_path}/", "").splitlines() for text in (said.out, said.err))

    return run


def version_of(server):
    info = server.command("INFO", "server")
    return f"valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"


def test_a_good_server_is_named_with_its_version(check, redis_servers):
    server = redis_servers(**GOOD)
    status, out, errors = check(server.url)
    assert (status, errors) == (0, [])
    assert out == [f"note: {server.url}: {version_of(server)}",
                   "g.toml: 0 scanner(s), 1 listener(s), no mistakes"]


def test_settings_that_could_lose_data_are_warned_of(check, redis_servers):
    server = redis_servers(appendonly="no", maxmemory_policy="allkeys-lru")
    status, out, _ = check(server.url)
    assert status == 0
    warnings = [line for line in out if line.startswith("warning: ")]
    assert [line.partition(f"{server.url}: ")[2].partition(":")[0] for line in warnings] == [
        "maxmemory-policy is allkeys-lru", "appendonly is no"]
    assert all(line.startswith("warning: g.toml:2: [gateway] state: ") for line in warnings)
    assert out[-1].endswith("no mistakes, 2 warning(s)")


def test_a_password(check, redis_servers, tmp_path):
    server = redis_servers(requirepass="s3cret", port=free_port(), **GOOD)
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    _, out, _ = check(server.url, 'password_file = "secret"\n')
    assert out[0] == f"note: {server.url}: {version_of(server)}"
    _, out, _ = check(server.url.replace("://", "://:s3cret@"))
    assert out[0].startswith("note: redis://…@127.0.0.1")
    for state, problem in ((server.url.replace("://", "://:other-s3cret@"), "the password or user is wrong: correct"),
                           (server.url, "a password is required: give")):
        _, out, _ = check(state)
        assert problem in out[0]
        assert "s3cret" not in "".join(out)


def test_a_server_that_is_not_there_or_does_not_answer_is_a_warning(check):
    status, out, _ = check(f"redis://127.0.0.1:{free_port()}/0")
    assert status == 0
    assert out[0].startswith("warning: g.toml:2: [gateway] state: redis://127.0.0.1:") and "refused" in out[0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _, out, _ = check(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
    assert "/0: no answer " in out[0]


@pytest.mark.parametrize("database", [0, 1])
def test_redis_cluster_is_refused(check, redis_servers, database):
    server = redis_servers(port=free_port(), cluster_enabled="yes", cluster_port=str(free_port()), **GOOD)
    status, out, [line] = check(server.url.removesuffix("0") + str(database))
    assert (status, out) == (2, [])
    assert line.startswith("g.toml:2: [gateway] state: ") and "Redis Cluster is not supported" in line


def test_a_database_that_the_server_does_not_have_is_refused(check, redis_servers):
    server = redis_servers(port=free_port(), databases="2", **GOOD)
    status, out, [line] = check(server.url.removesuffix("0") + "2")
    assert (status, out) == (2, [])
    assert "database 2: must be less than databases in redis.conf" in line


def test_a_server_that_lacks_a_command_is_refused(check, redis_servers):
    server = redis_servers(port=free_port(), rename_command=("AUTH", '""'), **GOOD)
    status, out, [line] = check(server.url.replace("://", "://:s3cret@"))
    assert (status, out) == (2, [])
    assert line.endswith("/0: the server must have all commands: unknown command 'AUTH'")


def test_the_missing_package_is_named(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    status, out, [line] = check("redis://h")
    assert (status, out) == (2, [])
    assert "the Python package redis is missing" in line


def test_a_url_with_tls_of_a_server_without(check, redis_servers):
    server = redis_servers(port=free_port())
    _, out, _ = check(server.url.replace("redis:", "rediss:"))
    assert out[0].endswith("/0: the server speaks no TLS: the URL must begin with redis, not rediss")
