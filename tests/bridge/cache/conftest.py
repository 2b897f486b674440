"""A bridged scanner for the tests of the caches."""

import pytest

from tests.bridge.cache.caching import CachingBridge


@pytest.fixture
def bridge():
    """A bridged scanner whose answers are kept."""
    return CachingBridge()
