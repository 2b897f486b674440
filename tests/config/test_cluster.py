"""Tests of config.cluster: `[cluster]` and the Redis server, checked together, and what they leave out."""

import pytest

from tests.certificates import Certified
from tests.config.configurations import LISTEN, problems
from wsdgateway.config.cluster import (
    absolute_state,
    is_secure,
    name_in_cluster,
    needs_route,
    peer_address,
    peer_listener,
    peer_trust,
    read_password,
    redis_of,
)
from wsdgateway.config.reading import make_config
from wsdgateway.config.remarks import remarks
from wsdgateway.config.secretfile import MAX_FILE
from wsdgateway.storage.redis.address import parse
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.identity import IdentityFiles
from wsdgateway.tls.trust import Trust

REDIS = "redis://redis.example.org:6379/0"
ENDPOINT = "tcp:5360:interface=192.0.2.5"


def configured(folder=None, state=REDIS, gateway=None, events=None, **cluster):
    return make_config({"listen": [LISTEN], "gateway": {"state": state, **(gateway or {})}, "events": events or {},
                        "cluster": cluster}, "g.toml" if folder is None else str(folder / "g.toml"))


def secret(folder, data=b"s3cret\n", mode=0o600):
    path = folder / "redis-password"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(("data", "password"), [
    (b"s3cret\n", "s3cret"), (b"s3cret", "s3cret"), (b"s 3:@/\r\n", "s 3:@/"), ("pässword\n".encode(), "pässword")])
def test_the_password_is_the_line_of_the_file(tmp_path, data, password):
    assert read_password(secret(tmp_path, data)) == password


@pytest.mark.parametrize("data", [b"", b"\n", b"s3cret\nmore\n", b"s3\0cret", b"s3cret\xff", b"s" * (MAX_FILE + 1)],
                         ids=["empty", "blank", "lines", "nul", "latin", "long"])
def test_a_file_with_something_else_is_refused(tmp_path, data):
    with pytest.raises(BadFile) as bad:
        read_password(secret(tmp_path, data))
    assert str(bad.value).startswith("a file with one line, the password of the Redis server (")
    assert "s3c" not in str(bad.value) and "cret" not in str(bad.value)


def test_the_password_file_is_checked(tmp_path):
    file = tmp_path / "g.toml"
    redis = {"state": REDIS, "password_file": "redis-password"}
    [line] = problems(file, gateway=redis)
    assert line.endswith(f"must be a file that can be read ({tmp_path}/redis-password: No such file or directory)")
    secret(tmp_path, mode=0o644)
    [line] = problems(file, gateway=redis)
    assert "must be a file that other users cannot read, because it holds a secret" in line
    secret(tmp_path)
    assert redis_of(configured(tmp_path, gateway=redis)).password == "s3cret"
    [line] = problems(file, gateway={**redis, "state": "redis://:other@h"})
    assert line.endswith('password_file = "redis-password": must be left out, because state has a password already')
    [line] = problems(file, gateway={**redis, "state": "memory:"})
    assert line.endswith("must be left out, because it is valid only with a state that names a Redis server")


def test_the_authority_of_the_server_is_checked(tmp_path):
    [line] = problems(tmp_path / "g.toml", gateway={"state": "rediss://:s3cret@h?ca=none.pem"})
    assert line == (f'{tmp_path}/g.toml: [gateway] state = "rediss://…@h?ca=none.pem": must be a URL whose ca is a '
                    f"file that can be read ({tmp_path}/none.pem: No such file or directory)")
    state = f"rediss://h?ca={Certified(tmp_path, 'ca').pem.name}"
    assert redis_of(configured(tmp_path, state=state)).ca == "ca.pem"
    folder = tmp_path / "a b"
    folder.mkdir()
    Certified(folder, "ca")
    assert parse(absolute_state(configured(folder, state=state))).ca == str(folder / "ca.pem")
    whole = f"rediss://h?ca={tmp_path}/ca.pem"
    assert parse(absolute_state(configured(folder, state=whole))).ca == f"{tmp_path}/ca.pem"
    assert absolute_state(configured(state="memory:")) == "memory:" and absolute_state(configured()) == REDIS


