"""Tests of net.presence.metadata: the endpoint in a device's URL."""

import pytest

from wsdgateway.net.presence.metadata import endpoint_of


@pytest.mark.parametrize(("url", "endpoint"), [
    ("http://x/37f86d35-e6ac-4241-964f-1d9ae46fb366", "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"),
    ("http://x/wsd", "http://x/wsd"), ("http://x/zzzzzzzz-e6ac-4241-964f-1d9ae46fb366", None)])
def test_a_devices_endpoint(url, endpoint):
    assert endpoint_of(url) == (endpoint or url)
