"""Fixtures for tests of the exchange log."""

import pytest

from tests.exchangelog.disks import Reactor


@pytest.fixture
def reactor():
    return Reactor()
