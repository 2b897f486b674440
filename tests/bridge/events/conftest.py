"""Fixtures for the tests of bridge.events: a subscription at a scanner, not yet started, and granted."""

import pytest

from tests.bridge.events.grants import GRANTED
from wsdgateway.bridge.events.upstream import Upstream


@pytest.fixture
def upstream():
    return Upstream(address="http://device/scan", expires=3600.0, random=lambda: 1.0)


@pytest.fixture
def subscribed(upstream):
    upstream.start()
    upstream.granted(GRANTED, 0.0)
    return upstream
