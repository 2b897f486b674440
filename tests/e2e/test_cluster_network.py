"""Two print servers with keepalived and Sentinel, on the files of `config/cluster`, in network namespaces."""

import signal
import sys
import threading
from collections import Counter

import pytest

from tests.cluster.clients import Creation
from tests.cluster.lab import until
from tests.cluster.namespaces import ROOT
from tests.cluster.printservers import CLIENT, CLIENTS_LINK, HOSTS, PATIENT, SERVERS, SHARED, THIRD, PrintServers
from tests.cluster.reads import BROKEN, FAULT, GOOD
from tests.cluster.recorder import fault_in_answer
from tests.e2e.subnets import need
from tests.messages import SCAN, envelope, get_job_elements, job_request, manage, subscribe
from tests.redisserver import skip_without_redis
from wsdgateway.scan.jobs import CreatedJob, read_created, write_retrieve
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

PAGE_SECONDS = 2.0  # enough to kill a gateway while a page is scanned
pytestmark = pytest.mark.netns

SINK = f"http://{HOSTS[CLIENT][CLIENTS_LINK]}:9000/sink"  # where nobody listens


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    skip_without_redis()
    need("iproute2 keepalived curl", "ip", "keepalived", "curl")
    made = PrintServers(tmp_path_factory.mktemp("servers"), scanner=PATIENT, pages=PAGE_SECONDS)
    try:
        made.begin()
        yield made
    finally:
        logs = made.close()
    assert "Traceback" not in logs, logs


@pytest.fixture
def lab(running):
    """The print servers, all of them running, and the addresses at the owner."""
    for host in (THIRD, *SERVERS):
        running.boot(host)
    running.settle()
    yield running
    running.scanner("clear", "POST")


@pytest.fixture
def job(lab):
    """The JobId of a job that waits to be fetched."""
    status, answer = lab.post(SHARED, Creation.new().message)
    assert fault_in_answer(status, answer) is None, answer
    job_id = read_created(read(answer).body).job_id
    yield job_id
    lab.post(SHARED, job_request("CancelJob", job_id))


@pytest.fixture
def panel(lab):
    """A client's subscription that shows a name on the panel."""
    status, answer = lab.post(SHARED, subscribe(
        SINK, events=["ScanAvailableEvent"], destinations=[("ctx", "Scan to me")]))
    assert status == 200, answer
    until(lambda: lab.scanner()["subscriptions"] == 2)
    identifier = read(answer).body.findtext(f".//{{{WSE}}}Identifier")
    yield
    lab.post(SHARED, manage("Unsubscribe", identifier))
    until(lambda: lab.scanner()["subscriptions"] == 1)


def noticed(lab):
    """Returns the numbers of requests about events that the scanner has got."""
    asked = lab.scanner()["asked"]
    return {name: asked.get(name, 0) for name in ("Renew", "Subscribe", "Unsubscribe")}


def is_served(lab, job_id):
    """True if a client gets the job's status at the shared address."""
    try:
        return fault_in_answer(*lab.post(SHARED, get_job_elements(job_id))) is None
    except OSError:
        return False


def check_takeover(lab, job_id, fails, held=1):
    """Checks that the addresses and the scanner move to the other server, with one Renew for each subscription held.

    Nothing is subscribed or unsubscribed at the scanner.
    """
    before, owner = noticed(lab), lab.owner
    [other] = [one for one in SERVERS if one != owner]
    assert lab.holder == owner
    fails(owner)
    until(lambda: lab.owner == other and lab.holder == other)
    until(lambda: is_served(lab, job_id))
    until(lambda: noticed(lab)["Renew"] >= before["Renew"] + held)
    assert noticed(lab) == {**before, "Renew": before["Renew"] + held}
    assert lab.scanner()["subscriptions"] == held


def test_check_warns_of_nothing(lab):
    for server in SERVERS:
        said = lab.run(server, sys.executable, "-m", "wsdgateway", "check", f"{server}/gateway.toml", PYTHONPATH=ROOT)
        assert "no mistakes" in said
        assert "warning" not in said


