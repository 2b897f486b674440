"""Tests of metadata.messages: the scan service in a device's metadata, and the Get request."""

from tests.messages import envelope
from wsdgateway.metadata.messages import MAX_LABEL, read_labels, scan_service_addresses, write_get
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSCN, WSDP, WSX, WXF


def metadata(types, prefix="q"):
    return envelope(f"{WXF}/GetResponse", (
        f"<x:Metadata xmlns:x='{WSX}' xmlns:d='{WSDP}' xmlns:{prefix}='{WSCN}'><x:MetadataSection><d:Relationship>"
        "<d:Hosted><wsa:EndpointReference><wsa:Address>http://d/print</wsa:Address></wsa:EndpointReference>"
        "<d:Types>p:PrinterServiceType</d:Types></d:Hosted>"
        "<d:Hosted><wsa:EndpointReference><wsa:Address> http://d/scan </wsa:Address></wsa:EndpointReference>"
        "<wsa:EndpointReference><wsa:Address>http://e/scan</wsa:Address></wsa:EndpointReference>"
        f"<d:Types>\n x:Other {types}</d:Types></d:Hosted></d:Relationship></x:MetadataSection></x:Metadata>"))


def test_the_scan_service_is_found_by_its_type():
    assert scan_service_addresses(read(metadata("q:ScannerServiceType"))) == ("http://d/scan", "http://e/scan")


def test_a_type_counts_by_its_local_part_if_its_prefix_is_not_declared():
    for name in ("undeclared:ScannerServiceType", "ScannerServiceType"):
        assert scan_service_addresses(read(metadata(name))) == ("http://d/scan", "http://e/scan")
    assert scan_service_addresses(read(metadata("undeclared:PrinterServiceType"))) == ()


def test_another_namespace_is_another_type():
    assert scan_service_addresses(read(metadata("x:ScannerServiceType"))) == ()
    assert scan_service_addresses(read(metadata("q:ScannerServiceTypes"))) == ()
    assert scan_service_addresses(read(envelope("x"))) == ()


def test_get_names_the_endpoint():
    message = read(write_get(to="urn:uuid:5", message_id="urn:uuid:6"))
    assert (message.action, message.to) == (f"{WXF}/Get", "urn:uuid:5")


def test_a_name_without_end_is_cut():
    found = read_labels(read(metadata("").replace(b"<d:Relationship>", (
        b"<d:FriendlyName>%b</d:FriendlyName><d:ModelName>M</d:ModelName><d:Relationship>" % (b"N" * 3_000_000)))).root)
    assert (found.friendly_name, found.model, found.firmware) == ("N" * MAX_LABEL, "M", "")
