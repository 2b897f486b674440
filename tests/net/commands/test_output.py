"""Tests of net.commands.output: lines of a command, bounded in length and number."""

import pytest

from wsdgateway.net.commands.output import MAX_BLANK, MAX_LINE, MAX_LINES, Output


def lines_of(*pieces, stream="stdout"):
    lines = []
    output = Output(lambda stream, line: lines.append((stream, line)))
    for piece in pieces:
        output.received(stream, piece)
    output.ended()
    assert output.left_out == 0
    return [line for _, line in lines]


@pytest.mark.parametrize(("data", "lines"), [
    (b"", []), (b"\n\n", []), (b"a\nb", ["a", "b"]), (b"a\r\nb \n", ["a", "b"]),
    ("\u00e4\u20ac\n".encode(), ["\u00e4\u20ac"]), (b"\xff\n", ["\ufffd"]),
    (b"\x1b[31mred\x00\n", ["\ufffd[31mred\ufffd"]),
    (b"a\tb\n", ["a\tb"]),
    (b"x" * MAX_LINE + b"\n", ["x" * MAX_LINE]), (b"x" * 3 * MAX_LINE + b"\ny\n", ["x" * MAX_LINE + " ...", "y"])])
def test_lines_whole_and_byte_by_byte(data, lines):
    assert lines_of(data) == lines
    assert lines_of(*(data[position:position + 1] for position in range(len(data)))) == lines


def test_the_streams_are_kept_apart():
    lines = []
    output = Output(lambda *line: lines.append(line))
    output.received("stdout", b"one ")
    output.received("stderr", b"trouble\n")
    output.received("stdout", b"line\n")
    assert lines == [("stderr", "trouble"), ("stdout", "one line")]


def test_the_number_of_lines_is_bounded():
    lines = []
    output = Output(lambda *line: lines.append(line))
    output.received("stdout", b"x\n" * (MAX_LINES + 50))
    assert (len(lines), output.left_out) == (MAX_LINES, 50)


def test_the_number_of_blank_lines_is_bounded():
    lines = []
    output = Output(lambda *line: lines.append(line))
    output.received("stdout", b"\n" * (MAX_BLANK - 1) + b"x\n")
    assert lines == [("stdout", "x")]
    output.received("stdout", b"\n")
    output.received("stdout", b"\n" * 50 + b"y\n")
    assert (lines, output.left_out) == ([("stdout", "x")], 51)
