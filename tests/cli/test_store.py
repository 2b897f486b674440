"""Tests of cli.store: everything is copied between SQLite files and Redis servers, or nothing."""

import json
import os
import stat
import subprocess
import sys

import attrs
import pytest
import pytest_twisted

from tests.ports import free_port
from tests.redisserver import redis_server, redis_servers
from tests.storage.files import damage, make_newer
from tests.storage.redis.gateways import Gateway
from tests.storage.stores import PLAIN, held, job, kept_offer, old_file, own_job, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.cli.main import main
from wsdgateway.storage.copying import Everything, SqliteFile
from wsdgateway.storage.redis import keys
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import Content

__all__ = ("redis_server", "redis_servers")

EVERYTHING = Everything(Content(
    (subscription("b"), subscription("c", scanner="other", **PLAIN), subscription("a")),
    (held("b"), held("", scanner="other")), (Adopted("urn:uuid:2", "two"), Adopted("urn:uuid:1", "one")),
    (("front-desk", "digest", 7), ("other", "", 1800000000)), 1764000000,
    (own_job("1"), own_job("2", scanner="other", created=None, answered=1.25)),
    (("front-desk", 8400), ("other", 8401)), (kept_offer("other"), kept_offer("front-desk"))),
    (job(1), job(2, "gone"), attrs.evolve(job(3), superseded=True), job(2)))


@pytest.fixture
def filled(tmp_path):
    """A file with data of every kind."""
    file = SqliteFile(tmp_path / "full.sqlite")
    file.write(EVERYTHING)
    return file


def copied(source, target, *options):
    return main(["store", "copy", source, target, *options])


def sorted_out(everything):
    """Everything, without the order of what has none."""
    content = everything.content
    return (content.subscriptions, content.adopted, content.escl_offers, content.instance, set(content.held),
            set(content.versions), set(content.own_jobs), set(content.escl_ports),
            {scanner: [one for one in everything.finished if one.scanner == scanner]
             for scanner in ("front-desk", "gone")}, len(everything.finished))


def test_a_copy_and_its_copy_are_equal(filled, redis_server, tmp_path, cwd, capsys):
    assert copied("sqlite:full.sqlite", redis_server.url) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.splitlines() == [
        f"Copied from {filled.name} to {redis_server.url}:", "      3 subscription(s) of clients",
        "      2 subscription(s) at scanners", "      2 adopted scanner(s)", "      4 finished job(s)",
        "      2 running job(s) of the gateway's own", "      2 eSCL port(s)", "      2 eSCL offer(s)",
        "      2 MetadataVersion(s)", "      1 InstanceId"]
    assert copied(redis_server.url, "sqlite:back.sqlite") == 0
    assert sorted_out(SqliteFile(tmp_path / "back.sqlite").read()) == sorted_out(EVERYTHING)
    assert stat.S_IMODE((tmp_path / "back.sqlite").stat().st_mode) == 0o600
    assert sorted_out(filled.read()) == sorted_out(EVERYTHING)


@pytest_twisted.ensureDeferred
async def test_a_gateway_finds_the_copy(filled, redis_server):
    from twisted.internet import reactor

    redis_server.command("SET", keys.SCHEMA, "1.0")
    assert copied(filled.name, redis_server.url) == 0
    gateway = Gateway(reactor, redis_server)
    taken = await gateway.take("front-desk")
    assert taken.subscriptions == (subscription("b"), subscription("a")) and taken.held == (held("b"),)
    assert taken.own_jobs == (own_job("1"),) and taken.escl_offers == (kept_offer("front-desk"),)
    assert await gateway.store.finished("front-desk") == [job(1), attrs.evolve(job(3), superseded=True), job(2)]
    assert await gateway.store.adopted() == [Adopted("urn:uuid:2", "two"), Adopted("urn:uuid:1", "one")]
    assert await gateway.store.escl_ports() == {"front-desk": 8400, "other": 8401}
    assert await gateway.store.metadata_version("front-desk", "digest") == 7
    assert await gateway.store.next_instance(5) == 1764000001
    assert await gateway.store.scanners() == ["front-desk", "other"]
    await gateway.close()


def refused(capsys, source, target, *options):
    """The one line on stderr of a copy that is refused."""
    assert copied(source, target, *options) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("wsdgateway store: "), err
    return err


