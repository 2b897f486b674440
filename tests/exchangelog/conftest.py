"""Fixtures for the tests of exchangelog."""

import pytest

from tests.exchangelog.disks import Reactor


@pytest.fixture
def reactor():
    return Reactor()
