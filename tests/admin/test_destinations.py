"""Tests of admin.destinations: the table of destinations."""

import pytest

from tests.admin.descriptions import HOSTILE, NOON, html
from wsdgateway.admin.destinations import SHOWN, destinations_table


def destination(**more):
    return {"name": "Mail", "scanners": [{"name": "front-desk", "state": "subscribed", "waiting": 0}], "folder": True,
            "upload": False, "uploads_waiting": None, "format": "pdf", "files": [], **more}


def file(number):
    return {"name": f"scan-{number}.pdf", "scanner": "front-desk", "pages": 1, "time": "2026-09-30T11:00:00Z"}


def test_names_scanners_and_the_last_files():
    shown = html(destinations_table([destination(files=[file(number) for number in range(SHOWN + 1)])], NOON, None))
    assert "Mail" in shown and "front-desk" in shown and "not at the moment" not in shown
    assert [f"scan-{number}.pdf" in shown for number in range(SHOWN + 1)] == [True] * SHOWN + [False]


@pytest.mark.parametrize(("states", "words"), [
    ({"a": "waiting"}, "not at the moment: a"),
    ({"a": "waiting", "b": "subscribed", "c": "off", "d": "subscribed"}, "b, d; not at the moment: a, c")])
def test_panels_that_do_not_show_the_name_come_last(states, words):
    one = destination(scanners=[{"name": name, "state": state, "waiting": 0} for name, state in states.items()])
    assert f">{words}</td>" in html(destinations_table([one], NOON, None))


def test_uploads_that_wait():
    shown = html(destinations_table([destination(upload=True, uploads_waiting=17)], NOON, None))
    assert ">17<" in shown and 'data-label="uploads waiting:"' in shown


def test_the_panel_of_a_virtual_scanner_is_linked():
    assert 'href="http://127.0.0.1:1/control/"' in html(destinations_table(
        [destination()], NOON, "http://127.0.0.1:1/control/"))


def test_names_are_escaped():
    assert "<script>" not in html(destinations_table([destination(name=HOSTILE)], NOON, None))
