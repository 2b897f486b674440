"""Bounds how often a device is asked: what exceeds its rate waits.

Scanners in the field stop answering, or start again by themselves, when they are asked too often. All that goes to one
device counts, whoever asked and by whichever connection.
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
    """At most `rate` requests a second, and a second's worth at once; 0 sets no bound.

    None is `DEFAULT_RATE`, but for what is on this host: a virtual scanner, not a weak one. `delayed` is called for
    each request that has to wait.
    """

    def __init__(self, rate: float | None, delayed: Callable[[], None] = lambda: None) -> None:
        self.delayed = delayed
        self._rate = rate
        self._bucket = TokenBucket(DEFAULT_RATE if rate is None else rate)

    @classmethod
    def of(cls, section: ScannerConfig, delayed: Callable[[], None]) -> "RateLimit":
        """The rate limit that a scanner's section says."""
        return cls(section.max_rate, delayed)

    def adjust(self, rate: float | None) -> None:
        """Go by another rate from now on."""
        if rate != self._rate:
            self._rate = rate
            self._bucket = TokenBucket(DEFAULT_RATE if rate is None else rate)

    def _is_bounded(self, host: str) -> bool:
        return not _is_on_this_host(host) if self._rate is None else self._rate > 0

    def wait(self, host: str, now: float) -> float:
        """The seconds until the device at that host may be asked; 0 if it may be now."""
        return self._bucket.wait(now) if self._is_bounded(host) else 0.0

    def spend(self, host: str, now: float) -> None:
        """Count a request that goes to the device at that host."""
        if self._is_bounded(host):
            self._bucket.spend(now)
