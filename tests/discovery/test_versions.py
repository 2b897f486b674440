"""Tests of discovery.versions: the version of WS-Discovery follows from the action."""

from wsdgateway.discovery.versions import (
    VERSIONS,
    WS_2005_04,
    discovery_request,
    name_of,
    version_of,
)


def test_version_and_name_follow_from_the_action():
    for version in VERSIONS:
        assert version_of(version.action("Probe")) is version
        assert name_of(version.action("Hello")) == "Hello"
        assert discovery_request(version.action("Resolve")) == "Resolve"
        assert discovery_request(version.action("Hello")) is None
    assert version_of("urn:x/Probe") is None
    assert discovery_request("urn:x/Probe") is None
    assert name_of(WS_2005_04.action("Fault")) is None
