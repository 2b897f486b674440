"""Tests of soap.obligations: headers with mustUnderstand, and the fault for one that is not understood."""

import pytest

from tests.messages import envelope
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, write_fault
from wsdgateway.soap.namespaces import SOAP
from wsdgateway.soap.obligations import not_understood

OBLIGED = "<v:Sign xmlns:v='urn:v' soap:mustUnderstand='1'/>"


def test_the_fault_has_the_form_of_the_specification():
    fault = not_understood(read(envelope("a", headers=OBLIGED)))
    assert (fault.code, fault.subcode, fault.status, fault.name) == ("MustUnderstand", "", 500, "MustUnderstand")
    written = read(write_fault(fault, relates_to="urn:uuid:1", message_id="urn:uuid:2"))
    assert (fault_of(written), written.relates_to) == ("MustUnderstand", "urn:uuid:1")
    [named] = written.header.iterchildren(f"{{{SOAP}}}NotUnderstood")
    assert (named.get("qname"), named.nsmap["h"]) == ("h:Sign", "urn:v")


@pytest.mark.parametrize("headers", [
    "", "<v:Sign xmlns:v='urn:v'/>", OBLIGED.replace("'1'", "'0'"),
    "<wse:Identifier soap:mustUnderstand='1'>x</wse:Identifier>",
    OBLIGED.replace("/>", f" soap:role='{SOAP}/role/none'/>"), OBLIGED.replace("/>", " soap:role='urn:x'/>")])
def test_headers_without_obligation_for_the_gateway(headers):
    assert not_understood(read(envelope("a", headers=headers))) is None


def test_a_message_without_headers_has_no_obligations():
    assert not_understood(read(f"<s:Envelope xmlns:s='{SOAP}'><s:Body/></s:Envelope>".encode())) is None
