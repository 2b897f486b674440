"""The fixture `bridge` for the tests of bridge.cache."""

import pytest

from tests.bridge.cache.caching import CachingBridge


@pytest.fixture
def bridge():
    """A bridged scanner with an answer cache."""
    return CachingBridge()
