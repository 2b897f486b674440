"""Decides by the outcome of an upload request about its file: accepted, rejected for good, or to be sent again.

RFC 9110 sections 10.2.3 (Retry-After) and 15.
"""

from email.utils import parsedate_to_datetime

import attrs

MAX_RETRY_AFTER = 3600.0  # seconds; a server that asks for a longer pause is tried again after this one
# Statuses by which a server, or a proxy in front of it, says that it cannot take any file at present.
_OF_SERVER = frozenset({429, 502, 503, 504})
_AGAIN = frozenset({408, 429})


@attrs.frozen
class Accepted:
    """The server has the file."""


@attrs.frozen
class Rejected:
    """The server does not want the file; sending it again would change nothing. `reason` is a clause."""

    reason: str


@attrs.frozen
class Again:
    """The file must be sent again, after `pause` seconds at least.

    `of_server` is True if other files for this server would fail, too.
    """

    reason: str
    of_server: bool = False
    pause: float = 0.0


Outcome = Accepted | Rejected | Again


def outcome_of(status: int, retry_after: str, now: float) -> Outcome:
    """Returns what a final answer with this status and Retry-After means. `now` is in seconds since 1970."""
    if 200 <= status < 300:
        return Accepted()
    if 300 <= status < 400:
        return Rejected(f"the server redirects ({status}), and redirects are not followed; set upload to the final "
                        "address")
    if status >= 500 or status in _AGAIN:
        return Again(f"the server answered {status}", status in _OF_SERVER, seconds_of(retry_after, now))
    return Rejected(f"the server answered {status}")


def seconds_of(retry_after: str, now: float) -> float:
    """Returns the pause that Retry-After asks for, from 0 to `MAX_RETRY_AFTER` seconds; 0 without a valid value."""
    value = retry_after.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:10]), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(until - now, 0.0), MAX_RETRY_AFTER)
