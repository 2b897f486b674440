"""The files by which a scanner's certificate is judged."""

import pytest

from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import Trust


def test_trust_in_a_file_that_is_gone_is_said(tmp_path):
    with pytest.raises(BadFile, match="can be read"):
        Trust(ca=tmp_path / "gone.pem").context.get_timeout()
