"""Tests of bridge.discovery.endpointname: announcements take precedence over metadata for the spelling of an endpoint.
"""

from wsdgateway.bridge.discovery.endpointname import EndpointName

GIVEN, SPELLED = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca", "uuid:4509A320-00A0-008F-00B6-002507510ECA"
OTHER = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"


def test_announcements_take_precedence_over_metadata():
    name = EndpointName(GIVEN)
    name.read_in_metadata(SPELLED)
    assert name.endpoint == SPELLED
    assert name.announced(GIVEN)
    assert not name.announced(GIVEN)
    name.read_in_metadata(SPELLED)
    assert name.endpoint == GIVEN


def test_other_endpoints_do_not_change_the_name():
    name = EndpointName(GIVEN)
    name.read_in_metadata(OTHER)
    name.read_in_metadata(None)
    assert not name.announced(OTHER)
    assert name.endpoint == GIVEN


def test_an_unknown_endpoint_is_read_from_the_metadata():
    name = EndpointName(None)
    assert not name.announced(OTHER)  # it may belong to another device
    name.read_in_metadata(GIVEN)
    assert name.endpoint == GIVEN
