"""Status reads with two gateways on one Redis: at the gateway that owns the scanner, and passed on by the other one.

The owner is measured beside a single gateway with its state in memory, also while Redis is stopped (SIGSTOP). All
gateways run on the first core, Redis, device and load on the second.
"""

import argparse
import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
    running,
    wrk,
)
from status_reads import processor_time_per_read
from table import WARM_UP_SECONDS, Line, Target, interleaved, ratios, show

RATE, CONNECTIONS = 500.0, 8
OWNER_SECONDS = 30.0
NO_EVENTS = 'events = "off"'


@dataclass(frozen=True)
class Programs:
    """The ports of the gateways, the admin port of the one that passes reads on, process ids by port, and Redis."""

    owner: int
    other: int
    other_admin: int
    single: int
    again: int
    pids: dict[int, int]
    redis: subprocess.Popen[bytes]


@contextlib.contextmanager
def gateways() -> Iterator[Programs]:
    """Runs two gateways on one Redis, and two alike without others."""
    device, redis = free_port(), free_port()
    ports, admins = [free_port() for _ in range(4)], [free_port(), free_port()]
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder, scan = Path(temporary), f"http://127.0.0.1:{device}/scan"
        stack.enter_context(nginx(folder / "device", answering(device, JOB_STATUS), device, LOAD_CORE))
        server = stack.enter_context(running(
            ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", temporary], redis,
            LOAD_CORE))
        stack.callback(server.send_signal, signal.SIGCONT)
        pids = {}
        for number in range(2):
            pids[ports[number]] = stack.enter_context(gateway(
                folder / str(number), ports[number], scan,
                f'[cluster]\nname = "gw-{number}"\nendpoint = "tcp:{free_port()}:interface=127.0.0.1"\n', NO_EVENTS,
                admin=admins[number], state=f"redis://127.0.0.1:{redis}/0")).pid
        for number in range(2, 4):
            pids[ports[number]] = stack.enter_context(
                gateway(folder / str(number), ports[number], scan, scanner=NO_EVENTS)).pid
        owner = _owner(admins)
        yield Programs(ports[owner], ports[1 - owner], admins[1 - owner], ports[2], ports[3], pids, server)


def _owner(admins: list[int]) -> int:
    """Returns the number of the gateway that owns the scanner."""
    end = time.monotonic() + OWNER_SECONDS
    while time.monotonic() < end:
        for number, admin in enumerate(admins):
            if metric(admin, "wsdgateway_cluster_scanners", state="owning") == 1:
                return number
        time.sleep(0.1)
    raise SystemExit("no gateway owns the scanner")


def throughput(programs: Programs, rounds: int, seconds: int) -> list[Line]:
    """As many status reads as possible, on connections that stay open."""
    def read(port: int, seconds: int = seconds) -> float:
        return wrk(f"http://127.0.0.1:{port}/front-desk/scan", GET_JOB_ELEMENTS, seconds=seconds)

    def read_without_redis() -> float:
        programs.redis.send_signal(signal.SIGSTOP)
        try:
            return read(programs.owner)
        finally:
            programs.redis.send_signal(signal.SIGCONT)

    measured: dict[str, Callable[[], float]] = {
        "owner": lambda: read(programs.owner), "single": lambda: read(programs.single),
        "single again": lambda: read(programs.again), "passed on": lambda: read(programs.other),
        "owner, Redis stopped": read_without_redis}
    for port in (programs.owner, programs.other, programs.single, programs.again):
        read(port, WARM_UP_SECONDS)
    found = interleaved("status reads", rounds, measured)
    noise = ratios(found["single again"], found["single"])
    return [
        Line("status reads at the owner", "load's core", "/s", found["owner"], "single gateway", found["single"], noise,
             Target("≥", 0.98)),
        Line("status reads at the owner, Redis stopped", "load's core", "/s", found["owner, Redis stopped"],
             "single gateway", found["single"], noise, Target("≥", 0.98)),
        Line("status reads passed on, both gateways on one core", "load's core", "/s", found["passed on"], "owner",
             found["owner"])]


def processor_time(programs: Programs, rounds: int, seconds: int) -> list[Line]:
    """The processor time of the gateways for a status read, which other load on the machine changes least."""
    def read(port: int, *others: int) -> float:
        return processor_time_per_read(port, Load(seconds), *(programs.pids[one] for one in (port, *others)))

    found = interleaved("processor time", rounds, {
        "owner": lambda: read(programs.owner), "single": lambda: read(programs.single),
        "single again": lambda: read(programs.again), "passed on": lambda: read(programs.other, programs.owner)})
    return [
        Line("status reads at the owner", "load's core", "µs of processor time", found["owner"], "single gateway",
             found["single"], ratios(found["single again"], found["single"]), Target("≤", 1.02)),
        Line("status reads passed on, both gateways", "load's core", "µs of processor time", found["passed on"],
             "owner", found["owner"])]


def latency(programs: Programs, rounds: int, seconds: int) -> list[Line]:
    """Status reads at a fixed rate."""
    results: dict[str, list[client.Result]] = {"owner": [], "passed on": [], "owner, Redis stopped": []}

    def read(name: str, port: int) -> float:
        result = client.run(port, Load(seconds, rate=RATE, connections=CONNECTIONS))
        if result.answered != result.sent:
            raise SystemExit(f"{result.answered} of {result.sent} status reads were answered")
        results[name].append(result)
        return result.percentile(0.5)

    def read_without_redis() -> float:
        programs.redis.send_signal(signal.SIGSTOP)
        try:
            return read("owner, Redis stopped", programs.owner)
        finally:
            programs.redis.send_signal(signal.SIGCONT)

    found = interleaved("latency", rounds, {
        "owner": lambda: read("owner", programs.owner), "passed on": lambda: read("passed on", programs.other),
        "owner, Redis stopped": read_without_redis})
    more = [passed - own for passed, own in zip(found["passed on"], found["owner"], strict=True)]
    work = f"status reads, {RATE:,.0f}/s"

    def p99(name: str) -> list[float]:
        return [result.percentile(0.99) for result in results[name]]

    return [
        Line(f"{work}: p50", "load's core", "ms", found["passed on"], "owner", found["owner"]),
        Line(f"{work}: p50 that passing on adds", "load's core", "ms", more, target=Target("≤", 0.4, unit="ms")),
        Line(f"{work}: p99", "load's core", "ms", p99("passed on"), "owner", p99("owner")),
        Line(f"{work}, Redis stopped: p99 at the owner", "load's core", "ms", p99("owner, Redis stopped"), "owner",
             p99("owner"))]


def check_passed(programs: Programs) -> None:
    """Ends the benchmark if no read was passed on, or one in vain."""
    passed = {outcome: metric(programs.other_admin, "wsdgateway_passed_total", outcome=outcome)
              for outcome in ("ok", "error")}
    if not passed["ok"] or passed["error"]:
        raise SystemExit(f"{passed['ok']:g} reads were passed on to the owner, {passed['error']:g} in vain")


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds for each measurement (2)")
    options = parser.parse_args()
    with gateways() as programs:
        lines = [*throughput(programs, options.rounds, options.seconds),
                 *processor_time(programs, options.rounds, options.seconds),
                 *latency(programs, options.rounds, options.seconds)]
        check_passed(programs)
    show(lines)


if __name__ == "__main__":
    main()
