"""Tests of admin.spools: jobs whose pages go through the spool, as values, and on the pages."""

import pytest

from tests.admin.descriptions import HOSTILE, html, spool, text
from wsdgateway.admin.spools import MAX_SPOOLS, ROWS, describe_spools, size, spool_list, spool_section
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import End, Order, Page, Reason, ScanJob
from wsdgateway.scan.jobs import CreatedJob

ORDER = Order((), 0, True, "192.0.2.77", "eSCL scan")


def job(phase=Phase.RETRIEVING, pages=(), **more):
    return ScanJob("secret", ORDER, 0.0, phase, pages=list(pages), scanned=len(pages), **more)


def page(size, **more):
    return Page(1, taken=size, size=size, complete=True, **more)


def test_a_job_and_what_its_client_has_not_fetched():
    arriving = Page(3, taken=10)
    [found] = describe_spools([("front-desk", job(
        pages=[page(100, sent=True), page(200), arriving], created=CreatedJob("7", None)))])
    assert found == {"scanner": "front-desk", "client": "192.0.2.77", "name": "eSCL scan", "job_id": "7",
                     "state": "scanning", "pages": 3, "waiting": 1, "bytes": 210}


@pytest.mark.parametrize(("given", "state"), [
    (job(Phase.QUEUED), "waiting"), (job(Phase.BUSY), "waiting"), (job(Phase.CREATING), "scanning"),
    (job(Phase.FULL), "full"), (job(held=True), "full"), (job(Phase.CANCELING), "scanning"),
    (job(Phase.OVER, [page(1)], end=End(Reason.FINISHED)), "scanned")])
def test_the_states(given, state):
    assert describe_spools([("a", given)])[0]["state"] == state


def test_ended_jobs_are_left_out_and_the_rest_is_bounded():
    ended = [("a", job(Phase.OVER, [page(1, sent=True)], end=End(Reason.FINISHED)))]
    running = [("a", job(pages=[page(number)])) for number in range(MAX_SPOOLS + 5)]
    found = describe_spools(ended + running)
    assert [one["bytes"] for one in found] == list(range(MAX_SPOOLS + 4, 4, -1))


def test_the_jobs_of_the_gateway_itself_have_no_client():
    order = Order.without_client((), 1, "Paperless", feeder=False, patience=0)
    [found] = describe_spools([("a", ScanJob("x", order, 0.0))])
    assert (found["client"], found["name"]) == (None, "Paperless")
    assert "this gateway" in text(html(spool_list([found], labelled_by="x", with_scanner=True)))


@pytest.mark.parametrize(("number", "words"), [
    (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_147_483_648, "2.1 GB"), (123_456_789, "123 MB"),
    (5e15, "5000.0 TB")])
def test_sizes(number, words):
    assert size(number) == words


def test_the_section_of_the_page():
    room = Room(2 << 30)
    room.unfetched = 2_500_000
    page = html(spool_section([spool(), spool(client=HOSTILE, scanner=HOSTILE, state="full")], room))
    said = text(page)
    assert said.startswith("Spool Pages that no client has fetched yet: 2.5 MB of 2.1 GB.")
    assert "192.0.2.77 scanning front-desk 7 3 2 2.5 MB" in said and "waiting for room in the spool" in said
    assert "<script" not in page and page.count("<bdi>") == 6
    assert "No client is being served by eSCL." in html(spool_section([], room))


def test_the_list_is_bounded():
    page = html(spool_list([spool() for _ in range(ROWS + 7)], labelled_by="x", with_scanner=False))
    assert page.count("<tr") == ROWS + 1 and "and 7 more" in page and "front-desk" not in page