def test_the_redis_server_of_a_configuration():
    assert redis_of(configured(state="memory:")) is None
    found = redis_of(configured(state="redis://u:p@h:1/2"))
    assert (found.hosts, found.user, found.password, found.database) == ((("h", 1),), "u", "p", 2)


def test_the_name_is_that_of_the_gateway_by_default():
    assert name_in_cluster(configured(gateway={"name": "print-server-1"})) == "print-server-1"
    assert name_in_cluster(configured(gateway={"name": "Print server"}, name="print-server-1")) == "print-server-1"
    long = {"state": REDIS, "name": "x" * 65}
    [line] = problems(gateway=long)
    assert line.endswith("must be a text of at most 64 characters, without control characters, and without blanks at "
                         "its ends, since it is the gateway's name in the cluster; or give [cluster] name")
    [line] = problems(gateway={"state": REDIS}, cluster={"name": "a "})
    assert line.endswith("characters, and without blanks at its ends")
    configured(gateway=long, name="short")
    configured(gateway={**long, "state": "memory:"})


@pytest.mark.parametrize(("cluster", "address", "asks"), [
    ({}, "", False),
    ({"endpoint": ENDPOINT}, "http://192.0.2.5:5360", False),
    ({"endpoint": "tcp:5360"}, "http://198.51.100.7:5360", True),
    ({"endpoint": "tcp:5360:interface=0.0.0.0"}, "http://198.51.100.7:5360", True),
    ({"endpoint": "tcp6:5360"}, "http://198.51.100.7:5360", True),
    ({"endpoint": r"tcp6:5360:interface=2001\:db8\:\:5"}, "http://[2001:db8::5]:5360", False),
    ({"endpoint": "tcp:5360", "address": "http://gateway-1:80"}, "http://gateway-1:80", False)])
def test_the_address_for_the_other_gateways(cluster, address, asks):
    section = configured(**cluster).cluster
    assert peer_address(section, 5360, "198.51.100.7") == address
    assert needs_route(section) is asks


def test_an_ipv6_route_is_in_brackets():
    assert peer_address(configured(endpoint="tcp6:5360").cluster, 5360, "2001:db8::7") == "http://[2001:db8::7]:5360"


def test_the_endpoint_with_tls(tmp_path):
    own, authority = Certified(tmp_path, "server"), Certified(tmp_path, "gateways")
    files = {"certificate": own.pem.name, "key": own.key.name, "ca": authority.pem.name}
    config = configured(tmp_path, endpoint=ENDPOINT, **files)
    cluster = config.cluster
    assert is_secure(cluster)
    assert peer_address(cluster, 5360, "") == "https://192.0.2.5:5360"
    listener = peer_listener(cluster)
    assert (listener.endpoint, listener.certificate) == (ENDPOINT, files["certificate"])
    assert listener.client_ca == files["ca"]
    assert peer_trust(config) == Trust(
        authority.pem, own=IdentityFiles(own.pem, own.key, authority.pem))
    without = configured(tmp_path, endpoint=ENDPOINT, ca=files["ca"])  # it reaches the others by TLS
    assert peer_listener(without.cluster).client_ca is None
    assert peer_trust(without) == Trust(authority.pem)
    ssl = f"ssl:5360:interface=192.0.2.5:privateKey={own.key.name}:certKey={own.pem.name}"
    assert is_secure(configured(tmp_path, endpoint=ssl, ca=files["ca"]).cluster)
    assert peer_listener(configured().cluster) is None


