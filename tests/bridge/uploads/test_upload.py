"""Tests of bridge.uploads.upload: the record of a waiting file."""

import json

import attrs
import pytest

from wsdgateway.bridge.uploads.upload import FAILED, Upload, as_record, from_record

UPLOAD = Upload("0" * 32, "Paperless", "front-desk", "a \u20ac.pdf", "/srv/a.pdf", 2, 1000, 5.5, 3, 9.0, True, "why",
                FAILED)


def test_a_record_is_read_back():
    assert from_record(json.loads(json.dumps(as_record(UPLOAD)))) == UPLOAD
    assert from_record({**as_record(UPLOAD), "new": 1}) == UPLOAD


def test_what_is_not_there_has_its_default():
    record = {key: as_record(UPLOAD)[key] for key in
              ("id", "destination", "scanner", "name", "source", "pages", "size", "queued")}
    assert from_record(record) == attrs.evolve(
        UPLOAD, attempts=0, not_before=0.0, server_trouble=False, reason="", state="waiting")


@pytest.mark.parametrize("change", [
    {"id": 1}, {"pages": "2"}, {"queued": True}, {"server_trouble": 0}, {"state": "lost"}, {"size": -1},
    {"attempts": -1}, {"attempts": 1.5}, {"name": None}, {"queued": float("nan")}, {"not_before": float("inf")},
    {"not_before": 10**400}, {"size": 10**40}, {"name": "../passwd"}, {"name": "/etc/passwd"}, {"name": ".."},
    {"name": ""}, {"name": "a\0b"}, {"name": "\ud800"}, {"source": "a\0b"}, {"destination": "\ud800"}])
def test_wrong_records(change):
    with pytest.raises(ValueError):
        from_record({**as_record(UPLOAD), **change})


@pytest.mark.parametrize("record", [None, [], "x", 1, {}, {"id": "x"}])
def test_no_records(record):
    with pytest.raises(ValueError):
        from_record(record)
