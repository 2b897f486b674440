"""Limits the rate of requests to one scanner; requests beyond it wait.

Many scanners stop answering, or reboot, when requests are too frequent. Every request to the scanner counts, from any
client and over any connection.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from wsdgateway.config.sections import ScannerConfig
from wsdgateway.tokenbucket import TokenBucket

DEFAULT_RATE = 20.0  # requests a second


@lru_cache(maxsize=256)
def _is_on_this_host(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


class RateLimit:
    """Allows `rate` requests a second, and as many at once; 0 means no limit.

    None stands for `DEFAULT_RATE`, or for no limit if the scanner is on this host, as virtual scanners are. `delayed`
    is called for each request that has to wait. `divide` lets this gateway have a part of the rate.
    """

    def __init__(self, rate: float | None, delayed: Callable[[], None] = lambda: None) -> None:
        self.delayed = delayed
        self._rate = rate
        self._divisor = 1
        self._bucket = self._make_bucket()

    def _make_bucket(self) -> TokenBucket:
        return TokenBucket((DEFAULT_RATE if self._rate is None else self._rate) / self._divisor)

    @classmethod
    def of(cls, section: ScannerConfig, delayed: Callable[[], None]) -> "RateLimit":
        """Returns the rate limit configured in a scanner's section."""
        return cls(section.max_rate, delayed)

    def adjust(self, section: ScannerConfig) -> None:
        """Applies a changed section of the scanner."""
        rate = section.max_rate
        if rate != self._rate:
            self._rate = rate
            self._bucket = self._make_bucket()

    def divide(self, divisor: int) -> None:
        """Allows only this part of the rate, because so many gateways may use the scanner."""
        if divisor != self._divisor:
            self._divisor = divisor
            self._bucket = self._make_bucket()

    def _is_bounded(self, host: str) -> bool:
        return not _is_on_this_host(host) if self._rate is None else self._rate > 0

    def wait(self, host: str, now: float) -> float:
        """Returns the seconds until a request may be sent to the device at that host; 0 if one may be sent now."""
        return self._bucket.wait(now) if self._is_bounded(host) else 0.0

    def spend(self, host: str, now: float) -> None:
        """Counts a request sent to the device at that host."""
        if self._is_bounded(host):
            self._bucket.spend(now)
