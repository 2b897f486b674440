"""Two gateways: one owns the scanner, and clients reach it through the other, too."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.cluster.gateways import Clustered, section_of


@pytest.fixture
def clustered(gateway):
    """Starts a gateway among others: `await clustered(name, url, **sections)`."""
    made = []

    async def start(name, url, *, scanner=None, cluster=None, **sections):
        from twisted.internet import reactor

        service = await gateway(None, **sections)
        one = Clustered(reactor, service, name, section=section_of(url, **(scanner or {})), **(cluster or {}))
        made.append(one)
        return one

    yield start
    for one in made:
        pytest_twisted.blockon(ensureDeferred(one.stop()))


@pytest.fixture
def pair(clustered):
    """Starts the owner and another gateway: `owner, front = await pair(url, **sections)`."""

    async def start(url, *, scanner=None, cluster=None, front=None, **sections):
        owner = await clustered("owner", url, scanner=scanner, cluster=cluster, **sections)
        other = await clustered("front", url, scanner=scanner, cluster=cluster,
                                **(sections if front is None else front))
        owner.own()
        owner.owners.owner = other.owners.owner = owner.registration
        return owner, other

    return start
