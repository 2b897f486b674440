"""Tests of net.transport.errors: the faults for clients when a device fails."""

import pytest
from twisted.internet.error import ConnectionRefusedError

from wsdgateway.net.transport.errors import BadDevice, Unavailable, describe_error, fault_for


@pytest.mark.parametrize(("error", "code"), [
    (Unavailable("x", "y"), "wscn:ServerErrorTemporaryError"), (BadDevice("x", "y"), "wscn:ServerErrorInternalError")])
def test_the_class_of_an_error_decides_the_fault(error, code):
    fault = fault_for(error)
    assert (fault.subcode, fault.status, fault.code) == (code, 500, "Receiver")
    assert "y" in fault.reason


@pytest.mark.parametrize(("error", "text"), [
    (ConnectionRefusedError(), "Connection was refused by other side"), (ValueError("a.b"), "a.b"),
    (ValueError(), "ValueError")])
def test_the_text_of_an_error_has_no_final_period(error, text):
    assert describe_error(error) == text
