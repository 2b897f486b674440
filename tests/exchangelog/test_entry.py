"""The lines of the exchange log."""

import json

from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.exchangelog.entry import MAX_TEXT, Entry, bounded, describe, write_entry

ENTRY = Entry(1795430051.123, "front-desk", "192.0.2.77:50122", "GetJobElements", "http://x/GetJobElements",
              "urn:uuid:1", "253", "local", 200, None, 812, 1390, 0.0004)


def test_a_line_has_the_keys_of_the_contract_in_their_order():
    line = write_entry(ENTRY)
    assert list(json.loads(line)) == [
        "time", "scanner", "client", "operation", "action", "message_id", "job_id", "source", "status", "fault",
        "request_bytes", "response_bytes", "seconds", "capture"]
    assert json.loads(line) == describe(ENTRY)
    assert json.loads(line)["time"] == "2026-11-23T10:34:11.123Z"


def test_people_are_named_only_if_they_are_given():
    named = json.loads(write_entry(ENTRY._replace(user="ann", job_name="my scan")))
    assert (named["user"], named["job_name"]) == ("ann", "my scan")
    assert "user" not in describe(ENTRY)


@given(st.text(max_size=50), st.one_of(st.none(), st.text(max_size=50)))
def test_whatever_comes_from_the_network_stays_one_line(text, other):
    line = write_entry(ENTRY._replace(action=text, message_id=text, job_id=other, fault=other, user=text))
    assert line.isascii() and line.isprintable()
    assert (json.loads(line)["action"], json.loads(line)["fault"]) == (text, other)


def test_long_texts_are_cut():
    assert bounded(ENTRY) is ENTRY
    line = json.loads(write_entry(bounded(ENTRY._replace(action="a" * 100_000, message_id="m" * 100_000))))
    assert len(line["action"]) == MAX_TEXT + 1 and line["message_id"] == "m" * MAX_TEXT + "…"


def test_what_failed():
    assert not ENTRY.failed
    assert ENTRY._replace(status=500).failed
    assert ENTRY._replace(status=None).failed
    assert ENTRY._replace(fault="X").failed
    assert not ENTRY._replace(fault="ClientErrorNoImagesAvailable", status=400).failed  # the end of every feeder
    assert not ENTRY._replace(status=None, source="discovery").failed
