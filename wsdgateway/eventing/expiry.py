"""Reads and writes Expires: a duration or a point in time.

WS-Eventing 2004/08, section 3.1; the lexical forms are those of XML Schema part 2, 3.2.6 and 3.2.7.
"""

import math
import re
from datetime import UTC, datetime, timedelta

MAX_TEXT = 4096  # characters of an Expires
_NUMBER = r"([0-9]++)"
_DURATION = re.compile(
    rf"(-)?P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:([0-9]++(?:\.[0-9]*+)?|\.[0-9]++)S)?)?")
# A point in time that datetime can't hold: a year before 1 or after 9999.
_FAR = re.compile(r"(-[0-9]{4,}|0000|[1-9][0-9]{4,})(-[0-9]{2}-[0-9]{2}T.*)", re.DOTALL)
_MIDNIGHT = re.compile(r"(?<=T)24(?=:00:00(?:\.0+)?(?:Z|[+-]|\Z))")
_YEAR, _MONTH, _DAY = 365.0 * 86400, 30.0 * 86400, 86400.0
LONGEST = 10 * _YEAR


def read_expires(text: str, now: datetime) -> float | None:
    """The seconds from `now` until an Expires, at most `LONGEST`; None if it can't be read.

    A point in time that has passed gives a negative number, at least -`LONGEST`. Without a zone it is UTC.
    """
    text = text.strip()
    if len(text) > MAX_TEXT:
        return None
    found = _DURATION.fullmatch(text)
    if found and any(found.groups()[1:]):
        years, months, days, hours, minutes, seconds = (float(group or 0) for group in found.groups()[1:])
        total = min(years * _YEAR + months * _MONTH + days * _DAY + hours * 3600 + minutes * 60 + seconds, LONGEST)
        return -total if found[1] else total
    seconds_from = _until(text, now)
    return None if seconds_from is None else max(-LONGEST, min(seconds_from, LONGEST))


def _until(text: str, now: datetime) -> float | None:
    """Seconds from `now` to a point in time; None if it can't be read."""
    far = _FAR.fullmatch(text)
    if far is not None:  # all but the year is checked as in 2000, a leap year
        return None if _until(f"2000{far[2]}", now) is None else -math.inf if far[1][0] in "-0" else math.inf
    midnight = _MIDNIGHT.search(text)
    try:
        moment = datetime.fromisoformat(text if midnight is None else _MIDNIGHT.sub("00", text))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - now) / timedelta(seconds=1) + (0.0 if midnight is None else _DAY)
    except (ValueError, OverflowError):
        return None


def write_expires(seconds: float, absolute: bool, now: datetime) -> str:
    """Write seconds from `now` as a duration or a point in time, to the millisecond and never rounded up."""
    whole = math.floor(seconds * 1000) / 1000
    if absolute:
        moment = (now + timedelta(seconds=seconds)).astimezone(UTC)  # isoformat truncates to the millisecond
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")
    return f"PT{max(whole, 0.001):.3f}".rstrip("0").rstrip(".") + "S"


def write_duration(seconds: float) -> str:
    """Write seconds as a duration, `PT3600S`; never less than one second."""
    return f"PT{max(1, round(seconds))}S"
