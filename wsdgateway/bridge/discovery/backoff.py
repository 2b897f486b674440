"""The pauses between tries at a scanner that is not there, or not ready. In seconds.

Trying costs a scanner nothing that takes no connections, and nobody else tells when it does again: so the pauses are
short. One that answers, and has nothing to tell yet, is to be left in peace.
"""

FIRST = 1.0
LONGEST_AWAY = 3.0


class Backoff:
    """Pauses that double from `FIRST` to `longest`, or to `LONGEST_AWAY` where the scanner takes no connections."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._pause = FIRST

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._pause = FIRST

    def bound(self, *, answered: bool) -> float:
        """The longest pause after a try that the scanner `answered`, or did not."""
        return self._longest if answered else LONGEST_AWAY

    def next(self, *, answered: bool) -> float:
        """The pause after such a try."""
        pause, self._pause = min(self._pause, self.bound(answered=answered)), min(self._pause * 2, self._longest)
        return pause
