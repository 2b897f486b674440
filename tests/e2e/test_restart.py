"""Restarts: the process is killed or stopped, and clients notice nothing but a refused connection."""

import random
import signal
import threading

from tests.e2e.site import PANEL, Site, check_a_scan, press, push_scan
from tests.messages import create_scan_job, get_job_elements, job_request, manage
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSE

KILLS = 20
W = f"{{{WSE}}}"


def test_kills_at_random_moments_lose_nothing_that_was_answered(site, listener, until):
    moments = random.Random(20261122)
    response, panel = site.subscribe(listener.url + "/panel", end_to=listener.url + "/end", **PANEL)
    token = dict(read_tokens(response.body))["ctx"]
    answered, renewed, ended, failures = [panel], set(), set(), []

    def subscribe_on_and_on(number):
        while True:
            try:
                answered.append(site.subscribe(f"{listener.url}/more/{number}")[1])
                assert site.ask(manage("Renew", answered[-1], expires="PT2H"))[0] == 200
                renewed.add(answered[-1])
                gone = answered.pop(moments.randrange(1, len(answered)))
                assert site.ask(manage("Unsubscribe", gone))[0] == 200
                ended.add(gone)
                answered.append(site.subscribe(f"{listener.url}/more/{number}")[1])
            except OSError:
                return  # killed
            except AssertionError as failure:  # recorded, because nothing else reports an exception of this thread
                failures.append(failure)
                return

    for number in range(KILLS):
        identifier = press(site, listener, until, "/panel")
        busy = threading.Thread(target=subscribe_on_and_on, args=(number,))
        busy.start()

        def scanning(identifier=identifier):
            try:
                push_scan(site, identifier, token)
            except OSError:
                pass  # killed

        scan = threading.Thread(target=scanning)
        scan.start()
        scan.join(moments.uniform(0.0, 0.5))
        site.end(signal.SIGKILL)
        busy.join(20)
        scan.join(20)
        site.start()
        assert not failures
        for identifier in answered:
            status, body = site.ask(manage("GetStatus", identifier))
            assert status == 200, fault_of(read(body))
            if identifier in renewed:
                assert float(read(body).body.findtext(f"{W}Expires")[2:-1]) > 3600
        for identifier in ended:
            assert fault_of(read(site.ask(manage("GetStatus", identifier))[1])) == "InvalidMessage"
        check_a_scan(site, listener, until, token)
    assert "/end" not in listener.received
    asked = site.control()["asked"]
    assert asked["Subscribe"] == 2, "the gateway must keep its subscriptions at the scanner"
    assert site.control()["subscriptions"] == 2
    assert asked["Renew"] >= KILLS


def test_clients_do_not_notice_a_stop_and_a_start(site, listener, until):
    response, panel = site.subscribe(listener.url + "/panel", **PANEL)
    token = dict(read_tokens(response.body))["ctx"]
    _, other = site.subscribe(listener.url + "/other")
    for _ in range(2):
        site.end(signal.SIGTERM)
        assert site.control()["subscriptions"] == 0
        site.start()
        for identifier in (panel, other):
            assert site.ask(manage("Renew", identifier))[0] == 200
        until(lambda: site.control()["subscriptions"] == 2)
        check_a_scan(site, listener, until, token)
    until(lambda: any(one.action.endswith("/JobEndStateEvent") for one in listener.received.get("/other", ())))


def test_a_stop_waits_for_a_running_scan(site, listener, until):
    site.control("slow?seconds=1", "POST")
    done = []
    scan = threading.Thread(target=lambda: done.append(site.ask(create_scan_job())))
    scan.start()
    until(lambda: site.control()["asked"].get("CreateScanJob") or scan.join(0.05))
    site.end(signal.SIGTERM)
    scan.join(20)
    [(status, body)] = done
    assert status == 200
    assert read_created(read(body).body)


def test_subscribers_of_a_renamed_scanner_get_a_subscription_end(site, listener, until, tmp_path):
    site.subscribe(listener.url + "/panel", end_to=listener.url + "/end", **PANEL)
    site.subscribe(listener.url + "/other", end_to=listener.url + "/end")
    site.end(signal.SIGKILL)
    assert site.control()["subscriptions"] == 2
    text = (tmp_path / "gateway.toml").read_text()
    (tmp_path / "gateway.toml").write_text(text.replace('"front-desk"', '"other-desk"'))
    site.start()
    ends = until(lambda: len(listener.received.get("/end", ())) == 2 and listener.received["/end"])
    assert {one.body.findtext(f"{W}Status") for one in ends} == {f"{WSE}/SourceCanceling"}
    # What is left is the subscription of the gateway for the renamed scanner.
    until(lambda: site.control()["subscriptions"] == 1 and [one["side"] for one in site.api("subscriptions")] == [
        "device"])


def job_of(site, job_id):
    """Returns a job's state and pages by GetJobElements, or the fault's name."""
    status, body = site.ask(get_job_elements(job_id))
    if status != 200:
        return fault_of(read(body))
    known = read_response(read(body).body).status
    return known.state, known.scans_completed


def scan_a_page(site):
    """Scans a page and returns the job's id."""
    job = read_created(read(site.ask(create_scan_job())[1]).body)
    status, _ = site.ask(job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()))
    assert status == 200
    return job.job_id


def test_a_finished_job_is_answered_after_a_kill_and_a_reboot_of_the_scanner(twistd, until, tmp_path):
    site = Site(twistd, tmp_path, job_timeout=60.0)
    until(lambda: site.control()["subscriptions"] == 1)
    job_id = scan_a_page(site)
    until(lambda: [(job["job_id"], job["state"]) for job in site.api("jobs")] == [(job_id, "Completed")])
    site.end(signal.SIGKILL)
    site.control("reboot?seconds=0", "POST")

    def has_forgotten():
        try:
            return job_id not in site.control()["jobs"]
        except OSError:
            return False  # the scanner is starting

    until(has_forgotten)
    site.start()
    until(lambda: site.control()["subscriptions"] == 1)
    asked = site.control()["asked"].get("GetJobElements", 0)
    for _ in range(50):
        assert job_of(site, job_id) == ("Completed", 1)
    assert 1 <= site.control()["asked"]["GetJobElements"] - asked <= 10
    [listed] = site.api("jobs")
    assert (listed["job_id"], listed["state"], listed["scans_completed"]) == (job_id, "Completed", 1)
    again = read_created(read(site.ask(create_scan_job("urn:uuid:again"))[1]).body)
    assert again.job_id == job_id
    assert job_of(site, job_id) == ("Pending", 0)
    site.end(signal.SIGKILL)
    site.control("reboot?seconds=0", "POST")
    until(has_forgotten)
    site.start()
    # the stored job with this id is another one
    assert job_of(site, job_id) in ("ClientErrorJobIdNotFound", ("Aborted", 0))
    site.device.send_signal(signal.SIGKILL)
    site.device.wait(60)
    site.end(signal.SIGKILL)
    site.start()
    assert job_of(site, job_id) == "ServerErrorTemporaryError"
