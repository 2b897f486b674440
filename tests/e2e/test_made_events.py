"""Events of scanners that have none: the gateway as a process, a client that listens and one that scans."""

import signal
from functools import partial
from uuid import uuid4

import pytest

from tests.e2e.site import post
from tests.messages import create_scan_job, get_scanner_elements, job_request
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobs import read_created
from wsdgateway.scan.operations import event_of
from wsdgateway.soap.envelope import read

PATH = "/front-desk/scan"


class Scan:
    """A scan of the feeder by another client."""

    def __init__(self, site):
        status, body = site.ask(create_scan_job(f"urn:uuid:{uuid4()}").replace(b">Platen<", b">ADF<"))
        assert status == 200, body
        self.site, self.job = site, read_created(read(body).body)

    def page(self):
        """Retrieves the next page; returns whether there was one."""
        status, body = self.site.ask(job_request("RetrieveImage", self.job.job_id).replace(
            b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{self.job.job_token}</wscn:JobToken>".encode()))
        return status == 200 and b"\xff\xd8\xff" in body


def begun(site, pages):
    """Returns a scan of which so many pages have been retrieved; None if the scanner has ended it before."""
    scan = Scan(site)
    return scan if all(scan.page() for _ in range(pages)) else None


def told(listener, path="/jobs"):
    """Returns event, JobId, state, scans and reasons of each job event received."""
    found = []
    for one in list(listener.received.get(path, ())):
        status = read_job_event(event_of(one.action), one.body)
        found.append((event_of(one.action), status.job_id, status.state, status.scans_completed, status.reasons))
    return found


@pytest.mark.parametrize("mode", ["none", "silent"])
def test_a_scan_by_another_client_is_told_to_its_end_over_a_kill(site, listener, until, mode):
    site.end(signal.SIGTERM)
    site.control(f"events?mode={mode}", "POST")
    site.start()
    state = "waiting" if mode == "none" else "subscribed"
    until(lambda: site.api("scanners")[0]["subscription"] == state)
    site.subscribe(listener.url + "/jobs", events=["JobStatusEvent", "JobEndStateEvent"])
    scan = until(partial(begun, site, pages=3))
    assert not scan.page()
    until(lambda: told(listener)[-1:] and told(listener)[-1][:2] == ("JobEndStateEvent", scan.job.job_id))
    first = told(listener)
    assert [one[:4] for one in first[-2:]] == [
        ("JobStatusEvent", scan.job.job_id, "Completed", 3), ("JobEndStateEvent", scan.job.job_id, "Completed", 3)]
    assert mode == "silent" or first[0][2] != "Completed"  # a silent scanner is given a second to send its own events

    scan = until(partial(begun, site, pages=1))
    until(lambda: len(told(listener)) > len(first))
    site.end(signal.SIGKILL)
    site.start()
    until(lambda: site.api("scanners")[0]["subscription"] == state)
    while scan.page():
        pass
    # While the gateway was away, the scanner may have ended the job, whose pages nobody fetched.
    until(lambda: told(listener)[-1][:2] == ("JobEndStateEvent", scan.job.job_id))
    assert len(told(listener)) == len(set(told(listener)))


def test_the_status_of_the_scanner_is_told_to_those_who_listen(site, listener, until):
    site.end(signal.SIGTERM)
    site.control("events?mode=none", "POST")
    site.start()
    until(lambda: site.api("scanners")[0]["subscription"] == "waiting")
    site.subscribe(listener.url + "/status", events=["ScannerStatusSummaryEvent"])
    site.control("jam", "POST")
    post(site.port, PATH, get_scanner_elements("wscn:ScannerStatus"))
    until(lambda: listener.received.get("/status"))
    assert event_of(listener.received["/status"][0].action) == "ScannerStatusSummaryEvent"
