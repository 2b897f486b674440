"""Clients and gateways on Redis servers of the tests."""

import pytest
import pytest_twisted

from tests.redisserver import redis_server, redis_servers
from tests.storage.redis.gateways import Gateway
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.client import RedisClient

__all__ = ("redis_server", "redis_servers")


@pytest.fixture
def make_client():
    """Makes clients of a URL, and closes them after the test.

    Their deadline is long, because a loaded machine is no failure; tests of the deadline pass their own.
    """
    from twisted.internet import reactor

    made = []

    def make(url, password=None, deadline=30.0, **options):
        made.append(RedisClient(reactor, parse(url, password), deadline=deadline, **options))
        return made[-1]

    yield make
    for one in made:
        pytest_twisted.blockon(one.close())


@pytest.fixture
def gateways(redis_server):
    """Makes gateways with a store on the server, until the test ends: `gateways(identifier, deadline)`."""
    from twisted.internet import reactor

    made = []

    def make(identifier="one", **options):
        made.append(Gateway(reactor, redis_server, identifier, **options))
        return made[-1]

    yield make
    for gateway in made:
        pytest_twisted.blockon(gateway.close())
