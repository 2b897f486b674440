"""Fixtures for the tests of storage."""

import pytest
import pytest_twisted

from tests.storage.stores import STORES


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    from twisted.internet import reactor

    made = STORES[request.param](reactor, tmp_path / "s.sqlite")
    yield made
    pytest_twisted.blockon(made.close())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "s.sqlite"
