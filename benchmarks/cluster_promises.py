"""Measures the promises of two gateways on one Redis: jobs and events over kills, an idle scanner, and load of Redis.

Kills: the gateway that owns the scanner is killed (SIGKILL) at random moments while a client creates jobs and fetches
their pages, and others subscribe; it is started again, and then the other one is killed. The client sends a
CreateScanJob that broke off, or got a temporary error, up to twice more, at any gateway. Counted are the CreateScanJobs
of each of its requests at the scanner, and the JobEndStateEvents that a subscriber missed.

Idle: the requests that the scanner gets within a time in which nobody asks for anything, with one gateway on SQLite and
with two on Redis. Redis: the scripts that the gateways run meanwhile, and the commands that they send for each event of
the scanner while a client scans.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from table import Line, Target, show

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.checker import missed_ends
from tests.cluster.clients import Creation
from tests.cluster.lab import Lab, until

KILLS = 50
SUBSCRIBERS = 4
IDLE_SECONDS = 130.0
WRITTEN_SECONDS = 2.0  # in which what has been told, and to whom, is written to Redis
SCANS = 30
SENT_AGAIN = 2
UNCERTAIN = ("no answer", "ServerErrorTemporaryError")  # after which a client sends its CreateScanJob again
MOST_WAIT = 3.0  # seconds before a kill
OF_A_JOB = 3  # commands: its intent, its reply, and its record when it is finished; clients on loopback are not counted
JOB_DELAY = 0.2  # seconds that the scanner takes for an answer, so that many kills come while one is awaited


class Scans:
    """A client that creates one job after the other, until `stop` is set, and fetches or cancels them."""

    def __init__(self, lab: Any, chance: random.Random) -> None:
        self._lab, self._chance, self._client = lab, chance, lab.client("127.0.1.1")
        self.stop = threading.Event()
        self.uncertain = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def end(self) -> None:
        """Ends after the job that is running."""
        self.stop.set()
        self._thread.join()

    def _any(self) -> str:
        name: str = self._chance.choice([one.name for one in self._lab.gateways if one.is_running])
        return name

    def _run(self) -> None:
        while not self.stop.is_set():
            creation = Creation.new()
            job, entry = self._client.create(self._any(), creation)
            self.uncertain += entry.fault in UNCERTAIN
            for _ in range(SENT_AGAIN):
                if job is None and entry.fault in UNCERTAIN:
                    time.sleep(self._chance.uniform(0.0, 1.0))
                    job, entry = self._client.create(self._any(), creation)
            if job is None or not self._client.retrieve(self._any(), job)[1].is_good:
                self._free()

    def _free(self) -> None:
        """Cancels the scanner's last job, of which the client may not know; it keeps the scanner busy."""
        made = [one.job_id for one in self._lab.history().asked if one.operation == "CreateScanJob" and one.job_id]
        if made:
            self._client.cancel(self._any(), made[-1])


def tell(history: Any, job_id: str) -> None:
    """Prints what is known of a job."""
    entries = [(one.begin, f"{type(one).__name__} {one.gateway}, until {one.end}: {what}") for one, what in (
        *((one, f"{one.event} {one.status}") for one in history.announcements
          if one.status is not None and one.status.job_id == job_id),
        *((one, f"{one.operation} {list(map(str, one.statuses))}") for one in history.asked
          if one.job_id == job_id or any(status.job_id == job_id for status in one.statuses)),
        *((one, f"{one.operation} {one.fault} {one.status}") for one in history.answers if one.job_id == job_id))]
    print(f"job {job_id}", *(f"{begin:.3f} {what}" for begin, what in sorted(entries)), sep="\n  ", file=sys.stderr)


def kills(folder: Path, number: int, seed: int) -> dict[str, list[float]]:
    """Kills the owner so many times. Returns the figures."""
    chance = random.Random(seed)
    lab = Lab(folder)
    try:
        lab.start()
        until(lambda: lab.owner)
        subscribers = [lab.client(f"127.0.1.{place + 2}") for place in range(SUBSCRIBERS)]
        for place, one in enumerate(subscribers):
            one.subscribe(lab.gateways[place % 2].name, lab.sinks)
        lab.control(f"slow?seconds={JOB_DELAY}", "POST")
        scans = Scans(lab, chance)
        scans.start()
        for count in range(number):
            owner = until(lambda: lab.owner)
            [other] = lab.others(owner)
            lab.address.holder = owner
            time.sleep(chance.uniform(0.0, MOST_WAIT))
            owner.kill()
            lab.address.holder = other
            until(lambda other=other: other.is_owner, pause=0.1)
            owner.start()
            until(lambda owner=owner: owner.metric("wsdgateway_cluster_scanners", state="following") == 1)
            print(f"kill {count + 1} of {number}: {scans.uncertain} CreateScanJobs broken off so far", file=sys.stderr)
        lab.control("clear", "POST")
        scans.end()
        with contextlib.suppress(AssertionError):
            until(lambda: not missed_ends(lab.history()))
        history = lab.history()
        missed = missed_ends(history)
        for _, job_id in missed:
            tell(history, job_id)
        sent = Counter(one.request for one in history.asked if one.operation == "CreateScanJob")
        ends = len({one.status.job_id for one in history.deliveries if one.event == "JobEndStateEvent"})
        return {"kills": [number], "uncertain": [scans.uncertain], "missed": [len(missed)], "ends": [ends],
                "sent": [float(count) for count in sent.values()]}
    finally:
        lab.end()


