"""Mistakes in a configuration's values: the error that a check raises, and how messages show a value."""

import json
from typing import Any


class Wrong(Exception):
    """A wrong value; the text completes "must be"."""


def shown(value: Any) -> str:
    """A value in one line, as messages show it; no control character of it reaches a terminal."""
    try:
        line = json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):  # tables within tables, a thousand deep; a number of 5,000 digits
        return "..."
    line = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line)
    return line if len(line) <= 80 else line[:77] + "..."
