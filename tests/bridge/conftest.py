"""Fixtures for the tests of bridge: bridged scanners."""

import pytest

from tests.bridge.bridges import Bridge
from tests.messages import status_event


@pytest.fixture
def bridge():
    """A bridged scanner that has not sent an event yet."""
    return Bridge()


@pytest.fixture
def eventful(bridge):
    """A bridged scanner that has sent JobStatusEvents since its boot."""
    bridge.tell(status_event("99", "Processing", 0, message_id="urn:uuid:other"))
    return bridge
