"""Tests of admin.tables: cells in words, what small screens leave out, and escaping."""

import re

import pytest

from tests.admin.descriptions import HOSTILE, NOON, entry, html, job, subscription, text
from wsdgateway.admin.tables import exchanges, jobs, subscriptions, table
from wsdgateway.exchangelog.entry import describe


def cells(columns, row):
    """The text of each cell of a row, by column."""
    made = html(table("heading", columns, [row], "none"))
    return {name: text(cell) for name, cell in re.findall(r'data-column="([^"]*)"[^>]*>(.*?)</td>', made)}


def exchange(**more):
    return {"number": 12, **describe(entry(**more))}


def test_an_exchange():
    found = cells(exchanges(NOON), exchange(job_id="7"))
    assert found == {"Time": "11:59:00", "Operation": "GetJobElements", "Result": "ok", "Scanner": "front-desk",
                     "Client": "192.0.2.77", "Kind": "answered here", "Job": "7", "Duration": "1.0 ms",
                     "Bytes in / out": "1 / 2"}


@pytest.mark.parametrize(("status", "fault", "source", "words", "style"), [
    (200, None, "local", "ok", "good"), (202, None, "event", "ok", "good"), (None, None, "discovery", "ok", "good"),
    (500, "ServerErrorTemporaryError", "refused", "temporary error", "problem"),
    (500, "ClientErrorNoImagesAvailable", "device", "no images available", "good"),
    (400, "InvalidArgs", "refused", "invalid args", "problem"),
    (500, "ClientError", "device", "client error", "problem"),
    (404, None, "refused", "404 Not Found", "problem"), (599, None, "device", "599", "problem"),
    (None, None, "device", "no answer", "problem")])
def test_the_result_of_an_exchange_in_words(status, fault, source, words, style):
    made = html(table("h", exchanges(NOON), [exchange(status=status, fault=fault, source=source)], ""))
    exact = f"{status or ''} {fault or ''}".strip()
    assert f'<span class="{style}" title="{exact}">{words}</span>' in made


@pytest.mark.parametrize(("peer", "shown"), [
    ("192.0.2.77:5000", "192.0.2.77"), ("[2001:db8::7]:5000", "[2001:db8::7]"), (None, "this gateway"),
    ("local", "local")])
def test_the_client_is_shown_without_its_port(peer, shown):
    assert cells(exchanges(NOON), exchange(client=peer))["Client"] == shown


def test_a_job_with_its_states():
    states = [{"time": f"2026-09-30T11:00:0{at}.000Z", "state": state} for at, state in enumerate(
        ("Pending", "Processing", "Completed"))]
    found = cells(jobs(NOON, detailed=True), job(timeline=states, created="2026-09-30T10:00:00"))
    assert found["Timeline"] == "Pending 11:00:00 Processing 11:00:01 Completed 11:00:02"
    assert (found["Began"], found["Ended"], found["Pages"]) == ("11:00", "11:00", "2")
    assert "Timeline" not in cells(jobs(NOON, detailed=False), job())


@pytest.mark.parametrize(("more", "words", "style"), [
    ({}, "Completed", "good"), ({"state": None, "final": False}, "not known yet", "active"),
    ({"state": "Aborted", "reasons": ["JobTimedOut", "None"]}, "Aborted: no page was retrieved in time", "problem"),
    ({"state": "Canceled"}, "Canceled", ""),
    ({"closing": True, "state": "Processing", "final": False}, "no more images; last Processing", ""),
    ({"closing": True, "state": None, "final": False}, "no more images", ""),
    ({"lost": True, "state": "Processing"}, "lost: the scanner restarted", "problem")])
def test_the_state_of_a_job_in_words(more, words, style):
    assert f'class="{style}">{words}</span>' in html(table("h", jobs(NOON, detailed=False), [job(**more)], ""))


def test_a_subscription():
    found = cells(subscriptions(NOON, detailed=True), subscription(
        events=["http://schemas.microsoft.com/windows/2006/08/wdp/scan/JobStatusEvent"], panel="waiting", failures=3,
        waiting=5, destinations=[{"context": "x", "name": "Scan to mail"}]))
    assert found == {
        "Subscriber": "192.0.2.77", "Scanner": "front-desk", "Events": "JobStatus", "Panel names": "Scan to mail",
        "State": "3 failed attempts, 5 events waiting, currently not on the panel", "Expires": "13:00",
        "Events are sent to": "http://192.0.2.77:8080/x"}
    assert cells(subscriptions(NOON, detailed=False), subscription(client=None))["Subscriber"] == "this gateway"


def test_empty_cells_are_left_out_on_small_screens():
    made = html(table("h", exchanges(NOON), [exchange()], ""))
    assert re.search(r'class="empty" data-column="Job"[^>]*>–</td>', made)


def test_the_time_zone_is_named_in_the_heading():
    assert '>Time<span class="zone">, UTC</span></th>' in html(table("h", exchanges(NOON), [exchange()], ""))


def test_tables_remain_tables_for_screen_readers():
    made = html(table("jobs", jobs(NOON, detailed=False), [job(), job()], ""))
    assert '<table role="table" aria-labelledby="jobs">' in made
    assert made.count('role="row"') == 3 and made.count('role="columnheader"') == 6 and made.count('role="cell"') == 12
    assert html(table("jobs", jobs(NOON, detailed=False), [], "No jobs yet.")) == '<p class="quiet">No jobs yet.</p>'


@pytest.mark.parametrize(("columns", "row"), [
    (exchanges(NOON), exchange(operation=HOSTILE, client=HOSTILE, job_id=HOSTILE, fault=HOSTILE, source=HOSTILE,
                               scanner=HOSTILE)),
    (jobs(NOON, detailed=True), job(HOSTILE, state=HOSTILE, reasons=[HOSTILE], created=HOSTILE, completed=HOSTILE,
                                    timeline=[{"time": HOSTILE, "state": HOSTILE}])),
    (subscriptions(NOON, detailed=True), subscription(
        client=HOSTILE, notify_to=HOSTILE, events=[HOSTILE], expires=HOSTILE, destinations=[{"name": HOSTILE}]))])
def test_values_are_escaped(columns, row):
    made = html(table("h", columns, [row], ""))
    assert "<script" not in made and "&lt;script&gt;" in made and made.count("&amp;amp;") >= 3
    assert made.count("<td") == len(columns)
