"""Durations in words, for people."""


def in_words(seconds: float) -> str:
    """A duration in the largest unit of which at least two have passed, such as "59 min"; 0 s if it is negative."""
    for unit, size in (("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"
