"""Writes events of the program's log as lines of JSON.

A line has `time` (ISO 8601, UTC), `level`, `logger` and `message`; the fields of the event that are plain values, such
as `scanner`; and `traceback` for a failure. RFC 8259: no line break is inside a line, and every value can be parsed.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

from twisted.logger import LogLevel, formatEvent

_MAX_BITS = 1024  # of an integer; Python writes none of more than 4300 digits
_OWN = ("time", "level", "logger", "message", "traceback")
# What Twisted's legacy log adds to an event.
_LEGACY = frozenset(("system", "isError", "format", "why", "failure", "printed", "filename", "lineno", "category",
                     "warning", "debug"))


def json_line(event: dict[str, Any]) -> str:
    """Format a log event as a JSON object in one line, with its line break."""
    message = formatEvent(event).strip()
    level = event.get("log_level") or LogLevel.info
    line: dict[str, Any] = {"time": _time(event.get("log_time")), "level": level.name,
                            "logger": str(event.get("log_namespace", "")), "message": message}
    for key, value in event.items():
        # A field that is the whole message would only repeat it.
        if isinstance(key, str) and not key.startswith("log_") and key not in _LEGACY and key not in _OWN and (
                _is_plain(value) and value != message):
            line[key] = value if not isinstance(value, float) or math.isfinite(value) else str(value)
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = _traceback(failure)
    return json.dumps(line) + "\n"


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, float)) or (
        isinstance(value, int) and value.bit_length() <= _MAX_BITS)


def _traceback(failure: Any) -> str:
    try:
        return str(failure.getTraceback())
    except Exception as error:  # the log must not fail for an exception that cannot be shown
        return f"(the traceback cannot be shown: {type(error).__name__})"
