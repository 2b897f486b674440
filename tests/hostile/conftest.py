"""One gateway for all cases of a module: what one leaves behind would show in the next."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.hostile.house import House


@pytest.fixture(scope="module")
def house():
    """A gateway with a scanner and a subscriber."""
    made = House()
    pytest_twisted.blockon(ensureDeferred(made.start()))
    yield made
    pytest_twisted.blockon(ensureDeferred(made.stop()))


@pytest.fixture
def kept(house):
    """The house, which must be as it was when the case is over."""
    trace = house.trace()
    yield house
    pytest_twisted.blockon(ensureDeferred(house.check(trace)))
