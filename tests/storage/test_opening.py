"""Tests of storage.opening: the store for each value of `[gateway] state`."""

import pytest
import pytest_twisted

from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.opening import open_store


def opened(state, folder):
    from twisted.internet import reactor

    async def restore(content):
        raise AssertionError

    return open_store(reactor, state, folder, history=3, wall=lambda: 1.8e9, restore=restore, on_return=lambda: None)


def test_memory(tmp_path):
    assert isinstance(opened("memory:", tmp_path), MemoryStore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s.sqlite", "a:b"])
@pytest_twisted.ensureDeferred
async def test_the_file_is_relative_to_the_folder(tmp_path, name):
    store = opened(f"sqlite:{name}", tmp_path)
    assert isinstance(store, FallbackStore)
    assert (tmp_path / name).exists()
    await store.close()


def test_an_unsupported_store_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must be memory: or sqlite:FILE"):
        opened("redis://h", tmp_path)
