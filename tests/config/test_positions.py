"""Tests of config.positions: the lines of sections and keys in TOML."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.configurations import SAMPLE
from wsdgateway.config.positions import MAX_DEPTH, find_positions, position_of

ODD = r'''# a comment with [brackets] and "quotes
gateway.name = "x # no comment" # [scanner]
"odd key" = 1
[[listen]]
endpoint = """
[[listen]]
a = 1\"""
"""
advertise = "b"
[[ listen ]]   # an array of tables
  endpoint = 'x#[['
[ a . "b.c" ]
d.e = {f = [1, {g = 2, h = "}"}], i = 3}
list = [ # a comment ]
  "x",
  { name = "q" },  # }
  [1, 2],
]
time = 1979-05-27 07:32:00
[[scanner]]
name = "first"
[scanner.sub]
key = 1
[[scanner]]
[[scanner.other]]
key = 2
[[scanner.other]]
key = 3
quotes = """a""""
empty = ""
''' + "long = '''\nx = 1'''''\nlast = ''\n"


def paths(value, path=()):
    """Returns the path of each section, key and item of an array."""
    found = [path] if path else []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        found += paths(entry, (*path, key))
    return found


@pytest.mark.parametrize(("path", "line"), [
    (("gateway",), 2), (("gateway", "name"), 2), (("odd key",), 3), (("listen",), 4), (("listen", 0), 4),
    (("listen", 0, "endpoint"), 5), (("listen", 0, "advertise"), 9), (("listen", 1), 10),
    (("listen", 1, "endpoint"), 11), (("a",), 12), (("a", "b.c"), 12), (("a", "b.c", "d", "e", "i"), 13),
    (("a", "b.c", "d", "e", "f", 1, "h"), 13), (("a", "b.c", "list"), 14), (("a", "b.c", "list", 0), 15),
    (("a", "b.c", "list", 1, "name"), 16), (("a", "b.c", "list", 2, 1), 17), (("a", "b.c", "time"), 19),
    (("scanner", 0, "name"), 21), (("scanner", 0, "sub", "key"), 23), (("scanner", 1), 24),
    (("scanner", 1, "other", 0, "key"), 26), (("scanner", 1, "other", 1, "key"), 28),
    (("scanner", 1, "other", 1, "quotes"), 29), (("scanner", 1, "other", 1, "long"), 31),
    (("scanner", 1, "other", 1, "last"), 33)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_of_a_section_or_key(path, line, end):
    assert find_positions(ODD.replace("\n", end))[path] == line


@pytest.mark.parametrize("text", [ODD, SAMPLE.read_text()])
def test_every_section_and_key_has_a_line(text):
    found = find_positions(text)
    assert set(paths(tomllib.loads(text))) <= set(found)
    lines = text.count("\n")
    assert all(1 <= line <= lines for line in found.values())


def test_only_the_beginning_of_a_long_dotted_key_has_lines():
    found = find_positions("x = 1\n" + ".".join("a" * 1000) + " = {b = 2}\ny = 3\n")
    assert found[("a",)] == 2 and found[("y",)] == 3
    assert max(map(len, found)) == MAX_DEPTH + 1


def test_a_value_without_a_line_has_that_of_its_section():
    lines = find_positions("[cache]\nmax_age = 1\n")
    assert position_of(lines, ("cache", "missing")) == 1
    assert position_of(lines, ("cache", "max_age", 0)) == 2
    assert position_of(lines, ("events",)) is None
    assert position_of(lines, ()) is None


BARE = st.text("ab-_1", min_size=1, max_size=4)
KEY = BARE | st.text('a.[]#"\\ =', max_size=4).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
SCALAR = st.sampled_from([
    "1", "true", "1.5e3", '"]"', '"a # b"', "'}'", '"""\n]]\n"""', "'''\n[x]\n'''", '""', "07:32:00", r'"\\"'])


def written(values):
    arrays = st.lists(values, max_size=3).map(lambda items: "[" + ",\n # ]\n".join(items) + "\n]")
    tables = st.dictionaries(KEY, values, max_size=3).map(
        lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}")
    return arrays | tables


@given(st.lists(st.tuples(st.sampled_from(["[{}]", "[[{}]]"]), KEY, st.lists(st.tuples(
    KEY, st.recursive(SCALAR, written, max_leaves=5)), max_size=3)), max_size=4))
def test_whatever_is_valid_every_section_and_key_has_a_line(sections):
    text = "".join(form.format(name) + "\n" + "".join(f"{key} = {value} # ]\n" for key, value in pairs)
                   for form, name, pairs in sections)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(paths(data)) <= set(find_positions(text))