class Commands:
    """The commands that a Redis server gets from its clients, until `end`; those within scripts do not count."""

    def __init__(self, server: Any) -> None:
        self.seen: list[str] = []
        self._is_over = False
        self._server, self._connection = server, server.connect()
        self._monitor = self._connection.monitor()
        self._monitor.__enter__()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._is_over:
            found = self._monitor.next_command()
            if found["client_type"] != "lua":
                self.seen.append(found["command"].partition(" ")[0].upper())

    def end(self) -> Counter[str]:
        """Returns the number of each command."""
        self._is_over = True
        self._server.command("ECHO", "end")  # has the monitor look
        self._thread.join()
        self._connection.close()
        return Counter(self.seen) - Counter({"ECHO": 1, "HELLO": 1, "CLIENT": 2})


def scripts_of(commands: Counter[str]) -> int:
    """Returns the number of scripts among the commands."""
    return sum(commands[name] for name in ("EVAL", "EVALSHA", "FCALL"))


def idle(folder: Path, state: str, gateways: int) -> tuple[float, float, float]:
    """Returns what happens while nobody asks for anything.

    That are the requests at the scanner, and the scripts and commands at Redis a second and gateway.
    """
    lab = Lab(folder, gateways=gateways, state=state)
    try:
        lab.start()
        until(lambda: lab.owner)
        client = lab.client()
        client.subscribe(lab.gateways[-1].name, lab.sinks)
        job, _ = client.create(lab.gateways[0].name, Creation.new())
        client.retrieve(lab.gateways[-1].name, job)
        until(lambda: not missed_ends(lab.history()))
        until(lambda: lab.history().announcements[-1].event == "ScannerStatusSummaryEvent")
        for one in lab.gateways:  # whoever reads metrics has the scanner asked for its status once more
            one.metric("wsdgateway_requests_total")
        time.sleep(WRITTEN_SECONDS)
        commands = Commands(lab.redis) if lab.redis else None
        began = time.monotonic()
        time.sleep(IDLE_SECONDS)
        share = (time.monotonic() - began) * gateways
        sent = commands.end() if commands else Counter()
        asked = float(sum(one.begin > began for one in lab.history().asked))
        return asked, scripts_of(sent) / share, sent.total() / share
    finally:
        lab.end()


def per_event(folder: Path, idle_rate: float) -> tuple[float, float]:
    """Returns the commands for each event of the scanner while a client scans, without those of an idle gateway.

    The first figure includes those of the job itself: its intent, its reply, and its record when it is finished.
    """
    lab = Lab(folder)
    try:
        lab.start()
        until(lambda: lab.owner)
        for place in range(SUBSCRIBERS):
            lab.client(f"127.0.1.{place + 2}").subscribe(lab.gateways[place % 2].name, lab.sinks)
        client, names = lab.client("127.0.1.1"), [one.name for one in lab.gateways]
        commands, began, first = Commands(lab.redis), time.monotonic(), len(lab.history().announcements)
        for number in range(SCANS):
            job, entry = client.create(names[number % 2], Creation.new())
            if job is None or not client.retrieve(names[number % 2], job)[1].is_good:
                raise SystemExit(f"no scan: {entry}")
            until(lambda: not missed_ends(lab.history()))
        sent = commands.end().total() - idle_rate * (time.monotonic() - began) * len(names)
        events = len(lab.history().announcements) - first
        return sent / events, (sent - OF_A_JOB * SCANS) / events
    finally:
        lab.end()


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=KILLS, help=f"kills of the owner ({KILLS})")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills (1)")
    wanted = parser.parse_args()

    def folder(name: str) -> Path:
        made = Path(temporary, name)
        made.mkdir()
        return made

    with tempfile.TemporaryDirectory() as temporary:
        alone, _, _ = idle(folder("one"), "sqlite:gateway.sqlite", 1)
        asked, scripts, commands = idle(folder("two"), "redis", 2)
        both, events = per_event(folder("events"), commands)
        found = kills(folder("kills"), wanted.kills, wanted.seed)
    over, broken_off = f"over {wanted.kills} kills", int(found["uncertain"][0])
    show([
        Line(f"JobEndStateEvents that {SUBSCRIBERS} subscribers missed {over}, of {int(found['ends'][0])} jobs", "",
             "events", found["missed"], target=Target("≤", 0, unit="events")),
        Line(f"CreateScanJobs at the scanner for each of {len(found['sent'])} requests of a client {over}, "
             f"{broken_off} of them broken off", "", "requests", found["sent"],
             target=Target("≤", 1, each=True, unit="requests")),
        Line(f"requests at an idle scanner in {IDLE_SECONDS:g} s, two gateways beside one", "", "requests", [asked],
             target=Target("≤", alone, unit="requests")),
        Line("Redis: scripts of an idle gateway", "", "1/s", [scripts], target=Target("≤", 1.05, unit="1/s")),
        Line("Redis: commands for each event, those of the job included", "", "commands", [both]),
        Line("Redis: commands for each event", "", "commands", [events], target=Target("≤", 2, unit="commands"))])


if __name__ == "__main__":
    main()
