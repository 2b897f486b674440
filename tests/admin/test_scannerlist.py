"""Tests of admin.scannerlist: scanners in words, problems first, and lines to copy."""

import re

import pytest

from tests.admin.descriptions import HOSTILE, NOON, html, scanner, text
from wsdgateway.admin.scannerlist import MAX_LINES, airscan, by_trouble, rows, status

JAM = {"state": "Stopped", "conditions": ["MediaJam"], "problem": "paper jam", "problem_since": "2026-09-30T10:32:00Z"}


@pytest.mark.parametrize(("more", "words", "style"), [
    ({}, "Idle", "good"), ({"state": None}, "Reachable", "good"), ({"state": "Processing"}, "Scanning", "active"),
    ({"conditions": ["InputTrayEmpty"]}, "Idle, feeder empty", "good"), ({"state": "Warming"}, "Warming", "good"),
    ({"reachable": None, "state": None}, "Not tried yet", "quiet"), (JAM, "Paper jam", "problem"),
    ({"reachable": None, "searched": True}, "Being searched for", "quiet"),
    ({"reachable": False, "problem": "does not answer"}, "Does not answer", "problem"),
    ({"problem": HOSTILE}, '"&gt;&lt;script&gt;', "problem")])
def test_the_state_of_a_scanner_in_words(more, words, style):
    assert html(status(scanner(**more))).replace("<bdi>", "").startswith(f'<span class="status {style}">{words}')


def test_scanners_with_problems_come_first():
    listed = [scanner("a"), scanner("b", **JAM), scanner("c", reachable=None), scanner("d", problem="does not answer")]
    assert [one["name"] for one in by_trouble(listed)] == ["b", "d", "a", "c"]


def test_a_row_has_name_state_and_address():
    made = html(rows([scanner(friendly_name="Front desk", model="Example 1", active_jobs=2)], NOON))
    assert text(made) == ("front-desk Front desk Idle , 2 active jobs "
                          "http://192.0.2.5:5357/front-desk/scan Copy")
    made = html(rows([scanner(**JAM)], NOON))
    assert "Paper jam since 10:32" in text(made)


def test_the_button_copies_the_address_and_is_hidden_without_a_script():
    made = html(rows([scanner()], NOON))
    [(identifier, address)] = re.findall(r'<code id="([^"]*)">([^<]*)</code>', made)
    assert address == "http://192.0.2.5:5357/front-desk/scan"
    assert (f'<button type="button" class="copy" hidden="hidden" data-copy="{identifier}" '
            'aria-label="Copy the address of front-desk">Copy</button>') in made


def test_without_an_address_there_is_a_path_and_nothing_to_copy():
    unknown = scanner(client_url=None)
    assert airscan([unknown]) is None
    made = html(rows([unknown], NOON))
    assert "<code>/front-desk/scan</code>" in made and "<button" not in made


def test_the_lines_for_sane_airscan_are_a_section_and_bounded():
    made = html(airscan([scanner(f"s-{number}") for number in range(MAX_LINES + 5)]))
    lines = re.search(r'<code id="airscan">(.*?)</code>', made, re.DOTALL)[1].splitlines()
    assert lines[0] == "[devices]" and len(lines) == MAX_LINES + 1
    assert lines[1] == '"s-0" = http://192.0.2.5:5357/s-0/scan, WSD'


def test_values_are_escaped():
    made = html(rows([scanner(friendly_name=HOSTILE, model=HOSTILE, problem=HOSTILE, problem_since=HOSTILE,
                              client_url=HOSTILE)], NOON))
    assert "<script" not in made and made.count("&lt;script&gt;") >= 3
