"""Makes a reactor's timers use the monotonic clock."""

import time
from typing import Any


def keep_time(reactor: Any) -> None:
    """Make a reactor's timers use the monotonic clock in place of the wall clock, Twisted's default.

    Must be called before the first timer is set.
    """
    reactor.seconds = time.monotonic
