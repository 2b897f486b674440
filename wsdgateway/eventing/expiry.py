"""Expires: a duration or a point in time.

WS-Eventing 2004/08, section 3.1; the lexical forms are those of XML Schema part 2, 3.2.6 and 3.2.7.
"""

import math
import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(
    r"(-)?P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})D)?"
    r"(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?")
_YEAR, _MONTH = 365.0 * 86400, 30.0 * 86400
LONGEST = 10 * _YEAR


def read_expires(text: str, now: datetime) -> float | None:
    """How many seconds from `now` an Expires means, at most `LONGEST`; None if it can't be read.

    A point in time that has passed gives a negative number. Without a zone it is UTC.
    """
    text = text.strip()
    found = _DURATION.fullmatch(text)
    if found and any(found.groups()[1:]):
        years, months, days, hours, minutes, seconds = (float(group or 0) for group in found.groups()[1:])
        total = years * _YEAR + months * _MONTH + days * 86400 + hours * 3600 + minutes * 60 + seconds
        return min(-total if found[1] else total, LONGEST)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return min((moment - now) / timedelta(seconds=1), LONGEST)
    except OverflowError:
        return None


def write_expires(seconds: float, absolute: bool, now: datetime) -> str:
    """Seconds from `now` as a duration or a point in time, to the millisecond and never longer than they are."""
    whole = math.floor(seconds * 1000) / 1000
    if absolute:
        moment = (now + timedelta(seconds=seconds)).astimezone(UTC)  # isoformat cuts off what is below a millisecond
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")
    return f"PT{max(whole, 0.001):.3f}".rstrip("0").rstrip(".") + "S"


def write_duration(seconds: float) -> str:
    """Seconds as a duration, `PT3600S`; never less than one second."""
    return f"PT{max(1, round(seconds))}S"
