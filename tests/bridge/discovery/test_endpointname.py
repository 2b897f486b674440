"""The spelling of a scanner's endpoint address: as discovery has it, whatever its metadata says."""

from wsdgateway.bridge.discovery.endpointname import EndpointName

GIVEN, SPELLED = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca", "uuid:4509A320-00A0-008F-00B6-002507510ECA"
OTHER = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"


def test_discovery_has_the_last_word():
    name = EndpointName(GIVEN)
    name.read_in_metadata(SPELLED)
    assert name.endpoint == SPELLED
    assert name.announced(GIVEN)
    assert not name.announced(GIVEN)
    name.read_in_metadata(SPELLED)
    assert name.endpoint == GIVEN


def test_nobody_else_names_it():
    name = EndpointName(GIVEN)
    name.read_in_metadata(OTHER)
    name.read_in_metadata(None)
    assert not name.announced(OTHER)
    assert name.endpoint == GIVEN


def test_one_that_is_not_known_is_read_in_its_metadata():
    name = EndpointName(None)
    assert not name.announced(OTHER)  # that may be anybody's
    name.read_in_metadata(GIVEN)
    assert name.endpoint == GIVEN
