"""Tests of config.certificates: certificates and keys in the configuration are checked against their files."""

import pytest

from tests.certificates import PIN
from tests.config.configurations import LISTEN, problems


@pytest.mark.parametrize(("section", "key", "allowed"), [
    ({"certificate": "gone.pem", "key": "server.key"}, "certificate", "can be read"),
    ({"certificate": "server.key", "key": "server.key"}, "certificate", "a certificate in PEM"),
    ({"certificate": "server.pem", "key": "server.pem"}, "key", "private key in PEM"),
    ({"certificate": "server.pem"}, "key", "private key in PEM"),
    ({"certificate": "server.pem", "key": "server.key", "client_ca": "server.key"}, "client_ca", "certificate in PEM"),
    ({"key": "server.key"}, "key", "valid only together with certificate"),
    ({"client_ca": "x"}, "client_ca", "valid only together with certificate"),
    ({"certificate": "server.pem", "key": "server.key", "advertise": "http://x"}, "advertise", "https address"),
    ({"endpoint": "unix:/x", "certificate": "server.pem"}, "certificate", "begins with tcp:"),
    ({"endpoint": "ssl:1:privateKey=server.key:certKey=server.pem", "key": "k"}, "key", "names its files itself"),
    ({"endpoint": "ssl:1:privateKey=gone.key:certKey=server.pem"}, "endpoint", "can be read")])
def test_an_error_of_a_listener_names_its_key(tmp_path, certified, section, key, allowed):
    [line] = problems(tmp_path / "g.toml", listen=[{**LISTEN, **section}])
    assert f"[[listen]] 1 {key} = " in line
    assert allowed in line.partition(": must be ")[2]


@pytest.mark.parametrize(("section", "key", "allowed"), [
    ({"certificate": "gone.pem", "key": "server.key"}, "certificate", "can be read"),
    ({"certificate": "server.pem", "key": "server.pem"}, "key", "private key in PEM"),
    ({"certificate": "server.pem"}, "key", "private key in PEM"),
    ({"key": "server.key"}, "key", "valid only together with certificate")])
def test_an_error_of_escl_names_its_key(tmp_path, certified, section, key, allowed):
    [line] = problems(tmp_path / "g.toml", escl={"announce": False, **section})
    assert f"[escl] {key} = " in line and allowed in line.partition(": must be ")[2]


@pytest.mark.parametrize(("section", "key", "allowed"), [
    ({"pin": "sha256/abc"}, "pin", "discover --pin"), ({"pin": "A" * 43 + "="}, "pin", "discover --pin"),
    ({"pin": 5}, "pin", "discover --pin"), ({"ca": "gone.pem"}, "ca", "can be read"),
    ({"pin": PIN, "insecure": True}, "insecure", "only one of"),
    ({"pin": PIN, "scan": "http://127.0.0.1/"}, "pin", "https address"),
    ({"insecure": True, "scan": "http://127.0.0.1/"}, "insecure", "https address"),
    ({"insecure": "yes"}, "insecure", "true or false")])
def test_an_error_in_the_trust_settings_of_a_scanner_names_its_key(tmp_path, section, key, allowed):
    [line] = problems(tmp_path / "g.toml", scanner=[{"name": "a", "scan": "https://127.0.0.1/scan", **section}])
    assert f" {key} = " in line and allowed in line.partition(": must be ")[2]