@pytest.mark.parametrize(("cluster", "said"), [
    ({"address": "http://192.0.2.5:5360"}, "must be left out, because it is valid only together with endpoint"),
    ({"ca": "x.pem"}, "ca = \"x.pem\": must be a file that can be read"),
    ({"endpoint": "unix:/run/x"}, "must be an endpoint that begins with tcp: or ssl:"),
    ({"endpoint": ENDPOINT, "key": "x"}, "key = \"x\": must be left out, because it is valid only together with cert"),
    ({"endpoint": ENDPOINT, "certificate": "none.pem"}, "certificate = \"none.pem\": must be a file that can be read"),
    ({"endpoint": "ssl:5360:privateKey=none.pem"}, "endpoint = \"ssl:5360:privateKey=none.pem\": must be "),
    ({"endpoint": "ssl:5360", "certificate": "x"}, "must be left out, because an ssl: endpoint names its files itself"),
    ({"endpoint": ENDPOINT, "address": "https://192.0.2.5:5360"}, "must be an http address, because endpoint has"),
    ({"endpoint": ENDPOINT, "address": "http://\u00fcx:5360"}, "must be an address such as http://192.0.2.5:5357"),
    ({"endpoint": ENDPOINT, "address": "http://a..b"}, "must be an address such as http://192.0.2.5:5357"),
    ({"endpoint": "tcp:5357"}, "endpoint = \"tcp:5357\": must be unique: [[listen]] 1 has the same port and interface"),
    ({"endpoint": "tcp:8357:interface=127.0.0.1"}, "must be unique: [admin] has the same port and interface")])
def test_a_mistake_is_named(tmp_path, cluster, said):
    [line] = problems(tmp_path / "g.toml", gateway={"state": REDIS}, cluster=cluster, admin={})
    assert line.startswith(f"{tmp_path}/g.toml: [cluster] ") and said in line


def test_mistakes_about_certificates_name_the_key(tmp_path):
    own, other = Certified(tmp_path, "server"), Certified(tmp_path, "other")
    (tmp_path / "text").write_text("no certificate")
    given = {"endpoint": ENDPOINT, "certificate": own.pem.name}
    for more, key in (({"key": other.key.name}, "key"), ({"key": own.key.name, "ca": "text"}, "ca")):
        [line] = problems(tmp_path / "g.toml", gateway={"state": REDIS}, cluster={**given, **more})
        assert line.startswith(f"{tmp_path}/g.toml: [cluster] {key} = ")
    [line] = problems(tmp_path / "g.toml", gateway={"state": REDIS}, cluster={
        **given, "key": own.key.name, "address": "http://192.0.2.5:5360"})
    assert line.endswith("must be an https address, because endpoint has TLS")


def test_what_is_missing_for_several_gateways_is_remarked():
    def texts(**given):
        return [str(one) for one in remarks(configured(**given))]

    assert texts(state="memory:") == []
    assert texts(state="memory:", lease=4.0, alone=True) == []
    [line] = texts(state="memory:", name="a", lease=8)
    assert line.startswith("[cluster] name, lease: no effect, because this gateway works without others; ")
    [line] = texts()
    assert line.startswith("[cluster] endpoint is missing, so the other gateways cannot pass requests to this one")
    assert texts(endpoint=ENDPOINT) == []
    scanner = [{"name": "a", "scan": "http://198.51.100.20/scan"}]
    whole = {"listen": [LISTEN], "gateway": {"state": REDIS}, "cluster": {"endpoint": ENDPOINT}, "scanner": scanner}
    [line] = [str(one) for one in remarks(make_config(whole, "g.toml"))]
    assert line.startswith("[events] address is missing: each gateway subscribes at the scanners with an")
    for more in ({"events": {"address": "http://198.51.100.9:5357"}}, {"scanner": [{**scanner[0], "events": "off"}]}):
        assert remarks(make_config({**whole, **more}, "g.toml")) == []


def test_an_endpoint_on_every_address_overlaps():
    config = configured(endpoint="tcp:5357:interface=192.0.2.5")
    assert [str(one) for one in remarks(config)] == [
        "[cluster] endpoint = tcp:5357:interface=192.0.2.5: [[listen]] 1 has the same port on every address, so only "
        "one of the two can be opened"]
