"""Tests of app.abandonedscanners: which scanners a gateway owns only to end what they hold."""

from types import SimpleNamespace

import pytest_twisted
from twisted.internet.defer import succeed

from wsdgateway.app.abandonedscanners import MAX_NAMES, AbandonedScanners
from wsdgateway.bridge.cluster.values import Registration, View

ME, OTHER = (Registration(identifier, identifier, "", "1", {"desk": "1"}) for identifier in ("a", "b"))
VIEW = View(1e9, 1, 0.0, (ME, OTHER), {}, frozenset())


@pytest_twisted.ensureDeferred
async def test_only_so_many_are_owned_at_a_time():
    left = [f"old-{number:03}" for number in range(MAX_NAMES + 20)]
    store = SimpleNamespace(scanners=lambda: succeed(["desk", *left]))
    first, second = (AbandonedScanners(None, store, SimpleNamespace(known={"desk": None}), None) for _ in range(2))
    for _ in range(3):
        await first.look(VIEW, "a")
        await second.look(VIEW, "b")
    assert (first.names, second.names) == (set(left[:MAX_NAMES]), set())
    first.names.clear()  # they are ended
    del left[:MAX_NAMES]
    await first.look(VIEW, "a")
    assert first.names == set(left)
