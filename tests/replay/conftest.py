"""Fixtures for tests of replaying."""

import pytest

from tests.replay.folders import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
