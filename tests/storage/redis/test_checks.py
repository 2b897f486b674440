"""The checks of a server at the start."""

import pytest

from tests.ports import free_port
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.checks import check_server
from wsdgateway.storage.store import StoreError

GOOD = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


LOGIN = {"username": "gateway", "password": "secret"}


def check(server, **login):
    with server.connect(**login) as connection:
        return check_server(connection, parse(server.url))


def with_replica(redis_servers, **options):
    """A server with one replica."""
    server = redis_servers(port=free_port(), **options)
    redis_servers(port=free_port(), replicaof=("127.0.0.1", str(server.port)))
    server.wait_until(lambda: server.command("INFO", "replication")["connected_slaves"] == 1)
    return server


def test_nothing_to_complain_of(redis_servers):
    assert check(redis_servers(**GOOD)) == []


@pytest.mark.parametrize(("setting", "expected"), [
    ({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru: must be noeviction"),
    ({"appendonly": "no"}, "appendonly is no: must be yes"),
])
def test_settings(redis_servers, setting, expected):
    server = redis_servers(**{**GOOD, **setting})
    [warning] = check(server)
    assert warning.startswith(f"{server.url}: {expected}, or ")


@pytest.mark.parametrize(("to_write", "lag", "expected"), [
    ("1", "10", None),
    ("0", "10", "min-replicas-to-write is 0: must be at least 1"),
    ("1", "11", "min-replicas-max-lag is 11: must be from 1 to 10"),
    ("0", "0", "min-replicas-to-write is 0: must be at least 1; min-replicas-max-lag is 0: must be from 1 to 10"),
])
def test_settings_with_replicas(redis_servers, to_write, lag, expected):
    server = with_replica(redis_servers, **GOOD, min_replicas_to_write=to_write, min_replicas_max_lag=lag)
    found = check(server)
    texts = [one.removeprefix(f"{server.url}: ").partition(", or ")[0] for one in found]
    assert texts == ([expected] if expected else [])


@pytest.mark.parametrize("how", ["acl", "renamed"])
def test_settings_that_cannot_be_read(redis_servers, how):
    options = {"rename_command": ("CONFIG", '""')} if how == "renamed" else {}
    server = with_replica(redis_servers, appendonly="no", **options)
    server.command("ACL", "SETUSER", "gateway", "on", ">secret", "~*", "+@all", *(["-config"] if how == "acl" else []))
    append, replicas = check(server, **LOGIN)
    assert "appendonly is no" in append
    assert "CONFIG GET, so it could not be checked that min-replicas-to-write" in replicas
    assert "secret" not in append + replicas


def test_a_user_without_info(redis_server):
    redis_server.command("ACL", "SETUSER", "gateway", "on", ">secret", "~*", "+@all", "-info")
    with pytest.raises(StoreError, match=r"must have the right to INFO"):
        check(redis_server, **LOGIN)


def test_redis_cluster_is_refused(redis_servers):
    server = redis_servers(port=free_port(), cluster_enabled="yes")
    with pytest.raises(StoreError, match=r"Redis Cluster is not supported: must be a single server"):
        check(server)


class Old:
    """A server of that version."""

    def __init__(self, version):
        self.version = version

    def info(self):
        return {"redis_version": self.version, "maxmemory_policy": "noeviction", "aof_enabled": 1}

    def config_get(self, name):
        return {}


@pytest.mark.parametrize(("version", "works"), [("6.0.16", False), ("6.2.0", True), ("10.0.1", True), ("", False)])
def test_an_old_server_is_refused(version, works):
    address = parse("redis://r1")
    if works:
        assert check_server(Old(version), address) == []
        return
    with pytest.raises(StoreError, match=r"must be 6\.2 or newer"):
        check_server(Old(version), address)
