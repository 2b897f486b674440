"""Tests of [limits] client_jobs, which counts a client's jobs at the scanners of all gateways."""

import itertools

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.loopback.escl.client import client, section, settings
from tests.loopback.gateways import PATH, sample
from tests.loopback.sharing.conftest import NAME, owner_of, serves
from tests.messages import SCAN, create_scan_job, created_job, envelope, fault, job_request
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.access.quotas import AFTER_IMAGE_SECONDS, FORGOTTEN_SECONDS
from wsdgateway.scan.jobs import read_created, write_retrieve
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.storage.redis import keys

JOBS = keys.jobs("127.0.0.1")
OFF = {"events": "off"}
TWO, ONE = {"client_jobs": 2, "unlimited": []}, {"client_jobs": 1, "unlimited": []}
REFUSED = "ServerErrorTemporaryError"
numbers = itertools.count(1)


@pytest.fixture
def creates(device):
    """A scanner that creates every job; `created` counts them."""
    device.created = 0

    def handle(asked):
        operation = read(asked.request.body).action.rpartition("/")[2]
        if operation == "CreateScanJob":
            device.created += 1
            asked.answer(created_job(str(device.created)))
        elif operation == "CancelJob":
            asked.answer(envelope(f"{SCAN}/CancelJobResponse"))
        else:
            asked.answer(fault("wscn:ClientErrorNoImagesAvailable"), b"400 Bad Request")

    device.handle = handle
    return device


async def ask_for_job(service, path=PATH):
    """Returns the envelope of the answer."""
    _, body = await ask(service.port, path, create_scan_job(f"urn:uuid:create-{next(numbers)}"))
    return read(body)


async def create(service, path=PATH):
    """Returns the JobId of a new job, or the name of the fault."""
    answer = await ask_for_job(service, path)
    created = read_created(answer.body)
    return fault_of(answer) if created is None else created.job_id


class Counted:
    """The jobs of the client that Redis counts."""

    def __init__(self, server):
        self._server = server

    @property
    def scanners(self):
        """The scanner of each job."""
        with self._server.connect() as one:
            return sorted(job.decode().partition(" ")[0] for job in one.zrange(JOBS, 0, -1))

    @property
    def seconds(self):
        """The longest time for which a job goes on counting."""
        with self._server.connect() as one:
            ends = [end for _, end in one.zrange(JOBS, 0, -1, withscores=True)]
            seconds, microseconds = one.time()
            return max(ends) / 1000 - seconds - microseconds / 1e6

    def pass_time(self):
        """Has all jobs counted for long enough."""
        with self._server.connect() as one:
            for job in one.zrange(JOBS, 0, -1):
                one.zadd(JOBS, {job: one.time()[0] * 1000})

    def add(self):
        """Counts a job of another gateway."""
        with self._server.connect() as one:
            one.zadd(JOBS, {"elsewhere 1 other": (one.time()[0] + 60) * 1000})

    def remove(self):
        """Counts no job any more."""
        with self._server.connect() as one:
            one.delete(JOBS)


@pytest.fixture
def counted(fresh):
    return Counted(fresh)


@pytest.fixture
def apart(member, creates):
    """Starts two gateways, each with a scanner that the other one does not know: `one, two = await apart(**sections)`.
    """

    async def start(**sections):
        made = []
        for gateway, scanner in (("one", NAME), ("two", "hall")):
            made.append(await member(gateway, None, scanners=[
                {"name": scanner, "scan": creates.url, **OFF}], **sections))
        await until(lambda: serves(made[0]) and serves(made[1], "hall"))
        return made

    return start


@pytest_twisted.ensureDeferred
async def test_jobs_at_the_scanners_of_two_gateways_count_together(apart, creates, counted):
    one, two = await apart(limits=TWO)
    first = await create(one)
    assert (first, await create(two, "/hall/scan")) == ("1", "2")
    assert counted.scanners == [NAME, "hall"]
    assert 0 < counted.seconds <= FORGOTTEN_SECONDS
    assert (await create(two, "/hall/scan"), await create(one)) == (REFUSED, REFUSED)
    assert creates.created == 2
    assert [sample(service, "wsdgateway_refused_total", reason="jobs") for service in (one, two)] == [1, 1]
    await ask(one.port, PATH, job_request("CancelJob", first))
    await until(lambda: counted.scanners == ["hall"])
    assert await create(two, "/hall/scan") == "3"
    assert await create(one) == REFUSED


