"""Repeats a request while a scanner is busy, as other clients do, and says so in one line.

WS-Scan, ServerErrorTemporaryError, ServerErrorNotAcceptingJobs: the same request may succeed later.
"""

from collections.abc import Callable
from typing import TypeVar

from wsdgateway.cli.scan.calls import Calls
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.scanner import ScannerRefusal

PAUSE = 1.0
CHECK_INTERVAL = 5.0  # seconds between two looks for the cause
_T = TypeVar("_T")


class Retries:
    """Repeats requests for up to `wait` seconds each."""

    def __init__(self, wait: float, calls: Calls, clock: Callable[[], float], progress: Progress) -> None:
        self._wait = wait
        self._calls = calls
        self._clock = clock
        self._progress = progress

    def __call__(self, ask: Callable[[], _T], check: Callable[[ScannerRefusal], str] = lambda _: "") -> _T:
        """The result of `ask`. Raises `ScannerRefusal` for the last refusal.

        `check` is called now and then with a refusal, to look for the cause. It returns the cause in words if it will
        go away, and raises it if somebody must go to the scanner.
        """
        end = checked = None
        cause = ""
        while True:
            try:
                return ask()
            except ScannerRefusal as refusal:
                if not refusal.temporary:
                    raise
                now = self._clock()
                if end is None:
                    end = now + self._wait
                if not refusal.unreachable and (checked is None or now - checked >= CHECK_INTERVAL):
                    checked = now
                    cause = check(refusal)
                if now + PAUSE > end:
                    raise
                self._progress.waits(f"{refusal.cause(cause)}; trying again for up to {self._wait:g} s")
                doing = "waiting for the scanner to become ready"
            self._calls.pause(PAUSE, doing)
