"""Tests of soap.faults: reading and writing of faults."""

import pytest

from tests.messages import (
    envelope,
    fault,
)
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import (
    MAX_NAME,
    action_missing,
    action_not_supported,
    fault_of,
    internal_error,
    invalid_args,
    temporary_error,
    write_fault,
)
from wsdgateway.soap.namespaces import SOAP, WSA


@pytest.mark.parametrize(("fault", "status", "code"), [
    (invalid_args("x"), 400, "InvalidArgs"),
    (action_missing(), 400, "MessageInformationHeaderRequired"),
    (action_not_supported("http://x"), 400, "ActionNotSupported"),
    (temporary_error("x"), 500, "ServerErrorTemporaryError"),
    (internal_error("x"), 500, "ServerErrorInternalError"),
])
def test_faults_have_the_form_of_the_specification(fault, status, code):
    message = read(write_fault(fault, relates_to="urn:uuid:7", message_id="urn:uuid:8"))
    assert fault.status == status
    assert fault_of(message) == code
    assert message.action == f"{WSA}/fault"
    assert message.relates_to == "urn:uuid:7"
    prefix = message.body.findtext(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value").partition(":")[0]
    value = message.body.find(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value")
    assert prefix in value.nsmap
    assert message.body.find(f".//{{{SOAP}}}Text").text


def test_other_bodies_are_no_faults():
    assert fault_of(read(envelope("a", "<wscn:X/>"))) is None
    assert fault_of(read(envelope("a"))) is None
    only_code = "<soap:Fault><soap:Code><soap:Value>soap:Receiver</soap:Value></soap:Code></soap:Fault>"
    assert fault_of(read(envelope("a", only_code))) == "Receiver"


def test_the_name_of_a_fault_is_its_subcode_without_prefix():
    assert fault_of(read(fault("wscn:A"))) == "A"
    assert fault_of(read(fault("wscn:" + "A" * 10000))) == "A" * MAX_NAME
