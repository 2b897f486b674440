"""How late this process runs: what passes through it is seen that much too late."""

import asyncio
import time
from collections import deque

STEP = 0.02  # seconds between two looks
KEPT_SECONDS = 30.0


class Lag:
    """Measures by how much the event loop oversleeps, which is how long anything else may have waited, too."""

    def __init__(self, moment=time.monotonic):
        self._moment = moment
        self._began = moment()
        self._samples = deque()  # when a sleep ended, and by how many seconds too late

    async def run(self):
        """Measure until cancelled."""
        while True:
            self._began = self._moment()
            await asyncio.sleep(STEP)
            self.add()

    def add(self):
        """A sleep has ended."""
        now = self._moment()
        self._samples.append((now, now - self._began - STEP))
        while self._samples[0][0] < now - KEPT_SECONDS:
            self._samples.popleft()

    def worst(self, since):
        """The longest delay since that moment, in seconds; a sleep that goes on counts."""
        going_on = self._moment() - self._began - STEP
        return max([0.0, going_on, *(late for ended, late in self._samples if ended >= since)])
