"""Several gateways on one Redis as processes: what clients and the scanner see when one of them, or Redis, fails."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.cluster import chaos
from tests.cluster.checker import check, missed_ends
from tests.cluster.clients import Creation
from tests.cluster.lab import Lab, until
from tests.redisserver import skip_without_redis

TAKEOVER_SECONDS = 30.0  # a takeover takes five; a loaded machine may take longer
PANEL = {"events": ("ScanAvailableEvent",), "destinations": (("ctx", "Scan to me"),)}
READS = 300
MUCH = {"resolution": 300}  # a page of over a megabyte in many pieces


@pytest.fixture
def cluster(tmp_path):
    """Starts gateways on one Redis: `cluster(gateways=2, …)`. At the end the history must be as promised."""
    skip_without_redis()
    made = []

    def start(**more):
        made.append(Lab(tmp_path, **more))
        lab = made[0].start()
        until(lambda: lab.owner)
        return lab

    yield start
    histories = [lab.history() for lab in made]  # the end of everything at once is not judged
    logs = "".join(lab.end() for lab in made)
    assert "Traceback" not in logs, logs
    for history in histories:
        verdict = check(history)
        assert not chaos.broken_promises(verdict), f"{verdict}\n{logs[-5000:]}"


@pytest.fixture
def two(cluster):
    """Two gateways: the laboratory, the owner of the scanner, the other one, and a client."""
    lab = cluster()
    owner = lab.owner
    [other] = lab.others(owner)
    until(lambda: other.metric("wsdgateway_cluster_scanners", state="following") == 1)
    lab.address.holder = owner
    return lab, owner, other, lab.client()


def read_until(client, gateway, job_id, state):
    """Reads the status of a job until it has that state, of which the scanner may tell a moment later."""
    def has_state():
        status = client.read(gateway.name, job_id).status
        return status is not None and status.state == state

    until(has_state, TAKEOVER_SECONDS)


def read_until_answered(client, gateway, job_id, seconds=TAKEOVER_SECONDS):
    """Reads the status of a job until it is answered."""
    return until(lambda: client.read(gateway.name, job_id).status, seconds)


def scan(client, gateways, **wanted):
    """Makes a job with one page, each request at the next gateway. Returns its JobId and the image's answer."""
    names = [one.name for one in gateways] * 2
    job, entry = client.create(names[0], Creation.new(**wanted))
    assert job is not None, entry
    body, entry = client.retrieve(names[1], job)
    assert entry.is_good, entry
    return job.job_id, body


def picture(answer):
    """Returns the image in an answer to RetrieveImage: the rest has a MessageID of its own."""
    assert answer.rstrip().endswith(b"--"), "the answer is complete"
    return answer[answer.index(b"\xff\xd8"):]


def scan_again(client, gateways):
    """Scans once more: a job that a failure left over may keep the scanner busy for a moment."""
    def attempt():
        job, _ = client.create(gateways[0].name, Creation.new())
        return job if job is not None and client.retrieve(gateways[-1].name, job)[1].is_good else None

    return until(attempt, pause=0.2).job_id


def no_ends_missed(lab):
    return not missed_ends(lab.history())


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
    client = lab.client()
    for _ in range(3):
        scan(client, lab.gateways)
    stop.set()
    for one in readers:
        one.join()
    assert not failures, failures[:3]
    counts = check(lab.history()).counts
    assert counts["connections at once"] == counts["requests at once"] == 1


def test_idle_gateways_ask_the_scanner_nothing(two):
    lab, owner, other, client = two
    scan(client, [owner])
    until(lambda: lab.history().announcements[-1].event == "ScannerStatusSummaryEvent")

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


def check_takeover(lab, survivor, client, job, subscriptions):
    """Checks that the survivor serves the job and the subscriptions."""
    assert read_until_answered(client, survivor, job.job_id).state == "Pending"
    until(lambda: survivor.is_owner)
    assert survivor.metric("wsdgateway_takeovers_total", scanner="front-desk") >= 1
    assert client.retrieve(survivor.name, job)[1].is_good
    read_until(client, survivor, job.job_id, "Completed")
    for one in subscriptions:
        assert client.renew(survivor.name, one).is_good
    until(lambda: no_ends_missed(lab))


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
    assert lab.control("slow?seconds=1", "POST")["done"] == "slow"
    creation = Creation.new()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(client.create(other.name, creation)))
    asking.start()
    until(lambda: lab.device.is_asked(b"/CreateScanJob<"))
    owner.kill()
    lab.address.holder = other
    asking.join()
    assert lab.control("clear", "POST")["done"] == "clear"
    assert answers[0][0] is None and answers[0][1].fault == "ServerErrorTemporaryError"
    # The job that was made keeps the scanner busy; it is not made a second time.
    job, entry = client.create(other.name, creation)
    assert job is None and not entry.is_good
    until(lambda: sum(one.job_id is not None for one in lab.history().asked) == 1)