def test_the_target_must_be_empty(filled, redis_server, tmp_path, capsys):
    other = SqliteFile(tmp_path / "other.sqlite")
    other.write(Everything(Content(), (job(1),)))
    assert "other.sqlite: the target must be empty, but has 1 finished job(s)" in refused(
        capsys, filled.name, other.name)
    assert copied(other.name, redis_server.url) == 0
    capsys.readouterr()
    before = redis_server.command("KEYS", "*")
    assert f"{redis_server.url}: the target must be empty, but has 1 finished job(s); give another one" in refused(
        capsys, filled.name, redis_server.url)
    assert redis_server.command("KEYS", "*") == before
    assert other.read().finished == (job(1),)


def test_an_empty_file_may_be_the_target(filled, tmp_path):
    (tmp_path / "new.sqlite").touch()
    assert copied(filled.name, f"sqlite:{tmp_path}/new.sqlite") == 0
    assert sorted_out(SqliteFile(tmp_path / "new.sqlite").read()) == sorted_out(EVERYTHING)


@pytest_twisted.ensureDeferred
async def test_a_file_that_a_gateway_uses_is_refused(filled, tmp_path, capsys, redis_server):
    from twisted.internet import reactor

    gateway = SqliteStore(reactor, filled.path, 3)
    assert "another gateway is using the store; stop it" in refused(capsys, filled.name, redis_server.url)
    await gateway.close()
    other = SqliteStore(reactor, tmp_path / "other.sqlite", 3)
    assert "another gateway is using the store; stop it" in refused(
        capsys, filled.name, f"sqlite:{tmp_path}/other.sqlite")
    await other.close()


@pytest.mark.parametrize("registration", [json.dumps({"name": "print-server-1"}), "[]"])
def test_a_server_that_a_gateway_uses_is_refused(filled, redis_server, capsys, tmp_path, registration):
    redis_server.command("SADD", keys.GATEWAYS, "abc", "gone")
    redis_server.command("SET", keys.gateway("abc"), registration)
    name = "print-server-1" if "name" in registration else "one of another version"
    for source, target in ((filled.name, redis_server.url), (redis_server.url, f"sqlite:{tmp_path}/new.sqlite")):
        assert f"{redis_server.url}: a gateway is using the store: {name}; stop it" in refused(capsys, source, target)
    redis_server.command("DEL", keys.gateway("abc"))
    assert copied(filled.name, redis_server.url) == 0
    assert not (tmp_path / "new.sqlite").exists()


def test_what_is_not_a_store_is_refused(filled, redis_server, cwd, capsys, tmp_path):
    url = redis_server.url
    for source, said in (
            ("sqlite:none.sqlite", "none.sqlite: there is no store"), (url, f"{url}: there is no store"),
            ("memory:", "FROM: memory:: must be sqlite:FILE or redis://HOST:PORT/DB, because memory: ends"),
            ("sqlite:", "FROM: sqlite:: must be sqlite:FILE"), ("full.sqlite", "FROM: full.sqlite: must be"),
            ("redis://u:secret@h/x/y", "redis://…@h/x/y: must be"),
            ("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0: "), ("\x1b[1mx:", "must be sqlite:FILE")):
        assert said in refused(capsys, source, "sqlite:new.sqlite")
    assert not (tmp_path / "none.sqlite").exists() and not (tmp_path / "new.sqlite").exists()
    assert "TO: memory:: must be" in refused(capsys, filled.name, "memory:")
    assert "FROM and TO are the same store" in refused(capsys, "sqlite:full.sqlite", f"sqlite:./{'full.sqlite'}")
    assert "FROM and TO are the same store" in refused(capsys, url, url)
    assert "the folder" in refused(capsys, filled.name, "sqlite:none/new.sqlite")
    assert "--password-file none: No such file" in refused(capsys, filled.name, url, "--password-file", "none")


@pytest.mark.parametrize(("harm", "said"), [(damage, "the store is damaged"), (make_newer, "newer version")])
def test_a_damaged_file_is_refused_and_not_changed(filled, redis_server, capsys, harm, said):
    harm(filled.path)
    before = filled.path.read_bytes()
    for source, target in ((filled.name, redis_server.url), (redis_server.url, filled.name)):
        if source == redis_server.url:
            redis_server.command("SET", keys.INSTANCE, "7")
        line = refused(capsys, source, target)
        assert said in line and str(filled.path) in line
    assert filled.path.read_bytes() == before


