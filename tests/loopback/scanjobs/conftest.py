"""Fixtures that start a gateway with scan jobs of its own."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.loopback.scanjobs.ordering import Jobs


@pytest.fixture
def own_jobs(tmp_path):
    """Adds own jobs to a gateway: `own_jobs(service)`."""
    made = []

    def make(service, limit=1 << 30):
        jobs = Jobs(service, tmp_path / f"spool-{len(made)}", limit)
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        pytest_twisted.blockon(ensureDeferred(jobs.stop()))
        assert jobs.files == []
        assert jobs.room.used == 0


@pytest.fixture
def virtual_jobs(bridged, own_jobs):
    """Starts a gateway with own jobs in front of a virtual scanner: `await virtual_jobs(**settings)`."""

    async def start(limit=1 << 30, sections=None, **settings):
        service = await bridged(settings, **(sections or {}))
        jobs = own_jobs(service, limit)
        jobs.device = service.device.device
        return jobs

    return start


@pytest.fixture
def device_jobs(gateway, device, own_jobs):
    """Starts a gateway with own jobs in front of a device controlled by the test: `await device_jobs()`."""

    async def start(limit=1 << 30, **more):
        return own_jobs(await gateway(device.url, **more), limit)

    return start
