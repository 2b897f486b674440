"""A clock for durations of hours and days that is unaffected by changes to the system time.

If the system time is set, by hand or by NTP some time after the start, subscriptions must not all end at once, and a
pause of seconds must not last for an hour. WS-Eventing 2004/08, section 3.1: a duration is a duration. Files and the
store have times of the wall clock, so times are converted.
"""

from collections.abc import Callable

DRIFT = 1.0  # seconds by which the clocks may differ without having been set


class SteadyClock:
    """A clock that starts with the wall clock's time and then counts elapsed seconds.

    `seconds` is a monotonic clock, `wall` gives the seconds since 1970.
    """

    def __init__(self, seconds: Callable[[], float], wall: Callable[[], float]) -> None:
        self._seconds = seconds
        self.wall = wall
        self._start = wall() - seconds()

    def __call__(self) -> float:
        return self._start + self._seconds()

    @property
    def set_by(self) -> float:
        """The seconds by which the wall clock has been set forward since the start."""
        ahead = self.wall() - self()
        return ahead if abs(ahead) > DRIFT else 0.0

    def on_wall(self, moment: float) -> float:
        """Converts a time of this clock to the current wall clock: for files, for the store, and for people."""
        return moment + self.set_by

    def from_wall(self, moment: float) -> float:
        """Converts a time of the wall clock, as found in files or in the store, to this clock."""
        return moment - self.set_by
