"""Polls a job's status to show it while the images arrive: GetJobElements, at most once a second.

WS-Scan, GetJobElementsRequest, JobStatus. The scan itself never waits for it.
"""

import threading
from collections.abc import Callable

from wsdgateway.scan.jobstatus import JobStatus

INTERVAL = 1.0
MAX_FAILURES = 3  # in a row, after which polling stops


class JobWatch:
    """Polls in its own thread while its `with` block runs. `tell` is called in that thread, never after the end."""

    def __init__(self, ask: Callable[[], JobStatus | None], tell: Callable[[JobStatus], None], *,
                 interval: float = INTERVAL) -> None:
        self._ask = ask
        self._tell = tell
        self._interval = interval
        self._ended = threading.Event()
        self._telling = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="job watch")

    def __enter__(self) -> "JobWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._telling:
            self._ended.set()

    def join(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the thread to end."""
        self._thread.join(timeout)

    def _watch(self) -> None:
        failures = 0
        while failures < MAX_FAILURES and not self._ended.wait(self._interval):
            try:
                status = self._ask()
            except Exception:  # the scan does not depend on it
                failures += 1
                continue
            failures = 0 if status is not None else failures + 1
            if status is not None:
                with self._telling:
                    if not self._ended.is_set():
                        self._tell(status)
                if status.final:
                    return
