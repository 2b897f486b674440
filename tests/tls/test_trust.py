"""Tests of tls.trust: the files for verification of a scanner's certificate."""

import pytest

from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import Trust


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(BadFile, match="can be read"):
        Trust(ca=tmp_path / "gone.pem").context.get_timeout()
