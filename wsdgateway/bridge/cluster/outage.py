"""The time in which no scanner gets an owner: the shared server is away, or in the grace after a restart."""

LONG_OUTAGE = 0.5  # of a lease, from the first failed tick on: an owner may be alone by then
RETURN_SECONDS = 2.0  # in which a former owner that has gone on alone notices that the server is back
WORTHWHILE = 5.0  # seconds of a grace that must be left, else a scanner is taken at its end, without another break


class Outage:
    """The outages of the server as one gateway sees them, for one scanner. `lease` is the length of a lease in seconds.

    All times are boot times in seconds. `returned_at` is when the server answered again after a long outage, infinitely
    long ago before the first.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._away_since: float | None = None  # the sending of the first tick that failed since one was answered
        self._deserted_since: float | None = None  # as before, and the server has made nobody the owner since
        self._grace_until = float("-inf")
        self.returned_at = float("-inf")

    @property
    def is_away(self) -> bool:
        """True if the last tick failed."""
        return self._away_since is not None

    def failed(self, sent: float) -> None:
        """Note that a tick failed that was sent at `sent`."""
        if self._away_since is None:
            self._away_since = sent
        if self._deserted_since is None:
            self._deserted_since = sent

    def answered(self, grace: float, now: float, *, is_owned: bool) -> None:
        """Note the answer to a tick: the seconds of grace that are left, and whether the scanner has an owner."""
        if self._away_since is not None and now - self._away_since > LONG_OUTAGE * self._lease:
            self.returned_at = now
        self._away_since, self._grace_until = None, now + grace
        if is_owned or grace <= 0.0:
            self._deserted_since = None

    def deserted_for(self, now: float) -> float | None:
        """The seconds since the server could last make somebody the owner; None if it can, or has done so."""
        return None if self._deserted_since is None else now - self._deserted_since

    def is_long_grace(self, now: float) -> bool:
        """True if it is worth while to serve without a lease until the grace is over.

        A former owner that has gone on alone must have noticed that the server is back, and have registered.
        """
        return now - self.returned_at >= RETURN_SECONDS and self._grace_until - now >= WORTHWHILE
