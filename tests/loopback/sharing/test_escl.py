"""Tests of eSCL with several gateways: the same port everywhere, and scans through a gateway that is not the owner."""

import pytest
import pytest_twisted

from tests.loopback.escl.client import client, section, settings
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.ports import free_port
from tests.waiting import until


@pytest.fixture
def offered(member, virtual, tmp_path):
    """Starts two gateways that offer a virtual scanner by eSCL, at the same port of different addresses."""

    async def start():
        device, port = await virtual(), str(free_port())

        async def one(name, host):
            (tmp_path / name).mkdir()
            return await member(name, device.scan_url, host=host, scanner={"events": "off"},
                                escl=section(tmp_path / name, ports=port))

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
