"""Tests of exchangelog.folder: a folder of captures."""

import pytest

from wsdgateway.exchangelog.folder import CaptureError, CaptureFolder, read_folder
from wsdgateway.exchangelog.tape import CLIENT, Message


@pytest.mark.parametrize("names", [[], ["readme.txt"], ["20261399T999999.000Z-000001-s-Get-1ms.client.request.http"]])
def test_a_folder_without_captures_is_an_error(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(CaptureError, match="contains no captures"):
        read_folder(tmp_path)
    with pytest.raises(CaptureError, match="give the folder"):
        read_folder(tmp_path / "missing")


def test_the_messages_of_an_exchange_appear_together(tmp_path):
    folder = CaptureFolder(tmp_path, 1 << 20)
    (tmp_path / "n.client.response.http").mkdir()
    with pytest.raises(OSError):
        folder.finish("1", "n", [Message(CLIENT, True, b"a"), Message(CLIENT, False, b"b")])
    assert [path.name for path in tmp_path.iterdir()] == ["n.client.response.http"]
