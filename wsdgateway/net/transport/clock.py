"""Lets a reactor's timers go by the monotonic clock."""

import time
from typing import Any


def keep_time(reactor: Any) -> None:
    """Let a reactor's timers go by the monotonic clock; Twisted's go by the one on the wall.

    To be called before anything is planned.
    """
    reactor.seconds = time.monotonic
