"""Passing of a request for which this gateway is not the owner: each step of its course."""

import pytest

from tests.messages import ELEMENTS, GET, create_scan_job, get_job_elements, job_request, manage, subscribe
from wsdgateway.bridge.cluster.passing import (
    HOLD_SECONDS,
    MAX_HELD,
    Course,
    GiveUp,
    Held,
    Hold,
    PassTo,
    Trouble,
    only_reads,
)
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.http.requests import Request

ONE, TWO = (Registration(f"id-{name}", name, f"http://{name}", "") for name in ("one", "two"))


def course(*, reads=True, held=0, last=None):
    counted = Held()
    counted.count = held
    return Course(counted, lambda: reads, 100.0, last)


def test_a_known_owner_gets_the_request():
    assert course().begin(ONE, 100.0) == PassTo(ONE)


def test_without_an_owner_it_waits_for_a_bounded_time():
    one = course()
    assert one.begin(None, 100.0) == Hold(HOLD_SECONDS)
    assert one.found(TWO) == PassTo(TWO)
    assert isinstance(course().found(None), GiveUp)


def test_a_bounded_number_waits():
    assert isinstance(course(held=MAX_HELD - 1).begin(None, 100.0), Hold)
    assert course(held=MAX_HELD).begin(None, 100.0) == GiveUp(
        "No gateway owns the scanner at the moment. Try again in a few seconds. 200 requests are waiting for an owner "
        "already.")


@pytest.mark.parametrize("reads", [True, False])
def test_what_was_not_sent_waits_for_another_owner_until_time_is_up(reads):
    one = course(reads=reads, last=ONE)
    assert one.failed(Trouble.NOT_SENT, "refused", 101.0) == Hold(HOLD_SECONDS - 1.0, ONE)
    assert one.failed(Trouble.NOT_SENT, "refused", 105.0) == Hold(HOLD_SECONDS - 5.0, ONE)
    assert one.failed(Trouble.NOT_SENT, "refused", 106.0) == GiveUp(
        "The gateway one, which owns the scanner, cannot be reached: refused. Try again in a few seconds.")


def test_a_read_that_broke_off_is_sent_once_more():
    one = course(last=ONE)
    assert one.failed(Trouble.BROKEN, "reset", 101.0) == Hold(HOLD_SECONDS - 1.0)
    assert one.found(TWO) == PassTo(TWO)
    assert one.failed(Trouble.BROKEN, "reset", 101.0) == GiveUp(
        "The gateway two, which owns the scanner, broke off before it answered: reset. Try again in a few seconds.")


def test_anything_else_that_broke_off_is_not_sent_again():
    assert course(reads=False, last=ONE).failed(Trouble.BROKEN, "reset", 100.0) == GiveUp(
        "The gateway one, which owns the scanner, broke off before it answered: reset. The request may have been "
        "carried out: look at the scanner, and try again in a minute.", sent=True)


def test_a_gateway_that_is_not_the_owner_may_name_it():
    one = course(reads=False, last=ONE)
    assert one.failed(Trouble.MISDIRECTED, "", 100.0, TWO) == PassTo(TWO)
    assert one.failed(Trouble.MISDIRECTED, "", 100.0, TWO) == Hold(HOLD_SECONDS, TWO)
    assert one.failed(Trouble.MISDIRECTED, "", 100.0, ONE) == PassTo(ONE)
    assert one.failed(Trouble.MISDIRECTED, "", 100.0, TWO) == Hold(HOLD_SECONDS, ONE)  # not for ever
    assert one.failed(Trouble.MISDIRECTED, "", 107.0) == GiveUp(
        "The gateway one does not own the scanner any more, and another one has not taken it over yet. Try again in a "
        "few seconds.")


def test_an_answer_that_cannot_be_used_is_the_end():
    assert isinstance(course(last=ONE).failed(Trouble.UNUSABLE, "odd", 100.0), GiveUp)


def test_an_owner_without_a_link_is_named():
    step = course().begin(Registration("id", "lone", "", ""), 100.0)
    assert isinstance(step, GiveUp)
    assert step.reason.startswith("The gateway lone owns the scanner and has no link to the others")


@pytest.mark.parametrize(("message", "endpoint", "reads"), [
    (ELEMENTS, Endpoint.SCAN, True), (get_job_elements(), Endpoint.SCAN, True), (GET, Endpoint.DEVICE, True),
    *((job_request(name), Endpoint.SCAN, True) for name in ("GetActiveJobs", "GetJobHistory", "ValidateScanTicket")),
    (manage("GetStatus"), Endpoint.SCAN, True), (b"<no", Endpoint.SCAN, True),
    (create_scan_job(), Endpoint.SCAN, False), (subscribe("http://x/"), Endpoint.SCAN, False),
    *((job_request(name), Endpoint.SCAN, False) for name in ("CancelJob", "RetrieveImage", "Vendor")),
    *((manage(name), Endpoint.SCAN, False) for name in ("Renew", "Unsubscribe"))])
def test_which_requests_only_read(message, endpoint, reads):
    request = Request(b"POST", b"/x", [], message, False, True, b"x", b"application/soap+xml")
    assert only_reads(WSScan(endpoint, lambda: "urn:id").read(request, b"", "192.0.2.7")) is reads