@pytest.mark.parametrize("end", ["stops", "stalls"])
@pytest_twisted.ensureDeferred
async def test_the_next_owner_counts_the_jobs_of_the_former_until_they_expire(pair, creates, counted, end):
    owner, follower = await pair(creates.url, scanner=OFF, limits=TWO)
    assert (await create(follower), await create(owner)) == ("1", "2")
    tick, stalled = owner.shared.coordination.tick, Deferred()
    if end == "stops":
        await owner.stopService()
    else:
        owner.shared.coordination.tick = lambda *arguments: stalled.addCallback(lambda _: tick(*arguments))
    try:
        await until(lambda: serves(follower))
        assert await create(follower) == REFUSED
        counted.pass_time()
        assert await create(follower) == "3"
        assert counted.scanners == [NAME]
    finally:
        owner.shared.coordination.tick = tick
        stalled.callback(None)


@pytest_twisted.ensureDeferred
async def test_clients_without_a_limit_are_not_counted(apart, counted):
    one, two = await apart(limits={"client_jobs": 1})
    assert (await create(one), await create(one), await create(two, "/hall/scan")) == ("1", "2", "3")
    assert counted.scanners == []


@pytest_twisted.ensureDeferred
async def test_a_request_that_creates_no_job_does_not_count(apart, creates, counted):
    one, _ = await apart(limits=ONE)
    handle, creates.handle = creates.handle, lambda asked: asked.answer(
        fault("wscn:ServerErrorNotAcceptingJobs"), b"500 Internal Server Error")
    assert await create(one) == "ServerErrorNotAcceptingJobs"
    creates.handle = handle
    await until(lambda: counted.scanners == [])
    assert await create(one) == "1"


@pytest_twisted.ensureDeferred
async def test_a_scan_by_escl_counts_until_it_has_ended(member, virtual, tmp_path, counted):
    scanner = await virtual()
    (tmp_path / "one").mkdir()
    service = await member("one", scanner.scan_url, scanner=OFF, escl=section(tmp_path / "one"), limits=ONE)
    await until(lambda: serves(service) and service.escl_ports.port(NAME))
    counted.add()
    escl = client(service)
    refused = await escl.ask("POST", "/eSCL/ScanJobs", settings())
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    assert scanner.soap.asked["CreateScanJob"] == 0
    assert sample(service, "wsdgateway_refused_total", reason="jobs") == 1
    counted.remove()
    job = await escl.scan(settings())
    assert counted.scanners == [NAME]
    pages, last = await escl.pages(job)
    assert (len(pages), last) == (1, 404)
    await until(lambda: counted.scanners == [])


@pytest_twisted.ensureDeferred
async def test_after_an_image_a_job_counts_for_a_shorter_time(member, virtual, counted, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.scanners.jobcounts.LATER_SECONDS", 0.0)
    scanner = await virtual()
    service = await member("one", scanner.scan_url, scanner=OFF, limits=ONE)
    await until(lambda: serves(service))
    created = read_created((await ask_for_job(service)).body)
    head, _ = await ask(service.port, PATH, envelope(f"{SCAN}/RetrieveImage", write_retrieve(created, "page")))
    assert head.status == 200
    await until(lambda: counted.seconds <= AFTER_IMAGE_SECONDS)
    assert counted.scanners == [NAME]


@pytest_twisted.ensureDeferred
async def test_while_redis_is_away_each_gateway_counts_by_itself(pair, creates, away):
    owner, _ = await pair(creates.url, lease=4.0, scanner=OFF, limits=ONE)
    away.stop()
    assert (await create(owner), await create(owner)) == ("1", REFUSED)
    away.cont()
    assert owner_of(owner) == "one"
