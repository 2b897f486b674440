"""Random numbers, identifiers and secrets, and processor time: all that differs between runs with the same input."""

import random
import secrets
import time
from collections.abc import Callable

import attrs


@attrs.frozen
class Chance:
    """The random numbers and the CPU time of a gateway; a test can give others, so that a run can be repeated.

    `fraction` returns a number from 0 to 1, `token` that many random bytes, which must be secret, `cpu_seconds` the CPU
    time of this thread.
    """

    fraction: Callable[[], float] = random.random
    token: Callable[[int], bytes] = secrets.token_bytes
    cpu_seconds: Callable[[], float] = time.thread_time
