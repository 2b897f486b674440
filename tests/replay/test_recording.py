"""Tests of replay.recording: recordings are read from folders of captures of any origin."""

import os

import pytest

from tests.messages import SCAN, envelope
from tests.replay.folders import http, job
from wsdgateway.exchangelog.folder import CaptureError, capture_name
from wsdgateway.exchangelog.tape import CLIENT


@pytest.mark.parametrize(("first", "host"), [
    (b"POST //[ HTTP/1.1", b"h"), (b"POST / HTTP/1.1", b"["), (b"POST", b""), (b"", b""), (b"\xff\xfe \xff", b"\xff"),
    (b"POST http://[ HTTP/1.1", b"a:b:c")])
def test_invalid_heads_do_not_stop_the_reading(folder, first, host):
    folder.add("GetScannerElements", http(envelope(f"{SCAN}/GetScannerElements"), first, host),
               http(envelope(f"{SCAN}/GetScannerElementsResponse"), b"HTTP/1.1 200 OK"))
    assert folder.har().startswith('{"log"')
    assert [one.operation for one in folder.read().exchanges] == ["GetScannerElements"]


def test_only_plain_files_are_read(folder, tmp_path):
    folder.add("Get", b"x")
    name = capture_name(1795430099.0, 99, "s", "Get", 0.0)
    (tmp_path / f"{name}.device.request.http").symlink_to("/etc/passwd")
    with pytest.raises(CaptureError):
        folder.har()
    (tmp_path / f"{name}.device.request.http").unlink()
    os.mkfifo(tmp_path / f"{name}.device.request.http")
    with pytest.raises(CaptureError, match="plain"):
        folder.har()


def test_the_scanner_must_be_chosen_if_there_are_several(folder):
    job(folder, "1", b"ADF", b"jfif")
    folder.add("Get", http(envelope("x")), scanner="other")
    folder.add("other", b"POST / HTTP/1.1\r\n\r\n", side=CLIENT, scanner=None)
    with pytest.raises(CaptureError, match="select one with --scanner: other, s"):
        folder.read()
    with pytest.raises(CaptureError, match="no exchanges of the scanner x"):
        folder.read("x")
    assert folder.read("s").scanner == "s"
