"""Fixtures for the tests against a Redis server."""

import pytest
import pytest_twisted

from tests.redisserver import redis_server, redis_servers
from tests.storage.redis.gateways import Gateway

__all__ = ("redis_server", "redis_servers")


@pytest.fixture
def gateways(redis_server):
    """Makes gateways with a store on the server, until the test ends: `gateways(identifier)`."""
    from twisted.internet import reactor

    made = []

    def make(identifier="one"):
        made.append(Gateway(reactor, redis_server, identifier))
        return made[-1]

    yield make
    for gateway in made:
        pytest_twisted.blockon(gateway.close())
