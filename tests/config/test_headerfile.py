"""Tests of config.headerfile: the file with the header line of upload requests."""

import os

import pytest

from tests.config.configurations import problems
from wsdgateway.config.headerfile import read_header
from wsdgateway.config.secretfile import MAX_FILE
from wsdgateway.tls.files import BadFile

SECRET = b"Token 0123456789abcdef"


def written(folder, data, mode=0o600):
    path = folder / "token"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def refused(path):
    with pytest.raises(BadFile) as caught:
        read_header(path)
    assert "0123456789" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("data", [
    b"Authorization: " + SECRET, b"Authorization: " + SECRET + b"\n", b"Authorization:" + SECRET + b" \r\n"])
@pytest.mark.parametrize("mode", [0o400, 0o640, 0o660])
def test_one_line(tmp_path, data, mode):
    assert read_header(written(tmp_path, data, mode)) == (b"Authorization", SECRET)


@pytest.mark.parametrize("data", [
    b"", b"\n", SECRET, b"Authorization:", b"Authorization: \n", b"A: " + SECRET + b"\nB: y\n", b"A: x\n\n", b": x",
    b"A b: " + SECRET, b"A: x\ry", b"A: x\0y", b"A: " + b"x" * MAX_FILE, b"\xc3\x84: x"])
def test_something_else(tmp_path, data):
    assert refused(written(tmp_path, data)).startswith("a file with one line such as ")


@pytest.mark.parametrize("name", [b"Host", b"content-length", b"Transfer-Encoding", b"Content-Type", b"Connection"])
def test_a_field_of_the_request_itself(tmp_path, name):
    assert "which the request itself sets" in refused(written(tmp_path, name + b": 0123456789"))


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o777])
def test_a_file_for_everybody(tmp_path, mode):
    assert "a file that other users cannot read" in refused(written(tmp_path, b"Authorization: " + SECRET, mode))


def test_no_file(tmp_path):
    assert refused(tmp_path / "none").startswith("a file that can be read (")
    assert "is no regular file" in refused(tmp_path) or "directory" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is no regular file" in refused(tmp_path / "pipe")


def test_the_configuration_names_the_key(tmp_path):
    written(tmp_path, b"Authorization: " + SECRET, 0o644)
    (problem,) = problems(tmp_path / "g.toml", destination=[
        {"name": "Paperless", "upload": "http://127.0.0.1/", "upload_header_file": "token"}])
    assert ('[[destination]] "Paperless" upload_header_file = "token": '
            'must be a file that other users cannot read') in problem
    assert "0123456789" not in problem
