"""Tests of exchangelog.entry: the lines of the exchange log."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.exchangelog.entries import ENTRY, entry
from wsdgateway.exchangelog.entry import MAX_TEXT, bounded, describe, write_entry


def test_a_line_has_the_documented_keys_in_order():
    line = write_entry(ENTRY)
    assert list(json.loads(line)) == [
        "time", "scanner", "client", "operation", "action", "message_id", "job_id", "source", "status", "fault",
        "request_bytes", "response_bytes", "seconds", "capture"]
    assert json.loads(line) == describe(ENTRY)
    assert json.loads(line)["time"] == "2026-11-23T10:34:11.123Z"


def test_user_and_job_name_are_written_only_if_given():
    named = json.loads(write_entry(entry(user="ann", job_name="my scan")))
    assert (named["user"], named["job_name"]) == ("ann", "my scan")
    assert "user" not in describe(ENTRY)


def test_another_gateway_is_named_only_if_it_answered():
    assert json.loads(write_entry(entry(via='server "b"')))["via"] == 'server "b"'
    assert describe(entry(via="server-b"))["via"] == "server-b"
    assert "via" not in describe(ENTRY)


@given(st.text(max_size=50), st.one_of(st.none(), st.text(max_size=50)))
def test_any_text_from_the_network_stays_on_one_line(text, other):
    line = write_entry(entry(action=text, message_id=text, job_id=other, fault=other, user=text))
    assert line.isascii() and line.isprintable()
    assert (json.loads(line)["action"], json.loads(line)["fault"]) == (text, other)


def test_long_texts_are_cut():
    assert bounded(ENTRY) is ENTRY
    line = json.loads(write_entry(bounded(entry(action="a" * 100_000, message_id="m" * 100_000))))
    assert len(line["action"]) == MAX_TEXT + 1 and line["message_id"] == "m" * MAX_TEXT + "…"


def test_failed_exchanges():
    assert not ENTRY.failed
    assert entry(status=500).failed
    assert entry(status=None).failed
    assert entry(fault="X").failed
    assert not entry(fault="ClientErrorNoImagesAvailable", status=400).failed  # the end of every feeder
    assert not entry(status=None, source="discovery").failed
