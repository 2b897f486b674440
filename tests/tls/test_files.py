"""Tests of tls.files: reading of certificates and keys, and pins."""

import pytest

from tests.certificates import Certified
from wsdgateway.tls.files import BadFile, pin_of, read_certificates, read_key


def test_a_pin_identifies_the_key(tmp_path, certified):
    pin = pin_of(certified.certificate)
    assert pin.startswith("sha256/") and len(pin) == len("sha256/") + 44
    again = Certified(tmp_path, "again", "127.0.0.1")
    assert pin_of(again.certificate) != pin
    assert pin_of(read_certificates(certified.pem)[0]) == pin


@pytest.mark.parametrize(("content", "said"), [
    (None, "can be read"), (b"", "private key in PEM"), (b"\x00\x01", "private key in PEM"),
    (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key in PEM"),
    (b"x" * 2_000_000, "at most")])
def test_files_that_are_no_keys(tmp_path, content, said):
    file = tmp_path / "x.key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadFile, match=said):
        read_key(file)


def test_the_error_for_a_key_with_a_password_says_how_to_remove_it(tmp_path, certified):
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    file = tmp_path / "locked.key"
    file.write_bytes(certified.private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(BadFile, match="openssl pkey"):
        read_key(file)


def test_a_folder_is_no_certificate(tmp_path):
    with pytest.raises(BadFile, match="can be read"):
        read_certificates(tmp_path)
