"""Tests of jobs that broke off with a former process: their clients must not take them for complete."""

import pytest_twisted

from tests.loopback.escl.client import client, section, settings
from tests.waiting import until
from wsdgateway.bridge.scanjobs.ownjob import OwnJob


async def assert_broken_off(one, job):
    assert (await one.next(job)).status == 410
    assert (await one.ask("GET", f"{job}/ScanImageInfo")).status == 410
    status = await one.get("ScannerStatus")
    assert job in status.values("JobUri") and set(status.values("JobState")) == {"Aborted"}
    assert (await one.ask("DELETE", job)).status == 200


@pytest_twisted.ensureDeferred
async def test_jobs_of_the_former_process_are_gone_after_a_restart(offered, gateway, tmp_path):
    state = {"state": f"sqlite:{tmp_path}/g.sqlite", "name": "test"}
    first = await offered(scanner={"page_seconds": 30.0}, gateway=state)
    running, waiting = await first.escl_client.scan(settings("Feeder")), await first.escl_client.scan()
    await until(lambda: first.scanner.escl.jobs.get(running.rpartition("/")[2]).job.created)
    url = first.device.scan_url
    await first.stopService()
    second = await gateway(url, gateway=state, escl=section(tmp_path))
    await until(lambda: all(listener.port is not None for listener in second.escl_ports.listeners))
    for job in (running, waiting):
        await assert_broken_off(client(second), job)
    assert (await client(second).next("/eSCL/ScanJobs/00000000-0000-4000-8000-000000000000")).status == 404


@pytest_twisted.ensureDeferred
async def test_jobs_are_stored_before_their_addresses_are_told_and_until_all_pages_were_fetched(offered):
    service = await offered()
    one = service.escl_client
    first, second = await one.scan(settings("Feeder")), await one.scan()
    assert {own.id for own in await service.store.own_jobs()} == {job.rpartition("/")[2] for job in (first, second)}
    for job in (first, second):
        _, last = await one.pages(job)
        assert last == 404
    assert await service.store.own_jobs() == []


@pytest_twisted.ensureDeferred
async def test_a_job_that_waited_for_its_turn_is_known_to_the_next_process(offered):
    service = await offered()
    service.scanner.own_jobs.end_leftovers([OwnJob("front-desk", "a", client="127.0.0.1")])
    await assert_broken_off(service.escl_client, "/eSCL/ScanJobs/a")
