"""Measures the delays of this process and the gateway, so that load on the machine does not count as a failure."""

import asyncio
import time
from collections import deque
from pathlib import Path

STEP = 0.02  # seconds between two measurements
KEPT_SECONDS = 30.0


def waited(pid):
    """Returns the seconds that a process was ready to run without a processor, or 0 if unknown."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class Lag:
    """Measures delays of this event loop, the gateway's waits for a processor, and its load.

    `gateway` returns the seconds that the gateway has waited since it started. `answered` receives the time of a
    request that needs no scanner: the gateway may delay the writing of a request as long.
    """

    def __init__(self, gateway, moment=time.monotonic):
        self._gateway, self._moment = gateway, moment
        self._began, self._waited = moment(), gateway()
        self._samples = deque()  # end of a sleep, its delay, and the gateway's wait in the meantime
        self._answers = deque(maxlen=1000)  # time of a local answer, and its duration in seconds

    async def run(self):
        """Measures until cancelled."""
        while True:
            self._began = self._moment()
            await asyncio.sleep(STEP)
            self.measure()

    def measure(self):
        """Takes a sample at the end of a sleep."""
        now, before, self._waited = self._moment(), self._waited, self._gateway()
        self._samples.append((now, now - self._began - STEP, self._waited - before))
        while self._samples[0][0] < now - KEPT_SECONDS:
            self._samples.popleft()

    def answered(self, seconds):
        """Records the seconds that the gateway took for an answer that needs no scanner."""
        self._answers.append((self._moment(), seconds))

    def since(self, moment):
        """Returns by how many seconds two requests may appear closer together here than the gateway sent them."""
        recent = [sample for sample in self._samples if sample[0] >= moment]
        going_on = self._moment() - self._began - STEP
        own = max([0.0, going_on, *(late for _, late, _ in recent)])
        busy = max((seconds for ended, seconds in self._answers if ended >= moment), default=0.0)
        return own + max(busy, sum(wait for _, _, wait in recent) + self._gateway() - self._waited)
