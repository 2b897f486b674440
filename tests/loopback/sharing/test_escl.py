"""Tests of eSCL with several gateways: the same port everywhere, and scans through a gateway that is not the owner."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.escl.client import client, section, settings
from tests.loopback.scanners import HeldPage
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.ports import free_port
from tests.waiting import until


@pytest.fixture
def offered(member, virtual, tmp_path):
    """Starts two gateways that offer a virtual scanner by eSCL, at the same port of different addresses."""

    async def start(**sections):
        device, port = await virtual(), str(free_port())

        async def one(name, host):
            (tmp_path / name).mkdir()
            return await member(name, device.scan_url, host=host, scanner={"events": "off"},
                                escl=section(tmp_path / name, ports=port), **sections)

        owner = await one("one", "127.0.0.2")
        await until(lambda: serves(owner) and owner.escl_ports.port(NAME))
        follower = await one("two", "127.0.0.1")
        await until(lambda: owner_of(follower) == "one" and follower.escl_ports.port(NAME))
        return owner, follower

    return start


@pytest_twisted.ensureDeferred
async def test_a_scan_through_a_gateway_that_is_not_the_owner(offered):
    owner, follower = await offered()
    assert follower.escl_ports.port(NAME) == owner.escl_ports.port(NAME)
    escl = client(follower)
    assert (await escl.get("ScannerCapabilities")).status == 200
    job = await escl.scan(settings())
    pages, last = await escl.pages(job)
    assert len(pages) == 1 and pages[0].body.startswith(b"\xff\xd8") and last == 404


@pytest_twisted.ensureDeferred
async def test_the_next_owner_offers_what_the_former_has_read(offered):
    owner, follower = await offered()
    escl, port = client(follower), follower.escl_ports.port(NAME)
    capabilities = await escl.get("ScannerCapabilities")
    former = capabilities.body
    assert capabilities.value("UUID")
    await owner.stopService()
    await until(lambda: serves(follower))
    answered = await escl.get("ScannerCapabilities")
    assert (answered.status, answered.body, follower.escl_ports.port(NAME)) == (200, former, port)
    pages, _ = await escl.pages(await escl.scan(settings()))
    assert len(pages) == 1


async def page(escl, job):
    """Fetches the next page of a job."""
    while (answered := await escl.next(job)).status == 503:
        pass
    return answered


@pytest.mark.parametrize("how", ["move", "stop"])
@pytest_twisted.ensureDeferred
async def test_a_running_job_gets_all_pages_before_a_hand_over(offered, monkeypatch, how):
    held = HeldPage(monkeypatch, 3)
    owner, follower = await offered(lease=4.0)
    one, other = client(owner), client(follower)
    job = await one.scan(settings("Feeder"))
    pages = [await page(one, job)]
    ended = ensureDeferred(owner.stopService() if how == "stop" else follower.cluster.state.wish(NAME, "two"))
    await until(lambda: not owner.bridged.is_served(NAME) and held.waiting)
    later = ensureDeferred(other.scan())  # no new job is accepted until then
    pages.append(await page(other, job))  # passed on to the owner
    assert (await one.get("ScannerStatus")).value("State") == "Processing"
    assert not serves(follower) and owner.shared.leases.of(NAME).holds()
    held.send()
    pages.append(await page(one, job))
    assert [answered.status for answered in pages] == [200, 200, 200]
    assert len({answered.body for answered in pages}) == 3
    await until(lambda: serves(follower))
    assert (await other.next(job)).status == 404
    assert (await page(other, await later)).status == 200
    await ended


@pytest_twisted.ensureDeferred
async def test_a_job_that_lasts_too_long_is_canceled_at_a_hand_over_and_its_complete_pages_can_be_fetched(
        offered, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    owner, follower = await offered(limits={"stop_timeout": 0.3})
    one = client(owner)
    job = await one.scan(settings("Feeder"))
    first = await page(one, job)
    await until(lambda: held.waiting)
    [scanner] = owner.scanners
    engine = scanner.escl.jobs.execution.get(job.rpartition("/")[2])
    await follower.cluster.state.wish(NAME, "two")
    await until(lambda: engine.end is not None)
    second = await page(one, job)
    assert (first.status, second.status, first.body != second.body) == (200, 200, True)
    assert (await one.next(job)).status == 410
    await until(lambda: serves(follower))
    held.send()
    assert (await page(client(follower), await client(follower).scan())).status == 200


@pytest_twisted.ensureDeferred
async def test_gateways_that_start_together_assign_each_port_once(member, virtual, tmp_path):
    devices = {"a": await virtual(), "b": await virtual()}
    first = free_port()
    scanners = [{"name": name, "scan": device.scan_url, "events": "off"} for name, device in devices.items()]
    gateways = []
    for name, host in (("one", "127.0.0.2"), ("two", "127.0.0.1")):
        (tmp_path / name).mkdir()
        gateways.append(await member(name, None, host=host, scanners=scanners,
                                     escl=section(tmp_path / name, ports=f"{first}-{first + 3}")))
    await until(lambda: all(service.escl_ports.port(name) for service in gateways for name in devices))
    one, two = ({name: service.escl_ports.port(name) for name in devices} for service in gateways)
    assert one == two == await gateways[0].store.escl_ports() and len(set(one.values())) == 2
    followed = [described for service in gateways for described in service.overview.describe_scanners()]
    assert all(described["escl_url"].endswith(f":{one[described['name']]}/eSCL") for described in followed)


@pytest_twisted.ensureDeferred
async def test_a_job_that_broke_off_at_a_takeover_is_not_taken_for_complete(offered):
    owner, follower = await offered()
    escl = client(follower)
    job = await escl.scan(settings("Feeder"))
    assert (await escl.next(job)).status == 200
    await owner.stopService()
    await until(lambda: serves(follower))
    assert (await escl.next(job)).status == 410
    assert (await escl.ask("DELETE", job)).status == 200
