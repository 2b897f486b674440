"""Status reads at a gateway that does not own the scanner, beside the same at the one that owns it.

Two gateways on one redis-server, which the benchmark starts. Reads at a fixed rate give the time of an answer, reads as
fast as possible the CPU time of each gateway's process for one read. Both programs share a core; the load has another
one. Rounds alternate between the two gateways, so that ratios and differences hold also on a machine with other work::

    venv/bin/python benchmarks/cluster.py --rounds 5
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.request import urlopen

import client
from client import Load
from peers import (
    GET_JOB_ELEMENTS,
    JOB_STATUS,
    LOAD_CORE,
    answering,
    free_port,
    gateway,
    metric,
    nginx,
    processor_time,
    wrk,
)

RATE = 300.0  # reads a second, so that none waits for another
TARGET = 0.4  # ms that the median of a passed read may take more
OWNED = "front-desk: owned"


@contextlib.contextmanager
def redis(socket: Path) -> Iterator[None]:
    """Runs a Redis server without persistence."""
    with Popen(["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"],
               stdout=PIPE) as server:
        try:
            while not socket.exists():
                time.sleep(0.05)
            yield
        finally:
            server.terminate()


def owns(admin: int) -> bool:
    """Returns whether a gateway owns the scanner; raises `SystemExit` if it does not say so."""
    with urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=30) as answer:
        text = answer.read().decode()
    if "front-desk:" not in text:
        raise SystemExit(f"the gateway does not say whether it owns the scanner: {text}")
    return OWNED in text


def percentiles(port: int, seconds: float) -> tuple[float, float]:
    """The median and the 99th percentile of reads at a fixed rate, in milliseconds."""
    found = client.run(port, Load(seconds=seconds, rate=RATE))
    return found.percentile(0.5), found.percentile(0.99)


def measure(rounds: int, seconds: int) -> None:
    """Measures both gateways, and prints the table."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder, device = Path(temporary), free_port()
        stack.enter_context(nginx(folder / "device", answering(device, JOB_STATUS), device, LOAD_CORE))
        stack.enter_context(redis(folder / "redis.sock"))
        servers = []
        for name in ("one", "two"):
            port, peer, admin = (free_port() for _ in range(3))
            more = f'[cluster]\nname = "{name}"\nendpoint = "tcp:{peer}:interface=127.0.0.1"\n'
            process = stack.enter_context(gateway(
                folder / name, port, f"http://127.0.0.1:{device}/scan", more, 'events = "off"', admin=admin,
                state=f"redis+unix://{folder / 'redis.sock'}"))
            servers.append((process, port, admin))
            wrk(f"http://127.0.0.1:{port}/front-desk/scan", GET_JOB_ELEMENTS, seconds=1)
        owner, other = sorted(servers, key=lambda one: not owns(one[2]))
        if owns(other[2]) or not owns(owner[2]):
            raise SystemExit("not one of the gateways owns the scanner")
        medians, tails, rates, busy = ({"owned": [], "passed": []} for _ in range(4))
        for _ in range(rounds):
            for what, (_, port, _) in (("owned", owner), ("passed", other)):
                median, tail = percentiles(port, seconds)
                medians[what].append(median)
                tails[what].append(tail)
                before = [processor_time(process.pid) for process, _, _ in servers]
                rate = wrk(f"http://127.0.0.1:{port}/front-desk/scan", GET_JOB_ELEMENTS, seconds=seconds)
                spent = sum(processor_time(one.pid) - former
                            for (one, _, _), former in zip(servers, before, strict=True))
                rates[what].append(rate)
                busy[what].append(spent / (rate * seconds) * 1e6)
        passed = metric(other[2], "wsdgateway_passed_total", outcome="ok")
        if not passed or metric(other[2], "wsdgateway_passed_total", outcome="error"):
            raise SystemExit("reads were not passed, or failed")

    def shown(values: dict[str, list[float]], what: str, digits: int) -> str:
        return f"{statistics.median(values[what]):.{digits}f}"

    print("| status read at the | p50, ms | p99, ms | /s | CPU of all gateways per read, µs |")
    print("|---|---|---|---|---|")
    for what, label in (("owned", "owner"), ("passed", "other gateway")):
        print(f"| {label} | {shown(medians, what, 3)} | {shown(tails, what, 3)} | {shown(rates, what, 0)} "
              f"| {shown(busy, what, 1)} |")
    more = statistics.median(passed - owned for owned, passed in zip(medians["owned"], medians["passed"], strict=True))
    print(f"\nA passed read takes {more:.3f} ms more in the median of {rounds} rounds; target ≤ {TARGET} ms: "
          f"{'met' if more <= TARGET else 'missed'}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    given = parser.parse_args()
    measure(given.rounds, given.seconds)
