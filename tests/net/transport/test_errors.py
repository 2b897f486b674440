"""Tests of net.transport.errors: the faults for clients when a device fails."""

import pytest

from wsdgateway.net.transport.errors import BadDevice, Unavailable, fault_for


@pytest.mark.parametrize(("error", "code"), [
    (Unavailable("x", "y"), "wscn:ServerErrorTemporaryError"), (BadDevice("x", "y"), "wscn:ServerErrorInternalError")])
def test_the_class_of_an_error_decides_the_fault(error, code):
    fault = fault_for(error)
    assert (fault.subcode, fault.status, fault.code) == (code, 500, "Receiver")
    assert "y" in fault.reason
