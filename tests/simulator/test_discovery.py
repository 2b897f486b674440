"""Tests of simulator.discovery: the virtual scanner in discovery."""

import pytest

from wsdgateway.discovery.messages import message_in
from wsdgateway.discovery.writing import write_probe, write_resolve
from wsdgateway.simulator.description import metadata
from wsdgateway.simulator.discovery import VirtualTarget
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.envelope import read


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_metadata_and_discovery_have_the_same_endpoint(scheme):
    base, settings = f"{scheme}://127.0.0.1:1", Settings()
    target = VirtualTarget(settings, wall=lambda: 1e9, new_id=lambda: "urn:uuid:n", listener=lambda: None)
    endpoint = {"http": f"urn:uuid:{settings.uuid}", "https": f"{base}/{settings.uuid}"}[scheme]
    for asked in (write_probe((), message_id="urn:uuid:q"), write_resolve(endpoint, message_id="urn:uuid:q")):
        [match] = message_in(read(target.answer(read(asked), base))).content
        assert (match.endpoint, match.xaddrs) == (endpoint, (f"{base}/{settings.uuid}",))
    assert f"<wsa:Address>{endpoint}</wsa:Address></wsa:EndpointReference><wsdp:Types>wscn:ScanDeviceType" in (
        metadata(settings, base))
