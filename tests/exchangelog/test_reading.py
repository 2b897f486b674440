"""Tests of exchangelog.reading: captured messages as values, for any contents of a file."""

import pytest

from wsdgateway.exchangelog.reading import read_message


@pytest.mark.parametrize(("line", "status"), [
    (b"HTTP/1.1 404 Not Found", 404), (b"HTTP/1.1 \xb2\xb3\xb9 X", 0), (b"HTTP/1.1 20", 0), (b"HTTP/1.1", 0), (b"", 0)])
def test_the_status_of_a_capture(line, status):
    assert read_message(line + b"\r\n\r\n", request=False).status == status
