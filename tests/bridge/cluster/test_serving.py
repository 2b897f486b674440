"""Messages that gateways send each other without the shared server, written and read."""

import json

import pytest

from wsdgateway.bridge.cluster.peerfields import BadFields
from wsdgateway.bridge.cluster.serving import MAX_BODY, read_serving, write_serving
from wsdgateway.bridge.cluster.values import CLAIM, NO_TOKEN, Registration, Serving

SERVING = Serving(Registration("id", "server-ä", "http://192.0.2.5:5360", ""),
                  {"desk": 7, "hall": NO_TOKEN, "attic": CLAIM})


def test_what_is_written_is_read():
    assert read_serving(write_serving(SERVING)) == SERVING


@pytest.mark.parametrize("body", [
    b"", b"[", b"{}", b"[1, {}]", b"[" * 100000, b"\xff", b" " * (MAX_BODY + 1), json.dumps(["[1]", {}]).encode(),
    *(json.dumps([json.dumps(["id", "name", ""]), tokens]).encode()
      for tokens in (["desk"], {"desk": "1"}, {"desk": 1.5}, {"desk": True}, {"desk": -2}, {"desk": 2**63},
                     {"d" * 300: 1})),
    json.dumps([json.dumps(["id", "name", "ftp://host"]), {}]).encode()])
def test_anything_else_is_refused(body):
    with pytest.raises(BadFields):
        read_serving(body)
