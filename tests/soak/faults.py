"""What goes wrong during the soak, at random from a seed: one thing after the other, and two at once now and then."""

import asyncio
import os
import random
import resource
import time
from collections import Counter

from http_client import pause

DAY = 86400
TIGHT = 40  # descriptors that may be open while they are exhausted: fewer than there are
AFTERWARDS = 2.0  # seconds in which connections that were in the middle of it may still fail


class Faults:
    """Brings them about, and heals them; `happened` counts them."""

    def __init__(self, site, crowd, seed):
        self._site, self._crowd = site, crowd
        self._chance = random.Random(f"{seed} faults")
        self.happened, self.now = Counter(), ""
        self._kinds = [self._restart, self._refuse, self._hang, self._break_image, self._cut, self._slow, self._reload,
                       self._descriptors]
        if site.has_disk:
            self._kinds.append(self._full_disk)
        if site.clock is not None:
            self._kinds.append(self._set_clock)

    async def run(self):
        """Until everything ends. Each kind comes before any comes again."""
        coming = []
        while not self._crowd.stop.is_set():
            await pause(self._crowd.stop, self._chance.uniform(1.0, 4.0))
            if not coming:
                coming = self._chance.sample(self._kinds, len(self._kinds))
            first = coming.pop()
            both = [first, *([self._restart] if first != self._restart and self._chance.random() < 0.3 else [])]
            if self._crowd.stop.is_set():
                return
            self.now = " and ".join(one.__name__.strip("_").replace("_", " ") for one in both)
            self.happened.update(one.__name__.strip("_").replace("_", " ") for one in both)
            await asyncio.gather(*(one(self._chance.choice(self._site.faulty)) for one in both))
            self.now = ""

    async def _wait(self, least, most):
        await pause(self._crowd.stop, self._chance.uniform(least, most))

    # Of a scanner.

    async def _restart(self, scanner):
        """It forgets everything, and counts its JobIds from 1 again."""
        await scanner.control(f"reboot?seconds={self._chance.choice((0, 0.5, 3))}")
        await self._wait(1.0, 5.0)

    async def _refuse(self, scanner):
        scanner.tap.refuse()
        await self._wait(1.0, 8.0)
        await scanner.tap.heal()

    async def _hang(self, scanner):
        scanner.tap.hang()
        await self._wait(1.0, 15.0)
        await scanner.tap.heal()

    async def _break_image(self, scanner):
        await scanner.control("break-image")
        await self._wait(1.0, 5.0)

    async def _cut(self, scanner):
        for _ in range(self._chance.randrange(1, 6)):
            scanner.tap.cut()
            await self._wait(0.0, 1.0)

    async def _slow(self, scanner):
        await scanner.control("slow?seconds=2")
        await self._wait(2.0, 8.0)
        await scanner.control("clear")

    # Of the gateway and its machine.

    async def _reload(self, scanner):
        """SIGHUP, with other bounds, and a scanner more or less."""
        site = self._site
        site.has_extra, site.settings = not site.has_extra, self._chance.choice((20.0, 30.0))
        site.reload()
        await self._wait(0.5, 2.0)

    async def _descriptors(self, scanner):
        """None is left: no new connection, either way. What is open goes on."""
        pid = self._site.gateway.pid
        former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self._crowd.excuse("device")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (TIGHT, former[1]))
        await self._wait(1.0, 5.0)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, former)
        self._crowd.excuse("device", AFTERWARDS)

    async def _full_disk(self, scanner):
        """Of the store and the exchange log: subscribing may fail, nothing else."""
        filler = self._site.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            end = time.monotonic() + self._chance.uniform(2.0, 8.0)
            while time.monotonic() < end and not self._crowd.stop.is_set():
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    await asyncio.sleep(0.2)  # and take what has become free meanwhile
        os.unlink(filler)

    async def _set_clock(self, scanner):
        """The gateway's: a day forwards or backwards, and back some time later."""
        self._site.set_clock(self._chance.choice((DAY, -DAY)))
        await self._wait(3.0, 8.0)
        self._site.set_clock(0)
        await self._wait(1.0, 2.0)
