"""Lets a reactor's timers go by the monotonic clock."""

import time
from typing import Any


def keep_time(reactor: Any) -> None:
    """Let a reactor's timers go by the monotonic clock; Twisted's go by the wall clock.

    To be called before the first timer is set.
    """
    reactor.seconds = time.monotonic
