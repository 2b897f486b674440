"""Fixtures for the tests of replay."""

import pytest

from tests.replay.folders import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
