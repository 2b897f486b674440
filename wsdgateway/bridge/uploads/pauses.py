"""The pauses between two attempts to upload a file: they grow from two seconds to ten minutes."""

FIRST = 2.0  # seconds
LONGEST = 600.0


def pause_after(attempts: int) -> float:
    """Returns the seconds to wait after so many attempts without success."""
    doublings = min(max(attempts, 1) - 1, 16)
    return min(FIRST * 2.0 ** doublings, LONGEST)
