"""Fixtures for tests of discovery."""

import pytest

from tests.links import World


@pytest.fixture
def world(monkeypatch):
    """`world(...)` makes one and starts it."""
    made = []

    def make(**more):
        made.append(World(monkeypatch, **more).start())
        return made[-1]

    yield make
    for one in made:
        stopping = one.discovery.stopService()
        one.pass_time(4)
        assert stopping.called
        assert one.clock.getDelayedCalls() == []
        assert all(link.closed for link in one.links.values())
