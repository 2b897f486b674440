"""Tests of what follows the owner: names on the panel, and events that the gateway makes."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.destinations.test_registration import names
from tests.loopback.events.subscribers import subscribed
from tests.loopback.events.test_made_events import Scan, told
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.waiting import until


async def move(owner, follower):
    await follower.cluster.state.wish(NAME, "two")
    await until(lambda: serves(follower) and owner_of(owner) == "two")


@pytest.mark.parametrize("how", ["moved", "stopped"])
@pytest_twisted.ensureDeferred
async def test_a_name_on_the_panel_is_never_shown_twice(pair, virtual, tmp_path, how):
    (tmp_path / "files").mkdir()
    scanner = await virtual()
    owner, follower = await pair(scanner.scan_url, destination=[{"name": "Scans", "folder": str(tmp_path / "files")}])
    await until(lambda: names(scanner) == (1, 1))
    most = []
    waiting = ensureDeferred(move(owner, follower)) if how == "moved" else owner.stopService()
    await until(lambda: most.append(names(scanner)) or serves(follower))
    await waiting
    made = follower.bridged.find(NAME)
    await until(lambda: most.append(names(scanner)) or (
        made.destinations.registration.state == "subscribed" and made.bridge.table.listening))
    assert (names(scanner), max(most)) == ((1, 1), (1, 1))
    assert scanner.device.press(made.destinations.entries[0].context, "Platen") == 1
    await until(lambda: [one for one in (tmp_path / "files").iterdir() if not one.name.startswith(".")])


@pytest_twisted.ensureDeferred
async def test_made_events_go_on_after_a_takeover(pair, virtual, sink):
    scanner = await virtual(feeder_pages=2, events="none")
    owner, follower = await pair(scanner.scan_url, cache={"poll_interval": 0.05})
    listener = await sink()
    await subscribed(owner, listener.url, events=["JobStatusEvent", "JobEndStateEvent"])
    scan = await Scan(follower).begin()
    await until(lambda: listener.received)
    assert await scan.page()
    await until(lambda: told(listener)[-1][2] == 1)
    await move(owner, follower)
    assert await scan.page()
    assert not await scan.page()
    await until(lambda: "JobEndStateEvent" in listener.events)
    events = told(listener)
    assert events[-1] == ("JobEndStateEvent", "Completed", 2)
    assert listener.events.count("JobEndStateEvent") == 1
    assert [one[2] for one in events] == sorted(one[2] for one in events)
