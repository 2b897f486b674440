"""Runs a gateway for an hour with many clients and faults, and checks the guarantees of the job table.

    python tests/soak/soak.py [--minutes 60] [--seed N]

Starts the gateway and four virtual scanners as processes. A thousand clients are idle, a hundred are active, some are
slow, and the seed determines the faults of scanners, network and machine. `checks` compares every answer with the
guarantees of the job table; requests to a healthy scanner must never fail because of the other scanners' faults. Prints
a line every ten seconds and a summary. If a guarantee was broken, it prints the evidence and the exit status is 1. Some
faults need root, and `faketime`.
"""

import argparse
import asyncio
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from checks import RateChecker, StatusChecker  # noqa: E402
from clients import KINDS, Clients  # noqa: E402
from faults import Faults  # noqa: E402
from lag import Lag, waited  # noqa: E402
from testbed import POLL_INTERVAL, Testbed, level  # noqa: E402

LINE_SECONDS = 10.0
MIB = 1 << 20
WARM_UP = 1 / 5  # share of the time before the first measurements
WINDOW = 1 / 5
MEMORY_SHARE, MEMORY_MIB = 0.10, 8.0  # permitted growth: this share, and so much more
DESCRIPTORS_SHARE, DESCRIPTORS = 0.05, 30
LOG_LINES = 400  # lines of the gateway's log that are printed after a failure
LEFT_OPEN = 16  # permitted number of descriptors above the one before the first client, after the last one
GONE_SECONDS = 30.0
KEPT_SECONDS = 300.0  # jobs that ended earlier are not checked any more
# Errors that a full disk and exhausted descriptors may log; any other traceback is a bug. Twisted keeps a descriptor of
# /dev/null in reserve for accept(), and logs that it could not open it again.
EXPECTED = (*(f"sqlite3.OperationalError: {why}" for why in (
    "database or disk is full", "unable to open database file", "disk I/O error")),
    "builtins.OSError: [Errno 24] Too many open files: '/dev/null'")


class Watch:
    """Measures memory and descriptors of the gateway over time, and checks that they do not grow."""

    def __init__(self, testbed, seconds):
        self._testbed, self._seconds, self._began = testbed, seconds, time.monotonic()
        self.base = testbed.descriptors()
        self._samples = []

    def measure(self):
        """Takes a sample: MiB, descriptors."""
        sample = self._testbed.memory() / MIB, self._testbed.descriptors()
        self._samples.append((time.monotonic() - self._began, *sample))
        return sample

    def _window(self, start, column):
        return level([one[column] for one in self._samples
                      if start <= one[0] / self._seconds < start + WINDOW])

    def compare(self):
        """Yields the first and the last level of memory and of descriptors, and whether it is flat."""
        for column, what, share, more in ((1, "MiB of memory", MEMORY_SHARE, MEMORY_MIB),
                                          (2, "descriptors", DESCRIPTORS_SHARE, DESCRIPTORS)):
            first, last = self._window(WARM_UP, column), self._window(1 - WINDOW, column)
            yield what, first, last, last <= first * (1 + share) + more


def tracebacks(said):
    """Returns the last lines of the tracebacks in a log that the faults do not explain."""
    lasts = [re.split(r"\n(?=\d{4}-\d\d-\d\dT)", part, maxsplit=1)[0].strip().rpartition("\n")[2].strip()
             for part in said.split("Traceback (most recent call last):")[1:]]
    return [last for last in lasts if not last.startswith(EXPECTED)]


async def soak(testbed, minutes, seed, idle):
    """Runs the soak and returns the failures as texts."""
    seconds = minutes * 60
    await testbed.start()
    checker = StatusChecker()
    lag = Lag(lambda: waited(testbed.gateway.pid))
    measuring = asyncio.create_task(lag.run())
    rate = testbed.scanners["cellar"].proxy.rate_checker = RateChecker(checker, POLL_INTERVAL, lag)
    watch = Watch(testbed, seconds)
    clients = Clients(testbed, checker, seed, lag)
    await clients.start(idle)
    faults = Faults(testbed, clients, seed)
    failing = asyncio.create_task(faults.run())
    began, reported = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds and testbed.gateway.poll() is None and not failing.done():
        await asyncio.sleep(min(LINE_SECONDS, seconds - passed))
        if testbed.gateway.poll() is not None:
            break
        memory, descriptors = watch.measure()
        checker.prune(KEPT_SECONDS)
        done, found = clients.done, [*checker.violations, *clients.failures]
        print(f"{time.monotonic() - began:6.0f} s  {memory:6.1f} MiB  {descriptors:5} files  {clients.idle:5} idle  "
              f"{done['status reads']:7} reads  {done['jobs']:5} jobs  {done['events']:6} events  "
              f"{sum(faults.happened.values()):4} faults  {len(found)} wrong  {faults.now}", *found[reported:],
              sep="\n    ", flush=True)
        reported = len(found)
    wrong = [*checker.violations, *clients.failures]
    if testbed.gateway.poll() is not None:
        return [*wrong, f"the gateway has ended: {testbed.said()[-2000:]}"]
    clients.stop.set()
    measuring.cancel()
    await asyncio.gather(failing, measuring, return_exceptions=True)
    await clients.leave()
    if failing.exception() is not None:
        wrong.append(f"the soak's own faults ended: {failing.exception()!r}")
    wrong += await recovered(testbed, watch)
    took = await testbed.stop()
    wrong += [f"a traceback in the gateway's log: {line}" for line in tracebacks(testbed.said())]
    for what, first, last, flat in watch.compare():
        said = f"{what}: {first:.1f} after the warm-up, {last:.1f} in the end"
        print(said)
        if not flat:
            wrong.append(f"not flat: {said}")
    print(f"ended within {took:.1f} s; checked against the promises: {checker.checked} statuses read, {checker.events} "
          f"by event; scanner without events asked for a status {rate.requests} times, {rate.not_comparable} of them "
          "not judged")
    for title, counted in (("clients", clients.done), ("faults", faults.happened)):
        print(f"{title}: " + ", ".join(f"{count} {what}" for what, count in sorted(counted.items())))
    return wrong


async def recovered(testbed, watch):
    """Checks that every scanner works after the faults, and that no descriptors stay open after the last client."""
    wrong, clients = [], Clients(testbed, StatusChecker(), 0)
    for scanner in testbed.faulty:
        await scanner.control("clear")
        await scanner.proxy.restore()
    for name in testbed.scanners:
        if not await clients.works(name, GONE_SECONDS):
            wrong.append(f"{name} is not served any more after the faults")
    end = time.monotonic() + GONE_SECONDS
    while (left := testbed.descriptors()) > watch.base + LEFT_OPEN and time.monotonic() < end:  # noqa: ASYNC110
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
        testbed = Testbed(Path(folder), sets_clock=not chosen.no_clock)
        try:
            wrong = asyncio.run(soak(testbed, chosen.minutes, chosen.seed, chosen.idle))
        finally:
            testbed.end()
        if wrong:
            print("the end of the gateway's log:", *testbed.said().splitlines()[-LOG_LINES:], sep="\n    ")
    for line in (*testbed.remarks, *wrong):
        print(line)
    print("everything was as promised" if not wrong else f"{len(wrong)} things were not as promised")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
