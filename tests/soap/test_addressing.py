"""Tests of soap.addressing: reading and writing of endpoint references."""


from wsdgateway.soap.addressing import EndpointReference, read_reference, write_reference
from wsdgateway.soap.namespaces import WSA
from wsdgateway.soap.parsing import parse


def test_endpoint_references_keep_their_parameters():
    element = parse(f"<e xmlns:a='{WSA}' xmlns:q='u:q'><a:Address> http://x/y </a:Address><a:ReferenceProperties>"
                    "<q:p>1</q:p></a:ReferenceProperties><a:ReferenceParameters><q:id>q:2</q:id></a:ReferenceParameters></e>".encode())
    reference = read_reference(element)
    assert reference.address == "http://x/y"
    again = read_reference(parse(f"<e xmlns:wsa='{WSA}'>{write_reference(reference)}</e>".encode()))
    assert [parse(p.encode()).tag for p in again.parameters] == ["{u:q}p", "{u:q}id"]
    assert parse(again.parameters[1].encode()).nsmap["q"] == "u:q"


def test_an_element_without_address_is_no_reference():
    assert read_reference(parse(b"<e/>")) is None
    assert write_reference(EndpointReference("a")) == "<wsa:Address>a</wsa:Address>"
