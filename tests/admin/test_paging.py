"""Tests of admin.paging: numbered pages, and pages before a row."""

from itertools import pairwise

import pytest

from wsdgateway.admin.paging import ROWS, link, needed, numbered, preceding

LIST = [{"number": number} for number in range(3 * ROWS - 10, 0, -1)]  # newest first


@pytest.mark.parametrize(("wanted", "begin", "newer", "older"), [
    ("", 0, None, {"page": "2"}), ("1", 0, None, {"page": "2"}), ("2", ROWS, {}, {"page": "3"}),
    ("3", 2 * ROWS, {"page": "2"}, None)])
def test_numbered_pages(wanted, begin, newer, older):
    page = numbered(LIST, wanted)
    assert page.rows == LIST[begin:begin + ROWS] and (page.newer, page.older) == (newer, older)
    assert page.label == f"Page {wanted or 1} of 3"


def test_the_rows_of_a_page_suffice_for_it():
    labels = []
    for wanted in ("", "2", "3"):
        rows = LIST[:needed(wanted)]
        page, whole = numbered(rows, wanted, counted=False), numbered(LIST, wanted)
        assert (page.rows, page.newer, page.older) == (whole.rows, whole.newer, whole.older)
        labels.append(page.label)
    assert labels == ["Page 1", "Page 2", "Page 3 of 3"]
    assert len(LIST[:needed("2")]) == 2 * ROWS + 1
    assert numbered(LIST[:needed("x")], "x", counted=False) is None


@pytest.mark.parametrize("wanted", ["0", "4", "-1", "x", "1.0", "1" * 40, "\N{SUPERSCRIPT TWO}", " 1"])
def test_there_is_no_other_page(wanted):
    assert numbered(LIST, wanted) is None


def test_the_first_page_of_nothing_exists():
    page = numbered([], "")
    assert (page.rows, page.newer, page.older, page.label) == ([], None, None, "")
    assert numbered([], "2") is None
    assert preceding([], "").label == "None of 0"


def test_pages_before_a_row_lead_through_the_whole_list_and_back():
    shown, before = [], {}
    pages = []
    while before is not None:
        page = preceding(LIST, before.get("before", ""))
        shown += page.rows
        pages.append(before)
        before = page.older
    assert shown == LIST and len(pages) == 3
    for former, latter in pairwise(pages):
        assert preceding(LIST, latter["before"]).newer == former
    assert preceding(LIST, pages[1]["before"]).label == f"{ROWS + 1} to {2 * ROWS} of {len(LIST)}"


def test_newer_rows_do_not_move_a_page():
    before = preceding(LIST, "").older["before"]
    newer = [{"number": 1000}, {"number": 999}, *LIST]
    assert preceding(newer, before).rows == preceding(LIST, before).rows


def test_a_row_that_is_gone_leaves_an_empty_page():
    page = preceding(LIST, "1")
    assert page.rows == [] and page.older is None and page.newer is not None
    assert preceding(LIST, "99999999").rows == LIST[:ROWS]


@pytest.mark.parametrize("before", ["x", "-1", "1" * 40, "1e3"])
def test_there_is_no_page_before_anything_else(before):
    assert preceding(LIST, before) is None


def test_an_address_has_only_the_filters_that_are_set():
    assert link("/jobs", {"scanner": "", "failed": ""}, {}) == "/jobs"
    assert link("/jobs", {"scanner": "a&b=\"<"}, {"page": "2"}) == "/jobs?scanner=a%26b%3D%22%3C&page=2"
