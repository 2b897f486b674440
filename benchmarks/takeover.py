"""Takeovers between two gateways on one Redis: how long clients wait, and what the scanner notices.

The gateway that owns the scanner is killed, or ended by SIGTERM, and started again, fifty times each. Meanwhile a
client reads a job's status at the other gateway without a pause, and the address at which the scanner notifies the
gateways moves to that one at the same moment. "Without an answer" is the longest time between two answers to that
client, from the signal on.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from table import Line, Target, show

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.clients import Creation
from tests.cluster.lab import Lab, until

ROUNDS = 50
SETTLED_SECONDS = 1.0  # of answers after the new owner is known: the longest wait is over
SUBSCRIPTION = ("Renew", "Subscribe", "Unsubscribe")


def take_over(lab: Any, job_id: str, end: Callable[[Any], None]) -> dict[str, float]:
    """Ends the owner, waits for the other gateway, and starts the first one again. Returns what was measured."""
    owner = lab.owner
    [other] = lab.others(owner)
    lab.address.holder = owner
    stop, answered = threading.Event(), [time.monotonic()]

    def read_and_read() -> None:
        client = lab.client()
        while not stop.is_set():
            entry = client.read(other.name, job_id)
            if entry.is_good:
                answered.append(entry.end)

    reader = threading.Thread(target=read_and_read, daemon=True)
    reader.start()
    until(lambda: len(answered) > 20)
    before = time.monotonic()
    lab.address.holder = other
    end(owner)
    until(lambda: other.is_owner, pause=0.1)
    until(lambda: answered[-1] > before)
    time.sleep(SETTLED_SECONDS)
    stop.set()
    reader.join()
    asked = [one for one in lab.history().asked if one.begin > before]
    ends = [before, *(moment for moment in answered if moment > before)]
    first = [one.begin for one in asked if one.gateway == other.name]
    found = {"wait": max(later - earlier for earlier, later in pairwise(ends)),
             "silence": min(first) - before if first else float("nan"),
             **{name: float(sum(one.operation == name for one in asked)) for name in SUBSCRIPTION}}
    owner.start()
    until(lambda: owner.metric("wsdgateway_cluster_scanners", state="following") == 1)
    return found


def measure(what: str, rounds: int, end: Callable[[Any], None]) -> dict[str, list[float]]:
    """Makes the takeovers of one kind. Returns the values of each figure."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            lab.start()
            until(lambda: lab.owner)
            client, name = lab.client(), lab.gateways[0].name
            job, entry = client.create(name, Creation.new())
            if job is None or not client.retrieve(name, job)[1].is_good:
                raise SystemExit(f"no scan: {entry}")
            for number in range(rounds):
                values = take_over(lab, job.job_id, end)
                for figure, value in values.items():
                    found.setdefault(figure, []).append(value)
                print(f"{what}, round {number + 1} of {rounds}: "
                      + ", ".join(f"{figure} {value:.2f}" for figure, value in values.items()), file=sys.stderr)
        finally:
            lab.end()
    return found


def lines(what: str, found: dict[str, list[float]], seconds: float) -> list[Line]:
    """Returns the lines of one kind of takeover; `seconds` is the target of the wait."""
    return [
        Line(f"{what}: without an answer", "", "s", found["wait"], target=Target("≤", seconds, each=True, unit="s")),
        Line(f"{what}: until the scanner hears of the new owner", "", "s", found["silence"],
             target=Target("≤", 5.0, each=True, unit="s")),
        Line(f"{what}: Renew at the scanner", "", "requests", found["Renew"],
             target=Target("≤", 1, each=True, unit="requests")),
        *(Line(f"{what}: {name} at the scanner", "", "requests", found[name],
               target=Target("≤", 0, each=True, unit="requests")) for name in ("Subscribe", "Unsubscribe"))]


def main() -> None:
    """Measures takeovers, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"takeovers of each kind ({ROUNDS})")
    rounds = parser.parse_args().rounds
    show([*lines("kill -9", measure("kill -9", rounds, lambda one: one.kill()), 5.5),
          *lines("SIGTERM", measure("SIGTERM", rounds, lambda one: one.terminate()), 0.3)])


if __name__ == "__main__":
    main()