def test_sigterm_hands_over_without_a_fault(two):
    lab, owner, other, client = two
    made = client.subscribe(other.name, lab.sinks)[0]
    job, _ = client.create(owner.name, Creation.new())
    stop, answers = threading.Event(), []

    def read_and_read():
        mine = lab.client("127.0.1.1")
        while not stop.is_set():
            answers.append(mine.read(other.name, job.job_id))

    reader = threading.Thread(target=read_and_read)
    reader.start()
    until(lambda: len(answers) > 10)
    before = time.monotonic()
    owner.terminate()
    lab.address.holder = other
    check_takeover(lab, other, client, job, [made])
    stop.set()
    reader.join()
    assert owner.status in (0, -signal.SIGTERM)
    assert not [one for one in answers if not one.is_good]
    assert lab.recorder.count("Subscribe", before) == 0
    assert lab.recorder.count("Unsubscribe", before) == 0
    other.terminate()
    assert lab.control()["subscriptions"] == 0, "the last gateway ends its subscription"


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


# Redis.


def reading(lab, gateway, job_id):
    """Reads a job's status all the time, in a thread. Returns the answers, and the function that ends it."""
    stop, answers = threading.Event(), []

    def read_and_read():
        client = lab.client("127.0.1.1")
        while not stop.is_set():
            answers.append(client.read(gateway.name, job_id))

    reader = threading.Thread(target=read_and_read)
    reader.start()

    def end():
        stop.set()
        reader.join()
        return answers

    return answers, end


@pytest.mark.parametrize("how", ["kept", "empty", "loading"])
def test_redis_is_restarted(two, how):
    lab, owner, other, client = two
    made = [client.subscribe(one.name, lab.sinks)[0] for one in (owner, other)]
    panel = client.subscribe(other.name, lab.sinks, **PANEL)[0]
    job, _ = client.create(owner.name, Creation.new())
    before = time.monotonic()
    answers, end = reading(lab, owner, job.job_id)
    if how == "loading":
        lab.redis.restart_loading(keys=300, key_seconds=0.01)
        until(lambda: not lab.redis.is_loading())
    else:
        lab.redis.restart(keep=how == "kept")
    # The former owner gets its lease back in the grace, and everything is as before.
    until(lambda: _owned(lab) == [owner])
    assert client.retrieve(owner.name, job)[1].is_good
    assert not [one for one in end() if not one.is_good], "the owner's reads go on"
    assert len(answers) > 10
    until(lambda: client.renew(other.name, made[0]).is_good)
    for one in (*made, panel):
        assert client.renew(owner.name, one).is_good
    assert lab.recorder.count("Subscribe", before) == 0
    again = scan_again(client, [other, owner])
    read_until(client, other, again, "Completed")
    until(lambda: no_ends_missed(lab))
    # What the server lost has been written again: a takeover finds it.
    owner.kill()
    lab.address.holder = other
    read_until(client, other, again, "Completed")
    for one in (*made, panel):
        assert client.renew(other.name, one).is_good
    assert lab.recorder.count("Subscribe", before) == 0


def _owned(lab):
    """The gateways that own the scanner by the word of Redis, not alone."""
    return [one for one in lab.gateways if one.metric("wsdgateway_cluster_scanners", state="owning") > 0]


def test_the_owner_goes_on_while_redis_is_stopped(two):
    lab, owner, other, client = two
    made = client.subscribe(owner.name, lab.sinks)[0]
    job, _ = client.create(owner.name, Creation.new())
    lab.redis.stop()
    answers, end = reading(lab, owner, job.job_id)
    until(lambda: owner.metric("wsdgateway_cluster_scanners", state="alone") == 1)
    assert client.retrieve(owner.name, job)[1].is_good
    read_until(client, other, job.job_id, "Completed")
    assert client.renew(owner.name, made).is_good
    lab.redis.cont()
    until(lambda: _owned(lab) == [owner])
    assert not [one for one in end() if not one.is_good]
    assert len(answers) > 10
    assert client.subscribe(other.name, lab.sinks)[0] is not None
    until(lambda: no_ends_missed(lab))


def test_reads_of_a_status_issue_no_command(two):
    _, owner, other, client = two
    job_id, _ = scan(client, [owner])
    for gateway in (owner, other):
        client.read(gateway.name, job_id)
        before = gateway.metric("wsdgateway_redis_seconds_count")
        assert before > 0
        for _ in range(READS):
            assert client.read(gateway.name, job_id).status.state == "Completed"
        # One tick a second; a slow machine takes a few seconds for the reads.
        assert gateway.metric("wsdgateway_redis_seconds_count") - before < READS / 4


# All at once.


def test_thirty_seconds_of_chaos(tmp_path):
    skip_without_redis()
    verdict, done, _ = chaos.run(tmp_path, seconds=30.0, seed=1, gateways=3)
    assert not chaos.broken_promises(verdict), f"{done}\n{verdict}"
    assert verdict.counts["GetJobElements"] > 100
    assert verdict.counts["deliveries"] > 10
    assert len(done) > 2


def test_one_gateway_with_its_own_store(tmp_path):
    """The laboratory and the checker work for what there was before."""
    verdict, done, history = chaos.run(tmp_path, seconds=10.0, seed=3, gateways=1, state="sqlite:gateway.sqlite")
    assert not chaos.broken_promises(verdict), f"{done}\n{verdict}"
    assert {one.gateway for one in history.asked} == {"gw-a"}
