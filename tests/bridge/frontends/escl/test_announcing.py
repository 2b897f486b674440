"""Tests of bridge.frontends.escl.announcing: TXT records."""

from tests.bridge.frontends.escl.offers import DEFAULT, FULL, SMALL
from tests.bridge.frontends.escl.test_capabilities import WHO
from wsdgateway.bridge.frontends.escl.announcing import MAX_STRING, txt_of
from wsdgateway.bridge.frontends.escl.capabilities import Identity, capabilities_of


def test_the_keys_that_clients_read():
    assert txt_of(capabilities_of(WHO, FULL, DEFAULT), note="Hall") == {
        "txtvers": "1", "rs": "eSCL", "ty": "Maker 1000", "uuid": WHO.uuid,
        "pdl": "image/jpeg,application/pdf,image/tiff", "cs": "binary,grayscale,color", "is": "platen,adf",
        "duplex": "T", "adminurl": "http://192.0.2.1/admin", "representation": "http://192.0.2.1/icon.png",
        "note": "Hall", "vers": "2.63"}


def test_a_small_scanner():
    found = txt_of(capabilities_of(Identity("", "é" * 300, "e"), SMALL, DEFAULT), icon="http://[fe80::1]/i.png")
    assert (found["cs"], found["is"], found["duplex"]) == ("color", "platen", "F")
    assert found["representation"] == "http://[fe80::1]/i.png"
    assert "note" not in found and "adminurl" not in found
    assert len(f"ty={found['ty']}".encode()) in (MAX_STRING - 1, MAX_STRING)
