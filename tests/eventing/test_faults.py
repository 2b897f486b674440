"""Tests of eventing.faults: the faults of WS-Eventing."""

import pytest

from wsdgateway.eventing.faults import destination_unreachable, unable_to_process, unable_to_renew
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, write_fault
from wsdgateway.soap.namespaces import SOAP


@pytest.mark.parametrize(("fault", "code", "subcode"), [
    (unable_to_renew("r"), "Receiver", "UnableToRenew"),
    (destination_unreachable("r"), "Sender", "DestinationUnreachable"),
    (unable_to_process("r"), "Receiver", "EventSourceUnableToProcess")])
def test_other_faults(fault, code, subcode):
    written = read(write_fault(fault, relates_to=None, message_id="urn:uuid:2"))
    assert fault_of(written) == subcode
    assert written.body.findtext(f"{{{SOAP}}}Code/{{{SOAP}}}Value") == f"soap:{code}"
