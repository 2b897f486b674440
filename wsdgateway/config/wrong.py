"""Mistakes in a configuration's values: the error that checks raise, and the form in which messages show values."""

import json
from typing import Any

import attrs


class Wrong(Exception):
    """A wrong value; the text completes "must be"."""


@attrs.frozen
class Section:
    """A section as messages name it, such as `[[scanner]] front-desk`, and the path that leads to it in the file."""

    label: str
    path: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.label


def shown(value: Any) -> str:
    """Formats a value as one line for messages, without control characters that could reach a terminal."""
    try:
        line = json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):  # tables nested a thousand deep; a number of 5,000 digits
        return "..."
    line = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line)
    return line if len(line) <= 80 else line[:77] + "..."
