"""Fixtures of the tests of net.discovery."""

import pytest

from tests.links import DiscoverySetup


@pytest.fixture
def set_up(monkeypatch):
    """Creates and starts the discovery of a gateway: `set_up(...)`."""
    made = []

    def make(**more):
        made.append(DiscoverySetup(monkeypatch, **more).start())
        return made[-1]

    yield make
    for one in made:
        stopping = one.discovery.stopService()
        one.pass_time(4)
        assert stopping.called
        assert one.clock.getDelayedCalls() == []
        assert all(link.closed for link in one.links.values())
