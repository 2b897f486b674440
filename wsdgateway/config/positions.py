"""Finds the line of each section and key in a TOML file, for messages.

TOML 1.0. `tomllib` tells positions of syntax errors only. This module reads text that `tomllib` has accepted, so it
finds where keys, strings and brackets begin and end, and checks nothing.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from types import MappingProxyType

# The names of sections and keys that lead to a value, and the positions in arrays, which begin at 0.
TomlPath = tuple[str | int, ...]
MAX_DEPTH = 16  # names of a dotted key that are kept; the paths to all of them need memory with the square of these
EMPTY: Mapping[TomlPath, int] = MappingProxyType({})  # for a configuration that is in no file

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')[ \t]*""")
_STRING = re.compile(r'''"{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*\'''', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def find_positions(text: str) -> dict[TomlPath, int]:
    """Returns the line, from 1, on which each section and each key begins. The text must be valid TOML."""
    finding = _Finding(text.replace("\r\n", "\n"))
    try:
        finding.read()
    except RecursionError:  # thousands of nested arrays: the lines found so far serve
        pass
    return finding.lines


def position_of(lines: Mapping[TomlPath, int], path: TomlPath) -> int | None:
    """Returns the line of a value or, if that is not known, of the innermost section around it."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), None)


class _Finding:
    def __init__(self, text: str) -> None:
        self.lines: dict[TomlPath, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._tables: dict[TomlPath, int] = {}  # arrays of tables, with the number of their sections so far

    def read(self) -> None:
        section: TomlPath = ()
        while self._skip_blank():
            if self._text.startswith("[", self._at):
                section = self._header()
            else:
                self._pair(section)

    def _skip_blank(self) -> bool:
        """Skips blanks and comments. Returns False at the end of the text."""
        self._at = self._end_of(_BLANK)
        return self._at < len(self._text)

    def _end_of(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        return self._at if found is None else found.end()

    def _note(self, path: TomlPath, at: int) -> None:
        self.lines.setdefault(path, bisect_right(self._breaks, at - 1) + 1)

    def _header(self) -> TomlPath:
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        names = self._dotted()
        self._at += 2 if is_array else 1
        path: TomlPath = ()
        for name in names[:-1]:
            path = (*path, name)
            self._note(path, start)
            path = self._in_last(path)
        path = (*path, names[-1])
        if is_array:
            self._note(path, start)
            self._tables[path] = self._tables.get(path, 0) + 1
        path = self._in_last(path)
        self._note(path, start)
        return path

    def _in_last(self, path: TomlPath) -> TomlPath:
        """The path of the last section of an array of tables; any other path as it is."""
        return (*path, self._tables[path] - 1) if path in self._tables else path

    def _dotted(self) -> list[str]:
        names: list[str] = []
        while True:
            found = _KEY.match(self._text, self._at)
            assert found is not None, "the text is not valid TOML"
            if len(names) < MAX_DEPTH:
                names.append(_name(found[1]))
            self._at = found.end()
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _pair(self, section: TomlPath) -> None:
        start = self._at
        path = section
        for name in self._dotted():
            path = (*path, name)
            self._note(path, start)
        self._at += 1  # =
        self._value(path)

    def _value(self, path: TomlPath) -> None:
        self._at = self._end_of(_BLANK)
        opening = self._text[self._at:self._at + 1]
        if opening == "[":
            self._items("]", path)
        elif opening == "{":
            self._items("}", path)
        else:
            self._at = self._end_of(_STRING if opening in ('"', "'") else _SCALAR)

    def _items(self, closing: str, path: TomlPath) -> None:
        """Reads an array or an inline table up to its closing bracket."""
        self._at += 1
        position = 0
        while self._skip_blank() and not self._text.startswith(closing, self._at):
            if self._text.startswith(",", self._at):
                self._at += 1
            elif closing == "}":
                self._pair(path)
            else:
                self._note((*path, position), self._at)
                self._value((*path, position))
                position += 1
        self._at += 1


def _name(written: str) -> str:
    """A key without its quotation marks."""
    if written[0] not in "\"'":
        return written
    return str(tomllib.loads(f"key = {written}")["key"])
