"""One gateway for all cases of a module, so that a change left by one case shows in the next."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.hostile.attackedgateway import AttackedGateway


@pytest.fixture(scope="module")
def gateway():
    """A gateway with a scanner and a subscriber."""
    made = AttackedGateway()
    pytest_twisted.blockon(ensureDeferred(made.start()))
    yield made
    pytest_twisted.blockon(ensureDeferred(made.stop()))


@pytest.fixture
def attacked(gateway):
    """The gateway, which must be in the same state after the case."""
    state = gateway.state()
    yield gateway
    pytest_twisted.blockon(ensureDeferred(gateway.check(state)))
