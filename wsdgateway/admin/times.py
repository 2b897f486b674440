"""Times and durations on the pages.

A time is written in UTC, without the date if that is today's. The script of the pages replaces it by the local time of
the browser, and UTC stays as its title. HTML, section 4.5.14 (the time element).
"""

from datetime import UTC, datetime

from twisted.web.template import Tag, tags

MAX_UNREADABLE = 40  # characters that are shown of a time which cannot be read


def moment(text: str | None, now: float, *, precise: bool = False) -> Tag | str:
    """A time as the gateway or a scanner wrote it, to the minute, or with `precise` to the second; empty without one.

    `now` is in seconds since 1970. A scanner's time without a zone is shown as it is.
    """
    if not text:
        return ""
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            return read.isoformat(" ", "seconds")
        time = read.astimezone(UTC)
    except (ValueError, OverflowError):
        return text if len(text) <= MAX_UNREADABLE else f"{text[:MAX_UNREADABLE]}…"
    return tags.time(
        _shown(time, datetime.fromtimestamp(now, UTC), precise), datetime=f"{time:%Y-%m-%dT%H:%M:%SZ}",
        title=f"{time:%Y-%m-%d %H:%M:%S} UTC", class_="precise" if precise else "minute")


def _shown(time: datetime, now: datetime, precise: bool) -> str:
    clock = f"{time:%H:%M:%S}" if precise else f"{time:%H:%M}"
    if time.date() == now.date():
        return clock
    day = f"{time.day} {time:%b}" + ("" if time.year == now.year else f" {time.year}")
    return f"{day} {clock}"


def lasting(seconds: float) -> str:
    """A duration in its two largest units, such as "3 h 12 min", rounded down to a minute."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"
