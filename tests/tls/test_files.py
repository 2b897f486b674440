"""What files of certificates and keys hold, and what they are good for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import Certified
from wsdgateway.cli.main import main
from wsdgateway.config.endpoints import BadEndpoint, SslEndpoint, read_ssl
from wsdgateway.config.reading import ConfigError, make_config
from wsdgateway.tls.files import BadFile, pin_of, read_certificates, read_key
from wsdgateway.tls.identity import BadIdentity, CurrentIdentity, IdentityFiles, read_identity
from wsdgateway.tls.trust import Trust

LISTEN = {"endpoint": "tcp:5358:interface=127.0.0.1"}


@pytest.fixture
def server(tmp_path):
    return Certified(tmp_path, "server", "127.0.0.1")


def problems(folder, **data):
    with pytest.raises(ConfigError) as caught:
        make_config({"listen": [LISTEN], **data}, str(folder / "g.toml"))
    return caught.value.problems


def test_a_pin_is_of_the_key_and_outlives_the_certificate(tmp_path, server):
    pin = pin_of(server.certificate)
    assert pin.startswith("sha256/") and len(pin) == len("sha256/") + 44
    again = Certified(tmp_path, "again", "127.0.0.1")
    assert pin_of(again.certificate) != pin
    assert pin_of(read_certificates(server.pem)[0]) == pin


@pytest.mark.parametrize(("content", "said"), [
    (None, "can be read"), (b"", "private key in PEM"), (b"\x00\x01", "private key in PEM"),
    (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key in PEM"),
    (b"x" * 2_000_000, "at most")])
def test_what_is_no_key(tmp_path, content, said):
    file = tmp_path / "x.key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadFile, match=said):
        read_key(file)


def test_a_key_with_a_password_is_told_how_to_take_it_off(tmp_path, server):
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    file = tmp_path / "locked.key"
    file.write_bytes(server.private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(BadFile, match="openssl pkey"):
        read_key(file)


def test_a_folder_is_no_certificate(tmp_path):
    with pytest.raises(BadFile, match="can be read"):
        read_certificates(tmp_path)


def test_a_key_of_another_certificate_is_found_out(tmp_path, server):
    other = Certified(tmp_path, "other")
    with pytest.raises(BadIdentity, match="key of the certificate") as caught:
        read_identity(IdentityFiles(server.pem, other.key))
    assert caught.value.key == "key"


@pytest.mark.parametrize(("days", "said"), [(-1, "expired at"), (3, "expires at"), (30, None)])
def test_a_certificate_that_ends_soon_is_remarked(tmp_path, days, said):
    made = Certified(tmp_path, "short", days=days)
    remark = read_identity(IdentityFiles(made.pem, made.key)).remark(datetime.now(UTC) + timedelta(seconds=1))
    assert (remark is None) if said is None else remark.startswith(said)


def test_a_reload_that_fails_changes_nothing(tmp_path, server):
    current = CurrentIdentity(IdentityFiles(server.pem, server.key))
    before = current.identity
    server.pem.write_text("nonsense")
    with pytest.raises(BadIdentity):
        current.reload(IdentityFiles(server.pem, server.key))
    assert current.identity is before


def test_trust_in_a_file_that_is_gone_is_said(tmp_path):
    with pytest.raises(BadFile, match="can be read"):
        Trust(ca=tmp_path / "gone.pem").context.get_timeout()


@pytest.mark.parametrize(("text", "read"), [
    ("ssl:5358", SslEndpoint("tcp:port=5358", "server.pem", "server.pem")),
    ("ssl:5358:privateKey=k.pem:certKey=c.pem", SslEndpoint("tcp:port=5358", "c.pem", "k.pem")),
    ("ssl:port=5358:privateKey=k.pem:extraCertChain=r.pem:interface=192.0.2.5:backlog=9",
     SslEndpoint("tcp:port=5358:interface=192.0.2.5:backlog=9", "k.pem", "k.pem", "r.pem")),
    (r"ssl:5358:interface=\:\:1:privateKey=C\:\\k.pem", SslEndpoint(r"tcp:port=5358:interface=\:\:1", r"C:\k.pem",
                                                                 r"C:\k.pem"))])
def test_ssl_endpoint_strings(text, read):
    assert read_ssl(text) == read


@pytest.mark.parametrize("text", [
    "ssl:", "ssl:https", "ssl:5358:dhParameters=x", "ssl:5358:sslmethod=SSLv3_METHOD", "ssl:5358:port=5359",
    "ssl:5358:privateKey=a:privateKey=b"])
def test_ssl_endpoint_strings_that_can_not_be_used(tmp_path, text):
    with pytest.raises(BadEndpoint):
        read_ssl(text)
    [line] = problems(tmp_path, listen=[{"endpoint": text}])
    assert "[[listen]] 1 endpoint" in line and "must be" in line


def test_both_forms_lead_to_the_same_files(tmp_path, server):
    for section in ({**LISTEN, "certificate": "server.pem", "key": "server.key"},
                    {"endpoint": "ssl:5358:certKey=server.pem:privateKey=server.key"}):
        config = make_config({"listen": [section]}, str(tmp_path / "g.toml"))
        assert config.folder == tmp_path


@pytest.mark.parametrize(("section", "key", "allowed"), [
    ({"certificate": "gone.pem", "key": "server.key"}, "certificate", "can be read"),
    ({"certificate": "server.key", "key": "server.key"}, "certificate", "a certificate in PEM"),
    ({"certificate": "server.pem", "key": "server.pem"}, "key", "private key in PEM"),
    ({"certificate": "server.pem"}, "key", "private key in PEM"),
    ({"certificate": "server.pem", "key": "server.key", "client_ca": "server.key"}, "client_ca", "certificate in PEM"),
    ({"key": "server.key"}, "key", "stands only with certificate"),
    ({"client_ca": "x"}, "client_ca", "stands only with certificate"),
    ({"certificate": "server.pem", "key": "server.key", "advertise": "http://x"}, "advertise", "https address"),
    ({"endpoint": "unix:/x", "certificate": "server.pem"}, "certificate", "begins with tcp:"),
    ({"endpoint": "ssl:1:privateKey=server.key:certKey=server.pem", "key": "k"}, "key", "names its files itself"),
    ({"endpoint": "ssl:1:privateKey=gone.key:certKey=server.pem"}, "endpoint", "can be read")])
def test_what_is_wrong_with_a_listener_is_named(tmp_path, server, section, key, allowed):
    [line] = problems(tmp_path, listen=[{**LISTEN, **section}])
    assert f"[[listen]] 1 {key} = " in line
    assert allowed in line.partition(": must be ")[2]


PIN = "sha256/" + "A" * 43 + "="


@pytest.mark.parametrize(("section", "key", "allowed"), [
    ({"pin": "sha256/abc"}, "pin", "discover --pin"), ({"pin": "A" * 43 + "="}, "pin", "discover --pin"),
    ({"pin": 5}, "pin", "discover --pin"), ({"ca": "gone.pem"}, "ca", "can be read"),
    ({"pin": PIN, "insecure": True}, "insecure", "only one of"),
    ({"pin": PIN, "scan": "http://127.0.0.1/"}, "pin", "https address"),
    ({"insecure": True, "scan": "http://127.0.0.1/"}, "insecure", "https address"),
    ({"insecure": "yes"}, "insecure", "true or false")])
def test_what_is_wrong_with_the_trust_in_a_scanner_is_named(tmp_path, section, key, allowed):
    [line] = problems(tmp_path, scanner=[{"name": "a", "scan": "https://127.0.0.1/scan", **section}])
    assert f" {key} = " in line and allowed in line.partition(": must be ")[2]


def test_whoever_is_believed_unseen_is_remarked(tmp_path):
    config = make_config({"listen": [LISTEN], "scanner": [
        {"name": "a", "scan": "https://127.0.0.1/", "insecure": True}, {"name": "b", "uuid": "urn:uuid:" + "0" * 8
         + "-0000" * 3 + "-" + "0" * 12, "pin": PIN}]}, str(Path(tmp_path) / "g.toml"))
    assert [line for line in config.remarks() if "insecure" in line and "[[scanner]] a" in line]
    assert not [line for line in config.remarks() if "insecure" in line and "[[scanner]] b" in line]


def test_check_tells_of_a_certificate_that_has_expired(tmp_path, capsys):
    Certified(tmp_path, "old", "127.0.0.1", days=-1)
    file = tmp_path / "g.toml"
    file.write_text('[[listen]]\nendpoint = "tcp:5358"\ncertificate = "old.pem"\nkey = "old.key"\n')
    assert main(["check", str(file)]) == 0
    assert f"tcp:5358: the certificate in {tmp_path / 'old.pem'} expired at " in capsys.readouterr().out
