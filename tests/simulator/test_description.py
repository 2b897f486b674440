"""Tests of simulator.description: the virtual scanner's metadata."""

from tests.messages import envelope
from wsdgateway.metadata.messages import scan_service_addresses
from wsdgateway.simulator.description import metadata
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import PNPX, WSCN, WSDP, WSX


def test_the_metadata_contains_the_scan_service():
    text = metadata(Settings(), "http://127.0.0.1:1")
    declared = "".join(f" xmlns:{prefix}='{uri}'" for prefix, uri in
                       {"wsx": WSX, "wsdp": WSDP, "pnpx": PNPX, "wscn": WSCN}.items())
    message = read(envelope("x", text.replace("<wsx:Metadata>", f"<wsx:Metadata{declared}>", 1)))
    assert scan_service_addresses(message) == ("http://127.0.0.1:1/WDP/SCAN",)
