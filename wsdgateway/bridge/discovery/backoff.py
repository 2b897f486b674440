"""The pauses between attempts to reach a scanner that is absent or not ready, in seconds.

Attempts cost a scanner nothing while it accepts no connections, and there is no other way to notice its return, so
these pauses are short. A scanner that answers, but is not ready, is asked less often.
"""

FIRST = 1.0
LONGEST_AWAY = 3.0


class Backoff:
    """Pauses that double from `FIRST` to `longest`, or to `LONGEST_AWAY` while the scanner accepts no connections."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._pause = FIRST

    def reset(self) -> None:
        """Starts with the first pause again."""
        self._pause = FIRST

    def bound(self, *, answered: bool) -> float:
        """Returns the longest pause after an attempt; `answered`: the scanner answered it."""
        return self._longest if answered else LONGEST_AWAY

    def next(self, *, answered: bool) -> float:
        """Returns the pause after such an attempt."""
        pause, self._pause = min(self._pause, self.bound(answered=answered)), min(self._pause * 2, self._longest)
        return pause
