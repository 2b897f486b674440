"""Several gateways on one Redis as processes: requests that are passed on, and takeovers."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.cluster import chaos
from tests.cluster.checker import check
from tests.cluster.clients import Creation
from tests.cluster.lab import until
from tests.e2e.clusters import (
    PANEL,
    check_takeover,
    no_ends_missed,
    picture,
    read_until,
    read_until_answered,
    reading,
    scan,
)
from tests.redisserver import skip_without_redis

MUCH = {"resolution": 300}  # a page of over a hundred kilobytes in many pieces


# Passing on.


def test_everything_works_at_a_gateway_that_does_not_own_the_scanner(two):
    lab, owner, other, client = two
    made, reply = client.subscribe(other.name, lab.sinks)
    assert made is not None, reply
    panel, reply = client.subscribe(owner.name, lab.sinks, **PANEL)
    assert panel is not None, reply
    job, entry = client.create(other.name, Creation.new())
    assert job is not None, entry
    assert [client.read(one.name, job.job_id).status.state for one in (owner, other)] == ["Pending"] * 2
    assert client.cancel(other.name, job.job_id).is_good
    for one in (owner, other):
        assert client.read(one.name, job.job_id).status.state in ("Terminating", "Canceled")
        read_until(client, one, job.job_id, "Canceled")
    until(lambda: no_ends_missed(lab))
    assert client.renew(owner.name, made).is_good
    assert lab.control("press", "POST")["result"] == 1
    until(lambda: any(one.event == "ScanAvailableEvent" for one in lab.history().deliveries))
    assert client.unsubscribe(other.name, panel).is_good
    assert lab.recorder.count("Subscribe") == 2
    assert other.metric("wsdgateway_passed_total") >= 4
    assert {one.gateway for one in lab.history().asked} == {owner.name}, "the owner alone speaks to the scanner"


def test_an_image_is_streamed_through_a_follower(two):
    _, owner, other, client = two
    _, at_owner = scan(client, [owner], **MUCH)
    _, through_other = scan(client, [other], **MUCH)
    assert len(at_owner) > 100_000
    assert picture(through_other) == picture(at_owner)


def test_scanimage_scans_through_a_follower(two, scanimage, tmp_path):
    _, owner, other, _ = two
    urls = {one.name: f"http://127.0.0.1:{one.port}/front-desk/scan" for one in (owner, other)}
    for name in urls:
        done = scanimage(urls, name, "--format=jpeg", "--resolution=100", "-o", f"{name}.jpg")
        assert done.returncode == 0, done.stderr
    images = [(tmp_path / f"{name}.jpg").read_bytes() for name in urls]
    assert images[0].startswith(b"\xff\xd8")
    assert images[0] == images[1]


def test_create_scan_job_sent_again_at_the_other_gateway_makes_one_job(two):
    lab, owner, other, client = two
    for first, second in ((owner, other), (other, owner)):
        creation = Creation.new()
        job, entry = client.create(first.name, creation)
        assert job is not None, entry
        again, entry = client.create(second.name, creation)
        assert again == job, entry
        assert client.cancel(second.name, job.job_id).is_good
    creation, answers = Creation.new(), []
    both = [threading.Thread(target=lambda one=one: answers.append(client.create(one.name, creation)[0]))
            for one in (owner, other)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert answers[0] is not None and answers[0] == answers[1]
    assert lab.recorder.count("CreateScanJob") == 3


def test_one_connection_to_the_scanner_for_clients_at_both_gateways(cluster):
    lab = cluster(max_connections=1)
    failures, stop = [], threading.Event()

    def read_and_read(number):
        client = lab.client(f"127.0.1.{number + 1}")
        while not stop.is_set():
            entry = client.read(lab.gateways[number % 2].name, "1")
            if entry.fault not in (None, "ClientErrorJobIdNotFound"):
                failures.append(entry)

    readers = [threading.Thread(target=read_and_read, args=(number,)) for number in range(4)]
    for one in readers:
        one.start()
    try:
        client = lab.client()
        for _ in range(3):
            scan(client, lab.gateways)
    finally:
        stop.set()
        for one in readers:
            one.join()
    assert not failures, failures[:3]
    counts = check(lab.history()).counts
    assert counts["requests at once"] == 1
    assert counts["connections at once"] <= 1  # 0 if none of them lasted long enough to be counted


def test_idle_gateways_ask_the_scanner_nothing(two):
    lab, owner, other, client = two
    scan(client, [owner])
    until(lambda: [one.event for one in lab.history().announcements[-1:]] == ["ScannerStatusSummaryEvent"])

    def ticks():
        return min(one.metric("wsdgateway_redis_seconds_count") for one in (owner, other))

    def scripts():
        return sum(told["calls"] for name, told in lab.redis.connect().info("commandstats").items()
                   if name in ("cmdstat_eval", "cmdstat_evalsha", "cmdstat_fcall"))

    began, first, before = time.monotonic(), ticks(), scripts()
    until(lambda: ticks() >= first + 5)
    assert not [one for one in lab.history().asked if one.begin > began]
    # One a second and gateway; half as many again for what a hint of the other one brings forward.
    assert scripts() - before <= 3 * (time.monotonic() - began + 1)


# Takeovers.


def test_a_killed_owner_is_followed_by_the_other_gateway(two):
    lab, owner, other, client = two
    made = [client.subscribe(one.name, lab.sinks)[0] for one in (owner, other)]
    panel = client.subscribe(owner.name, lab.sinks, **PANEL)[0]
    scan(client, [owner, other])
    job, _ = client.create(owner.name, Creation.new())
    until(lambda: any(one.status and one.status.job_id == job.job_id for one in lab.history().announcements))
    before = time.monotonic()
    owner.kill()
    lab.address.holder = other
    check_takeover(lab, other, client, job, [*made, panel])
    until(lambda: lab.recorder.count("Renew", before) == 2)
    assert lab.recorder.count("Subscribe", before) == 0
    assert lab.control()["subscriptions"] == 2
    assert lab.control("press", "POST")["result"] == 1
    until(lambda: any(one.event == "ScanAvailableEvent" for one in lab.history().deliveries))
    owner.start()
    until(lambda: owner.metric("wsdgateway_cluster_scanners", state="following") == 1)
    assert scan(client, [owner, other])
    assert lab.owner is other, "a gateway that comes back takes nothing away"


def test_a_create_scan_job_whose_owner_is_killed_makes_at_most_one_job(two):
    lab, owner, other, client = two
    creation = Creation.new()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(client.create(other.name, creation)))
    lab.scanner.send(signal.SIGSTOP)  # it answers when the owner is gone
    try:
        asking.start()
        until(lambda: lab.device.is_asked(b"/CreateScanJob<"))
        owner.kill()
    finally:
        lab.scanner.send(signal.SIGCONT)
    lab.address.holder = other
    asking.join()
    assert answers[0][0] is None and answers[0][1].fault == "ServerErrorTemporaryError"
    # The job that was made keeps the scanner busy; it is not made a second time.
    job, entry = client.create(other.name, creation)
    assert job is None and not entry.is_good
    until(lambda: sum(one.job_id is not None for one in lab.history().asked) == 1)


def test_sigterm_hands_over_without_a_fault(two):
    lab, owner, other, client = two
    made = client.subscribe(other.name, lab.sinks)[0]
    job, _ = client.create(owner.name, Creation.new())
    with reading(lab, other, job.job_id) as answers:
        before = time.monotonic()
        owner.terminate()
        lab.address.holder = other
        check_takeover(lab, other, client, job, [made])
    assert owner.status in (0, -signal.SIGTERM)
    assert not [one for one in answers if not one.is_good]
    assert lab.recorder.count("Subscribe", before) == 0
    assert lab.recorder.count("Unsubscribe", before) == 0
    other.terminate()
    assert lab.control()["subscriptions"] == 0, "the last gateway ends its subscription"


@pytest.mark.parametrize("killed", ["owner", "other"])
def test_a_gateway_that_is_stopped_just_after_the_other_was_killed_ends_its_subscription(two, killed):
    lab, owner, other, _ = two
    victim, survivor = (owner, other) if killed == "owner" else (other, owner)
    lab.address.holder = survivor
    until(lambda: lab.redis.command("EXISTS", "wsdgateway:{front-desk}:held"))  # else nobody knows of it after the kill
    victim.kill()
    survivor.terminate()
    assert survivor.status in (0, -signal.SIGTERM)
    assert lab.control()["subscriptions"] == 0


def test_an_owner_that_was_stopped_does_not_answer_from_before(two):
    lab, owner, other, client = two
    made = client.subscribe(owner.name, lab.sinks)[0]
    job, _ = client.create(owner.name, Creation.new())
    assert client.read(owner.name, job.job_id).status.state == "Pending"
    with owner.stopped():
        lab.address.holder = other
        assert read_until_answered(client, other, job.job_id).state == "Pending"
        assert client.cancel(other.name, job.job_id).is_good
    assert read_until_answered(client, owner, job.job_id).state in ("Terminating", "Canceled")
    read_until(client, owner, job.job_id, "Canceled")
    assert lab.owner is other
    assert client.renew(owner.name, made).is_good
    assert scan(client, [owner, other])
    until(lambda: no_ends_missed(lab))


def test_a_scanner_is_moved_by_command(two):
    lab, owner, other, client = two
    job, _ = client.create(owner.name, Creation.new())
    before = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "wsdgateway", "cluster", "move", "front-desk", other.name,
                           f"http://127.0.0.1:{owner.admin}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    until(lambda: other.is_owner)
    lab.address.holder = other
    check_takeover(lab, other, client, job, [])
    assert owner.metric("wsdgateway_cluster_scanners", state="following") == 1
    assert lab.recorder.count("Unsubscribe", before) == 0


def test_a_gateway_whose_name_is_taken_does_not_start(two):
    lab, owner, other, client = two
    other.terminate()
    file = lab.folder / f"{other.name}.toml"
    file.write_text(file.read_text().replace(f'name = "{other.name}"', f'name = "{owner.name}"'))
    other.launch()
    assert other.wait() == 1
    last = other.said()
    assert owner.name in last and "must be" in last
    assert scan(client, [owner])


# All at once.


@pytest.mark.parametrize(("state", "seed"), [("redis", 1), ("sentinel", 5)])
def test_a_minute_of_chaos(tmp_path, state, seed):
    skip_without_redis()
    verdict, done, history = chaos.run(tmp_path, seconds=60.0, seed=seed, gateways=3, state=state)
    assert not verdict.violations, f"{done}\n{verdict}"
    assert verdict.counts["GetJobElements"] > 200
    assert verdict.counts["deliveries"] > 20
    assert any(one.event == "ScanAvailableEvent" for one in history.deliveries)
    assert any(one.image for one in history.answers)
    assert len(done) > 2


def test_one_gateway_with_its_own_store(tmp_path):
    """The laboratory and the checker work for what there was before."""
    verdict, done, history = chaos.run(tmp_path, seconds=10.0, seed=3, gateways=1, state="sqlite:gateway.sqlite")
    assert not verdict.violations, f"{done}\n{verdict}"
    assert {one.gateway for one in history.asked} == {"gw-a"}