def test_the_addresses_leave_a_gateway_that_is_killed(lab, job):
    check_takeover(lab, job, lambda owner: lab.signal(owner, "gateway", signal.SIGKILL))


@pytest.mark.parametrize(("asks_the_owner", "outcome"), [(True, BROKEN), (False, FAULT)])
def test_the_next_page_is_fetched_at_the_other_server(lab, asks_the_owner, outcome):
    owner = lab.owner
    [other] = [one for one in SERVERS if one != owner]
    there = HOSTS[other][CLIENTS_LINK]
    lab.scanner("feeder?pages=2", "POST")
    before = Counter(lab.scanner()["asked"])
    made = read_created(read(lab.post(SHARED, Creation.new(source="ADF", pages=2).message)[1]).body)
    page = envelope(f"{SCAN}/RetrieveImage", write_retrieve(CreatedJob(made.job_id, made.job_token), "p"))
    lost = []
    asking = threading.Thread(target=lambda: lost.append(lab.asked(SHARED if asks_the_owner else there, page)))
    asking.start()
    until(lambda: lab.scanner()["asked"].get("RetrieveImage", 0) > before["RetrieveImage"])
    lab.signal(owner, "gateway", signal.SIGKILL)
    asking.join()
    assert lost[0].outcome == outcome
    if outcome == FAULT:
        assert fault_in_answer(500, lost[0].answer) == "ServerErrorInternalError"
    until(lambda: lab.asked(there, page).outcome == GOOD)
    assert lab.scanner()["jobs"][made.job_id] == "Completed"
    assert lab.scanner()["asked"]["CreateScanJob"] == before["CreateScanJob"] + 1


def test_the_addresses_leave_a_host_that_dies(lab, job):
    died = lab.owner
    check_takeover(lab, job, lab.power_off)
    lab.power_on(died)
    lab.settle()
    assert lab.owner != died, "a server that comes back takes nothing away"


def test_a_server_that_is_stopped_gives_its_addresses_away_first(lab, job):
    """systemd stops keepalived before the gateway."""
    def stop(owner):
        lab.signal(owner, "keepalived", signal.SIGTERM)
        lab.wait_for_end(owner, "keepalived")
        until(lambda: is_served(lab, job))
        lab.signal(owner, "gateway", signal.SIGTERM)
        lab.wait_for_end(owner, "gateway")

    check_takeover(lab, job, stop)


def test_a_takeover_makes_no_second_entry_on_the_panel(lab, job, panel):
    check_takeover(lab, job, lambda owner: lab.signal(owner, "gateway", signal.SIGKILL), held=2)
    assert lab.scanner("press", "POST")["result"] == 1
    until(lambda: lab.metric(lab.owner, "wsdgateway_events_total", event="ScanAvailableEvent") == 1)


def test_a_client_that_looks_for_the_address_at_the_other_server_is_told_where_it_is(lab, job):
    """As after a failure of the switch between the servers, in which both have the address."""
    [other] = [one for one in SERVERS if one != lab.holder]
    hardware = lab.run(other, "cat", f"/sys/class/net/{CLIENTS_LINK}/address").strip()
    lab.run(CLIENT, "ip", "ntable", "change", "name", "arp_cache", "dev", CLIENTS_LINK, "base_reachable", "3600000")
    lab.run(CLIENT, "ip", "neigh", "replace", SHARED, "lladdr", hardware, "dev", CLIENTS_LINK, "nud", "reachable")
    until(lambda: lab.asked(SHARED, get_job_elements(job), 1.0).outcome == GOOD)


def test_clients_are_served_while_the_host_of_the_redis_master_is_dead(lab, job):
    before, owner = noticed(lab), lab.owner
    assert lab.master == THIRD, "no print server has the master, as the files say"
    with lab.reading(job, SHARED) as reads:
        lab.power_off(THIRD)
        until(lambda: not any(lab.redis_answers(server) for server in SERVERS))
        until(lambda: all(lab.redis_answers(server) for server in SERVERS), pause=0.1)
    assert lab.master in SERVERS
    assert len(reads[SHARED]) > 10
    assert {one.outcome for one in reads[SHARED]} == {GOOD}
    assert lab.holder == owner
    assert noticed(lab) == before
