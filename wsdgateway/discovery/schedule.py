"""Computes when a datagram is sent: once after a delay, and once more because UDP may lose it.

SOAP-over-UDP 2004/09, Appendix I, with DPWS' 2006/02 values: each message goes 1 + 1 times, the repeat after a random
50 to 250 ms; further repeats would each wait twice as long, 500 ms at most. WS-Discovery 2005/04, section 2.4: messages
that many hosts may send in response to the same event wait a random time first.
"""

from collections.abc import Callable

REPEATS = 1
MIN_DELAY, MAX_DELAY, UPPER_DELAY = 0.05, 0.25, 0.5
APP_MAX_DELAY = 0.5


def sending_times(random: Callable[[], float], *, first: float = 0.0, repeats: int = REPEATS) -> list[float]:
    """Returns the times, in seconds from now, at which a message is sent; the first one is a random part of `first`.

    `random` returns numbers from 0 to 1.
    """
    times = [first * random()]
    pause = MIN_DELAY + (MAX_DELAY - MIN_DELAY) * random()
    for _ in range(repeats):
        times.append(times[-1] + pause)
        pause = min(pause * 2, UPPER_DELAY)
    return times
