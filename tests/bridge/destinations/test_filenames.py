"""Tests of bridge.destinations.filenames: names from patterns, which never leave the folder."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.bridge.destinations.filenames import MAX_NUMBER, MAX_STEM, candidates, safe, stem

VALUES = {"scanner": "front-desk", "date": "20261122", "time": "103411", "destination": "Mail", "job": "17"}


@pytest.mark.parametrize(("value", "expected"), [
    ("17", "17"), ("../../etc/passwd", "__" + "_.._etc_passwd"), ("..", "__"), (".hidden", "_hidden"), ("a.b", "a.b"),
    ("a\0b\nc", "a_b_c"), ("/", "_"), ("", ""), ("Büro 3", "Büro 3"), ("\x7f\x85", "__"),
])
def test_a_value_as_part_of_a_name(value, expected):
    assert safe(value) == expected


@pytest.mark.parametrize(("pattern", "name"), [
    ("{scanner}-{date}-{time}-{number}", "front-desk-20261122-103411-3"), ("{job}", "17"), ("scan", "scan"),
    ("{destination} {job}", "Mail 17"), ("{unknown}{}", "{unknown}{}"),
])
def test_a_pattern(pattern, name):
    assert stem(pattern, VALUES, 3) == name


@pytest.mark.parametrize(("pattern", "number", "names"), [
    ("{scanner}-{number}", None, ["front-desk-1.pdf", "front-desk-2.pdf", "front-desk-3.pdf"]),
    ("{scanner}", None, ["front-desk.pdf", "front-desk-2.pdf", "front-desk-3.pdf"]),
    ("{scanner}-{number}", 4, ["front-desk-4.pdf", "front-desk-4-2.pdf", "front-desk-4-3.pdf"]),
])
def test_names_to_try(pattern, number, names):
    assert list(islice(candidates(pattern, VALUES, "pdf", number), 3)) == names


def test_the_names_to_try_are_bounded():
    assert sum(1 for _ in candidates("x", VALUES, "pdf", 1)) == MAX_NUMBER


def test_a_long_name_is_shortened_at_a_character():
    name = stem("{destination}", {"destination": "ü" * 300}, 1)
    assert name == "ü" * (MAX_STEM // 2)
    first, second = islice(candidates("{destination}{number}", {"destination": "x" * 300}, "pdf", None), 2)
    assert first != second


def test_a_name_with_and_without_room_for_its_number():
    """With 199 bytes before the number, the second digit is cut off."""
    values = {"destination": "x" * (MAX_STEM - 1)}
    names = list(islice(candidates("{destination}{number}", values, "pdf", None), 30))
    assert len(set(names)) == 30


def test_a_name_of_empty_values_is_not_hidden():
    assert [stem(pattern, {"job": ""}, 1) for pattern in ("{job}", "{job}.scan")] == ["_", "_.scan"]


@given(st.dictionaries(st.sampled_from(sorted(VALUES)), st.text(max_size=80)), st.sampled_from(
    ["{scanner}-{number}", "{job}", "{destination}{job}", "a{scanner}"]), st.integers(1, 9))
def test_a_name_never_leaves_the_folder(values, pattern, number):
    for name in islice(candidates(pattern, {**VALUES, **values}, "pdf", number), 3):
        assert "/" not in name and "\0" not in name
        assert len(name.encode("utf-8", "replace")) <= 255
        assert name not in (".", "..")
