"""Faults during the soak, at random from a seed: one after the other, and sometimes two at once."""

import asyncio
import os
import random
import resource
import time
from collections import Counter

from http_client import pause

DAY = 86400
TIGHT = 40  # limit of open descriptors during exhaustion, fewer than are open
AFTERWARDS = 2.0  # seconds in which pending connections may still fail


class Faults:
    """Causes faults and ends them; `happened` counts them."""

    def __init__(self, testbed, clients, seed):
        self._testbed, self._clients = testbed, clients
        self._chance = random.Random(f"{seed} faults")
        self.happened, self.now = Counter(), ""
        self._kinds = [self._restart, self._refuse, self._hang, self._break_image, self._cut, self._slow, self._reload,
                       self._descriptors]
        if testbed.has_disk:
            self._kinds.append(self._full_disk)
        if testbed.clock is not None:
            self._kinds.append(self._set_clock)

    async def run(self):
        """Runs until the soak ends. Each kind of fault occurs once before any is repeated."""
        coming = []
        while not self._clients.stop.is_set():
            await pause(self._clients.stop, self._chance.uniform(1.0, 4.0))
            if not coming:
                coming = self._chance.sample(self._kinds, len(self._kinds))
            first = coming.pop()
            both = [first, *([self._restart] if first != self._restart and self._chance.random() < 0.3 else [])]
            if self._clients.stop.is_set():
                return
            self.now = " and ".join(one.__name__.strip("_").replace("_", " ") for one in both)
            self.happened.update(one.__name__.strip("_").replace("_", " ") for one in both)
            await asyncio.gather(*(one(self._chance.choice(self._testbed.faulty)) for one in both))
            self.now = ""

    async def _wait(self, least, most):
        await pause(self._clients.stop, self._chance.uniform(least, most))

    # Faults of a scanner.

    async def _restart(self, scanner):
        """Restarts the scanner: it loses all jobs, and counts JobIds from 1 again."""
        await scanner.control(f"reboot?seconds={self._chance.choice((0, 0.5, 3))}")
        await self._wait(1.0, 5.0)

    async def _refuse(self, scanner):
        scanner.proxy.refuse()
        await self._wait(1.0, 8.0)
        await scanner.proxy.restore()

    async def _hang(self, scanner):
        scanner.proxy.hang()
        await self._wait(1.0, 15.0)
        await scanner.proxy.restore()

    async def _break_image(self, scanner):
        await scanner.control("break-image")
        await self._wait(1.0, 5.0)

    async def _cut(self, scanner):
        for _ in range(self._chance.randrange(1, 6)):
            scanner.proxy.cut()
            await self._wait(0.0, 1.0)

    async def _slow(self, scanner):
        await scanner.control("slow?seconds=2")
        await self._wait(2.0, 8.0)
        await scanner.control("clear")

    # Faults of the gateway and its machine.

    async def _reload(self, scanner):
        """Reloads with another time limit, and adds or removes a scanner."""
        testbed = self._testbed
        testbed.has_extra, testbed.settings = not testbed.has_extra, self._chance.choice((20.0, 30.0))
        testbed.reload()
        await self._wait(0.5, 2.0)

    async def _descriptors(self, scanner):
        """Exhausts the descriptors: no new connections in either direction, while open ones continue."""
        pid = self._testbed.gateway.pid
        former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self._clients.tolerate("device")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (TIGHT, former[1]))
        await self._wait(1.0, 5.0)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, former)
        self._clients.tolerate("device", AFTERWARDS)

    async def _full_disk(self, scanner):
        """Fills the disk of the store and the exchange log: only subscribing may fail."""
        filler = self._testbed.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            end = time.monotonic() + self._chance.uniform(2.0, 8.0)
            while time.monotonic() < end and not self._clients.stop.is_set():
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    await asyncio.sleep(0.2)  # then use up the space that has become free
        os.unlink(filler)

    async def _set_clock(self, scanner):
        """Sets the gateway's clock a day forwards or backwards, and back some time later."""
        self._testbed.set_clock(self._chance.choice((DAY, -DAY)))
        await self._wait(3.0, 8.0)
        self._testbed.set_clock(0)
        await self._wait(1.0, 2.0)
