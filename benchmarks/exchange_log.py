"""The cost of the exchange log and of captures for status reads."""

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
from status_reads import processor_time_per_read
from table import Line, Target, interleaved, ratios

RATE = 2000
SETTLING_SECONDS = 10
KINDS = {"log": '[exchange_log]\npath = "x.jsonl"\n', "off": "",
         "captures": '[exchange_log]\npath = "x.jsonl"\ncapture = "captures"\ncapture_size = 100000000\n',
         "off again": ""}


def _settled(pid: int, measure: Callable[[], float]) -> float:
    """Measures, then waits until the process has written its log, so that the next program has the core alone."""
    found = measure()
    end, used = time.monotonic() + SETTLING_SECONDS, processor_time(pid)
    while time.monotonic() < end:
        time.sleep(0.2)
        before, used = used, processor_time(pid)
        if used - before < 0.01:
            break
    return found


def _measure(work: str, rounds: int, value: Callable[[int, int], float]) -> tuple[dict[str, list[float]], float]:
    """Measures a value of each kind of gateway, given its port and process id. Returns also the part of the lines that
    the exchange log dropped.
    """
    device = free_port()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        stack.enter_context(nginx(folder / "device", answering(device, JOB_STATUS), device, LOAD_CORE))
        programs, admins = {}, {}
        for kind, more in KINDS.items():
            port, admins[kind] = free_port(), free_port()
            server = stack.enter_context(gateway(
                folder / kind.replace(" ", "-"), port, f"http://127.0.0.1:{device}/scan", more, 'events = "off"',
                admin=admins[kind]))
            programs[kind] = lambda port=port, pid=server.pid: _settled(pid, lambda: value(port, pid))
        interleaved(f"{work} (warming up)", 1, programs)
        found = interleaved(work, rounds, programs)
        dropped, written = (metric(admins["log"], "wsdgateway_exchange_log_lines_total", outcome=outcome)
                            for outcome in ("dropped", "written"))
    return found, dropped / (dropped + written)


def _lines(work: str, unit: str, found: dict[str, list[float]], target: Target | None) -> list[Line]:
    noise = ratios(found["off again"], found["off"])
    return [Line(f"exchange log on, {work}", "load's core", unit, found["log"], "off", found["off"], noise, target),
            Line(f"captures on, {work}", "load's core", unit, found["captures"], "off", found["off"], noise)]


def full_speed(rounds: int, seconds: int) -> list[Line]:
    """Status reads as fast as possible."""
    found, dropped = _measure("exchange log", rounds, lambda port, pid: wrk(
        f"http://127.0.0.1:{port}/front-desk/scan", GET_JOB_ELEMENTS, seconds=seconds))
    return [*_lines("status reads, keep-alive", "/s", found, Target("≥", 0.95)),
            Line("exchange log on, status reads, keep-alive: dropped lines", "load's core", "%", [100 * dropped])]


def paced(rounds: int, seconds: int) -> list[Line]:
    """Status reads at a fixed rate: the processor time for each."""
    def microseconds(port: int, pid: int) -> float:
        return processor_time_per_read(port, Load(seconds, rate=RATE), pid)

    found, _ = _measure(f"exchange log at {RATE}/s", rounds, microseconds)
    return _lines(f"status reads, {RATE:,}/s", "µs of processor time", found, None)