def test_damaged_data_on_a_server_is_refused(filled, redis_server, tmp_path, capsys):
    assert copied(filled.name, redis_server.url) == 0
    capsys.readouterr()
    redis_server.command("RPUSH", keys.done("front-desk"), "nonsense")
    assert "{front-desk}:done cannot be read" in refused(capsys, redis_server.url, f"sqlite:{tmp_path}/new.sqlite")
    assert not (tmp_path / "new.sqlite").exists()


def test_a_file_with_an_older_schema_is_copied_and_not_changed(tmp_path, redis_server):
    file = tmp_path / "old.sqlite"
    old_file(file)
    before = file.read_bytes()
    assert copied(f"sqlite:{file}", redis_server.url) == 0
    assert redis_server.command("LLEN", keys.done("front-desk")) == 1
    assert file.read_bytes() == before and list(tmp_path.glob("old.sqlite?*")) == []


def test_the_password_is_in_a_file_and_masked(filled, redis_servers, tmp_path, capsys):
    server = redis_servers(requirepass="secret")
    assert "a password is required: give a password file" in refused(capsys, filled.name, server.url)
    password = tmp_path / "password"
    password.write_text("secret\n")
    assert copied(filled.name, server.url, "--password-file", str(password)) == 0
    assert server.command("LLEN", keys.done("gone")) == 1
    out, _ = capsys.readouterr()
    assert "secret" not in out


def test_each_server_has_a_password_of_its_own(filled, redis_servers, tmp_path, capsys):
    one, two = (redis_servers(requirepass=word, port=free_port()) for word in ("s3cret", "an0ther"))
    url = one.url.replace("://", "://:s3cret@")
    assert copied(filled.name, url) == 0
    password = tmp_path / "password"
    password.write_text("an0ther\n")
    assert copied(url, two.url, "--password-file", str(password)) == 0
    assert copied(two.url, f"{url.removesuffix('0')}1", "--password-file", str(password)) == 0
    assert two.command("LLEN", keys.done("gone")) == 1
    out, err = capsys.readouterr()
    assert err == "" and "s3cret" not in out and "an0ther" not in out


@pytest.mark.parametrize("url", [
    "redis://u:1/s3cret@h", "redis://:s3\u2100cret@h", "redis://:s3cret", "redis://u:s3cret/0", "redis:u:s3cret@h/0",
    "redis:/:s3cret@h/0", "redis://h/0?password=s3cret", "rediss://h/0?ca=x&password=s3cret",
    "redis+sentinel://h/s3cret@h/0", "redis+unix://:s3cret@h/run/s", "Redis://:s3cret@h/0", "redis://:s3cret[@h/0"])
def test_no_part_of_a_password_in_a_wrong_url_is_shown(filled, capsys, url):
    for source, target, argument in ((filled.name, url, "TO"), (url, "sqlite:new.sqlite", "FROM")):
        line = refused(capsys, source, target)
        assert line.startswith(f"wsdgateway store: {argument}: {url[:5]}") and ": must be " in line
        assert "s3" not in line and "cret" not in line


@pytest.mark.parametrize("database", [0, 1])
def test_redis_cluster_is_refused(filled, redis_servers, capsys, database):
    server = redis_servers(port=free_port(), cluster_enabled="yes", cluster_port=str(free_port()))
    url = server.url.removesuffix("0") + str(database)
    for source, target in ((filled.name, url), (url, "sqlite:new.sqlite")):
        assert f"{url}: Redis Cluster is not supported: must be" in refused(capsys, source, target)


def test_without_the_package_redis(filled):
    code = ("import sys; sys.modules['redis'] = None; from wsdgateway.cli.main import main; "
            f"sys.exit(main(['store', 'copy', {filled.name!r}, 'redis://h/0']))")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert ran.returncode == 2 and ran.stderr == (
        "wsdgateway store: redis: the Python package redis is missing; install it with pip install "
        "'wsdgateway[redis]', or the Debian package python3-redis\n")
