"""An hour of everything at once: clients, scanners that fail, a machine that runs out of things; and the promises hold.

    python tests/soak/soak.py [--minutes 60] [--seed N]

Starts the gateway and four virtual scanners as processes; a thousand clients idle, a hundred work, some are slow, and
faults come from the seed. Every answer is held against the promises of the job table (`promises`); two clients of a
healthy scanner must never be failed by the others' trouble. A line every ten seconds, a summary, and exit status 1 with
the evidence if anything was not as promised. As root, with `faketime` installed, every kind of fault can be had.
"""

import argparse
import asyncio
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from crowd import KINDS, Crowd  # noqa: E402
from faults import Faults  # noqa: E402
from lag import Lag, waited  # noqa: E402
from premises import POLL_INTERVAL, Site, level  # noqa: E402
from promises import Ledger, RateLimit  # noqa: E402

LINE_SECONDS = 10.0
MIB = 1 << 20
WARM_UP = 1 / 5  # of the time; then the first measurements are taken
WINDOW = 1 / 5
MEMORY_SHARE, MEMORY_MIB = 0.10, 8.0  # more than at first may be in use in the end: this share, and so much
DESCRIPTORS_SHARE, DESCRIPTORS = 0.05, 30
LOG_LINES = 400  # of the gateway's log, where something was not as promised
LEFT_OPEN = 16  # descriptors more than before the first client came, once the last has gone
GONE_SECONDS = 30.0
KEPT_SECONDS = 300.0  # jobs that ended before that are not held against anything any more
# What a full disk and exhausted descriptors may say in the gateway's log; any other traceback is a mistake. Twisted
# keeps a descriptor of /dev/null in reserve for accept(), and logs that it could not open it again.
EXPECTED = (*(f"sqlite3.OperationalError: {why}" for why in (
    "database or disk is full", "unable to open database file", "disk I/O error")),
    "builtins.OSError: [Errno 24] Too many open files: '/dev/null'")


class Watch:
    """Memory and descriptors of the gateway over the time, and whether they stay as they were."""

    def __init__(self, site, seconds):
        self._site, self._seconds, self._began = site, seconds, time.monotonic()
        self.base = site.descriptors()
        self._samples = []

    def look(self):
        """Measure once: MiB, descriptors."""
        sample = self._site.memory() / MIB, self._site.descriptors()
        self._samples.append((time.monotonic() - self._began, *sample))
        return sample

    def _window(self, start, column):
        return level([one[column] for one in self._samples
                      if start <= one[0] / self._seconds < start + WINDOW])

    def compare(self):
        """Before and after, for memory and for descriptors; each with whether it is flat."""
        for column, what, share, more in ((1, "MiB of memory", MEMORY_SHARE, MEMORY_MIB),
                                          (2, "descriptors", DESCRIPTORS_SHARE, DESCRIPTORS)):
            first, last = self._window(WARM_UP, column), self._window(1 - WINDOW, column)
            yield what, first, last, last <= first * (1 + share) + more


def tracebacks(said):
    """The last lines of the tracebacks in a log that no fault explains."""
    lasts = [re.split(r"\n(?=\d{4}-\d\d-\d\dT)", part, maxsplit=1)[0].strip().rpartition("\n")[2].strip()
             for part in said.split("Traceback (most recent call last):")[1:]]
    return [last for last in lasts if not last.startswith(EXPECTED)]


async def soak(site, minutes, seed, idle):
    """The whole of it; what is not as promised, in words."""
    seconds = minutes * 60
    await site.start()
    ledger = Ledger()
    lag = Lag(lambda: waited(site.gateway.pid))
    measuring = asyncio.create_task(lag.run())
    pace = site.scanners["cellar"].tap.rate_limit = RateLimit(ledger, POLL_INTERVAL, lag)
    watch = Watch(site, seconds)
    crowd = Crowd(site, ledger, seed, lag)
    await crowd.start(idle)
    faults = Faults(site, crowd, seed)
    failing = asyncio.create_task(faults.run())
    began, told = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds and site.gateway.poll() is None and not failing.done():
        await asyncio.sleep(min(LINE_SECONDS, seconds - passed))
        if site.gateway.poll() is not None:
            break
        memory, descriptors = watch.look()
        ledger.prune(KEPT_SECONDS)
        done, found = crowd.done, [*ledger.broken, *crowd.failures]
        print(f"{time.monotonic() - began:6.0f} s  {memory:6.1f} MiB  {descriptors:5} files  {crowd.idle:5} idle  "
              f"{done['status reads']:7} reads  {done['jobs']:5} jobs  {done['events']:6} events  "
              f"{sum(faults.happened.values()):4} faults  {len(found)} wrong  {faults.now}", *found[told:],
              sep="\n    ", flush=True)
        told = len(found)
    wrong = [*ledger.broken, *crowd.failures]
    if site.gateway.poll() is not None:
        return [*wrong, f"the gateway has ended: {site.said()[-2000:]}"]
    crowd.stop.set()
    measuring.cancel()
    await asyncio.gather(failing, measuring, return_exceptions=True)
    await crowd.leave()
    if failing.exception() is not None:
        wrong.append(f"the soak's own faults ended: {failing.exception()!r}")
    wrong += await recovered(site, watch)
    took = await site.stop()
    wrong += [f"a traceback in the gateway's log: {line}" for line in tracebacks(site.said())]
    for what, first, last, flat in watch.compare():
        said = f"{what}: {first:.1f} after the warm-up, {last:.1f} in the end"
        print(said)
        if not flat:
            wrong.append(f"not flat: {said}")
    print(f"ended within {took:.1f} s; held against the promises: {ledger.checked} statuses read, {ledger.events} by "
          f"event; scanner without events asked for a status {pace.requests} times, {pace.unjudged} of them not judged")
    for title, counted in (("clients", crowd.done), ("faults", faults.happened)):
        print(f"{title}: " + ", ".join(f"{count} {what}" for what, count in sorted(counted.items())))
    return wrong


async def recovered(site, watch):
    """When everybody has gone, and nothing fails any more: every scanner is asked once, and nothing is left open."""
    wrong, crowd = [], Crowd(site, Ledger(), 0)
    for scanner in site.faulty:
        await scanner.control("clear")
        await scanner.tap.heal()
    for name in site.scanners:
        if not await crowd.works(name, GONE_SECONDS):
            wrong.append(f"{name} is not served any more after the faults")
    end = time.monotonic() + GONE_SECONDS
    while (left := site.descriptors()) > watch.base + LEFT_OPEN and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    print(f"descriptors: {watch.base} before the first client, {left} after the last")
    if left > watch.base + LEFT_OPEN:
        wrong.append(f"{left} descriptors are open after the last client, {watch.base} were before the first")
    return wrong


def main():
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--seed", default=str(time.time_ns()), help="makes the same clients do the same things")
    options.add_argument("--idle", type=int, default=1000, help="clients that only keep a connection open")
    options.add_argument("--no-clock", action="store_true", help="never set the clock: libfaketime costs time")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its time"))
    print(f"seed {chosen.seed}; {chosen.idle} clients idle, {sum(KINDS.values())} work, for {chosen.minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        site = Site(Path(folder), sets_clock=not chosen.no_clock)
        try:
            wrong = asyncio.run(soak(site, chosen.minutes, chosen.seed, chosen.idle))
        finally:
            site.end()
        if wrong:
            print("the end of the gateway's log:", *site.said().splitlines()[-LOG_LINES:], sep="\n    ")
    for line in (*site.remarks, *wrong):
        print(line)
    print("everything was as promised" if not wrong else f"{len(wrong)} things were not as promised")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
