"""Failures of two print servers with keepalived and Redis: for how long clients are without an answer.

Two gateways, keepalived, and Redis with Sentinel on three hosts run in network namespaces, with the files of
`config/cluster`. Clients read the status of a job ten times a second, each read with a connection of its own, whether
the former one was answered or not: at the shared address, and at the addresses of the server that fails (A) and of the
other one (B). Each failure is made several times. The columns tell the longest time between two good answers from the
failure on (the whole time of the measurement if there was none), and the number of reads that got a fault, whose
connection was refused or reset, and that had no answer for ten seconds; then in how many rounds B took the scanner
over, and the requests at the scanner that concern its events.

Run it as root. Names of failures as arguments choose among them.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.clients import Creation
from tests.cluster.lab import until
from tests.cluster.printservers import (
    CLIENTS_LINK,
    FAULT,
    GOOD,
    HOSTS,
    PEER,
    REDIS_HOSTS,
    REFUSED,
    SERVERS,
    SERVERS_LINK,
    SHARED,
    SILENT,
    THIRD,
    PrintServers,
)
from tests.messages import job_request
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP

ROUNDS = 3
WATCHED_SECONDS = 12.0  # from the failure on, or from its end if it ends by itself
GRACE_SECONDS = 16.0  # after a failover, in which nobody takes over
NOTICED = ("Renew", "Subscribe", "Unsubscribe")


class Failures:
    """The failures of one laboratory. Each makes the failure of A, waits, and repairs it."""

    def __init__(self, lab: PrintServers) -> None:
        self.lab = lab

    def killed(self, owner: str, other: str) -> None:
        """The owner's gateway is killed (SIGKILL)"""
        self.lab.signal(owner, "gateway", signal.SIGKILL)
        time.sleep(WATCHED_SECONDS)

    def terminated(self, owner: str, other: str) -> None:
        """The owner's gateway stops (SIGTERM)"""
        self.lab.signal(owner, "gateway", signal.SIGTERM)
        time.sleep(WATCHED_SECONDS)

    def in_order(self, owner: str, other: str) -> None:
        """The owner's keepalived stops, then its gateway (`systemctl stop` with the drop-in)"""
        for name in ("keepalived", "gateway"):
            self.lab.signal(owner, name, signal.SIGTERM)
            self.lab.wait_for_end(owner, name)
        time.sleep(WATCHED_SECONDS)

    def stopped(self, owner: str, other: str) -> None:
        """The owner's gateway stands still for 5 s (SIGSTOP)"""
        self.lab.signal(owner, "gateway", signal.SIGSTOP)
        time.sleep(5)
        self.lab.signal(owner, "gateway", signal.SIGCONT)
        time.sleep(WATCHED_SECONDS)

    def follower(self, owner: str, other: str) -> None:
        """The follower's gateway is killed; here A is the owner"""
        self.lab.signal(other, "gateway", signal.SIGKILL)
        time.sleep(WATCHED_SECONDS)

    def host(self, owner: str, other: str) -> None:
        """The owner's host dies"""
        self.lab.power_off(owner)
        time.sleep(WATCHED_SECONDS)
        self.lab.power_on(owner)

    def host_with_master(self, owner: str, other: str) -> None:
        """The owner's host dies, and has the Redis master"""
        self.lab.power_off(owner)
        time.sleep(45)
        self.lab.power_on(owner)

    def sentinel(self, owner: str, other: str) -> None:
        """The host of the Redis master dies, which is not a print server (Sentinel failover)"""
        self.lab.power_off(THIRD)
        time.sleep(30)
        self.lab.power_on(THIRD)

    def redis_2(self, owner: str, other: str) -> None:
        """The single Redis server is away for 2 s"""
        self._redis_away(2)

    def redis_30(self, owner: str, other: str) -> None:
        """The single Redis server is away for 30 s"""
        self._redis_away(30)

    def _redis_away(self, seconds: float) -> None:
        self.lab.signal(THIRD, "redis", signal.SIGKILL)
        time.sleep(seconds)
        self.lab.launch(THIRD, "redis")
        time.sleep(WATCHED_SECONDS)

    def redis_empty(self, owner: str, other: str) -> None:
        """The single Redis server is restarted, and is empty"""
        self.lab.signal(THIRD, "redis", signal.SIGKILL)
        for file in sorted((self.lab.folder / THIRD / "redis").rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        self.lab.launch(THIRD, "redis")
        time.sleep(WATCHED_SECONDS)

    def no_redis(self, owner: str, other: str) -> None:
        """The owner is cut off from the single Redis server, and reaches the other gateway"""
        peer = HOSTS[THIRD][SERVERS_LINK]
        self.lab.block(owner, peer, is_blocked=True)
        time.sleep(WATCHED_SECONDS)
        self.lab.block(owner, peer, is_blocked=False)
        time.sleep(WATCHED_SECONDS)

    def servers_link(self, owner: str, other: str) -> None:
        """The owner is cut off from Redis and from the other gateway"""
        self.lab.plug(owner, SERVERS_LINK, is_in=False)
        time.sleep(WATCHED_SECONDS)
        self.lab.plug(owner, SERVERS_LINK, is_in=True)
        time.sleep(WATCHED_SECONDS)

    def only_scanner(self, owner: str, other: str) -> None:
        """The owner is cut off from all but the scanner"""
        self.lab.plug(owner, SERVERS_LINK, CLIENTS_LINK, is_in=False)
        time.sleep(WATCHED_SECONDS)
        self.lab.plug(owner, SERVERS_LINK, CLIENTS_LINK, is_in=True)
        time.sleep(WATCHED_SECONDS)

    def no_peer(self, owner: str, other: str) -> None:
        """The gateways reach Redis, but not each other"""
        peer = HOSTS[other][SERVERS_LINK]
        self.lab.block(owner, peer, is_blocked=True, port=PEER)
        time.sleep(WATCHED_SECONDS)
        self.lab.block(owner, peer, is_blocked=False, port=PEER)
        time.sleep(WATCHED_SECONDS)


WITH_SENTINEL = ("killed", "terminated", "in_order", "stopped", "follower", "host", "sentinel", "host_with_master")
WITH_ONE_SERVER = ("redis_2", "redis_30", "redis_empty", "no_redis", "servers_link", "only_scanner", "no_peer")


def longest(reads: list[Any], since: float, until_moment: float) -> float:
    """Returns the longest time between two good answers, from the failure to the end of the measurement."""
    ends = [since, *(one.end for one in reads if one.outcome == GOOD and since <= one.end), until_moment]
    return max(later - earlier for earlier, later in pairwise(ends))


def reason_of(answer: bytes) -> str:
    """Returns the text of a fault."""
    return read(answer).body.findtext(f".//{{{SOAP}}}Text") or "" if answer else ""


def measure(lab: PrintServers, name: str) -> dict[str, Any]:
    """Makes one failure. Returns what clients and the scanner noticed."""
    prepare(lab, name)
    owner = lab.owner
    [other] = [one for one in SERVERS if one != owner]
    addresses = {"shared": SHARED, "A": HOSTS[owner][CLIENTS_LINK], "B": HOSTS[other][CLIENTS_LINK]}
    created = lab.post(SHARED, Creation.new().message)
    job = read_created(read(created[1]).body)
    before, found = lab.scanner()["asked"], {}
    taken = lab.metric(other, "wsdgateway_takeovers_total")
    with lab.reading(job.job_id, *addresses.values()) as reads:
        until(lambda: all(len(one) > 20 for one in reads.values()))
        since = time.monotonic()
        getattr(Failures(lab), name)(owner, other)
        until_moment = time.monotonic()
    for what, address in addresses.items():
        counted = Counter(one.outcome for one in reads[address] if one.end > since)
        for reason in sorted({reason_of(one.answer) for one in reads[address] if one.end > since} - {""}):
            print(f"{name}, {what}: {reason}", file=sys.stderr)
        found[what] = {"wait": longest(reads[address], since, until_moment),
                       **{outcome: counted[outcome] for outcome in (FAULT, REFUSED, SILENT)}}
    after = lab.scanner()["asked"]
    found["scanner"] = {one: after.get(one, 0) - before.get(one, 0) for one in NOTICED}
    found["taken"] = lab.metric(other, "wsdgateway_takeovers_total") > taken
    for host in SERVERS:
        lab.boot(host)
    lab.settle()
    lab.scanner("clear", "POST")
    lab.post(SHARED, job_request("CancelJob", job.job_id))
    return found


def prepare(lab: PrintServers, name: str) -> None:
    """Has the master of Redis where the failure wants it, and waits until nothing is going on."""
    if name in WITH_SENTINEL:
        wanted = lab.owner if name == "host_with_master" else THIRD
        if lab.master != wanted:
            for host in REDIS_HOSTS:
                lab.redis(host, "config", "set", "replica-priority", "1" if host == wanted else "100")
            time.sleep(11)  # a Sentinel asks its servers for their priority every ten seconds
            until(lambda: lab.master == wanted or has_moved(lab, wanted))
            time.sleep(GRACE_SECONDS)
    lab.settle()


def has_moved(lab: PrintServers, wanted: str) -> bool:
    """Asks the Sentinels for another master. Returns whether it is the wanted one; one that is at work refuses."""
    lab.sentinel_command(THIRD, "failover", "gateways")
    time.sleep(11)
    return lab.master == wanted


@contextmanager
def laboratory(*, sentinel: bool) -> Any:
    """The print servers, ended at the end."""
    with tempfile.TemporaryDirectory() as folder:
        lab = PrintServers(Path(folder), sentinel=sentinel)
        try:
            lab.begin()
            yield lab
        finally:
            logs = lab.close()
            if "Traceback" in logs:
                print(logs[max(0, logs.index("Traceback") - 2000):][:6000], file=sys.stderr)


def cell(rounds: list[dict[str, Any]], what: str) -> str:
    """Returns the text of a cell: the times of all rounds, and the medians of what was counted."""
    waits = sorted(one[what]["wait"] for one in rounds)
    text = f"{statistics.median(waits):.1f} s ({waits[0]:.1f}–{waits[-1]:.1f})"
    for outcome in (FAULT, REFUSED, SILENT):
        count = statistics.median(one[what][outcome] for one in rounds)
        text += f", {count:.0f} {outcome}" if count else ""
    return text


def row(name: str, rounds: list[dict[str, Any]]) -> str:
    """Returns one line of the table."""
    noticed = ", ".join(sorted({", ".join(f"{count} {one}" for one, count in each["scanner"].items() if count) or "–"
                                for each in rounds}))
    taken = sum(each["taken"] for each in rounds)
    return " | ".join(("", getattr(Failures, name).__doc__, cell(rounds, "shared"), cell(rounds, "A"),
                       cell(rounds, "B"), f"{taken} of {len(rounds)}", noticed, "")).strip()


def main() -> None:
    """Makes the failures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each failure ({ROUNDS})")
    parser.add_argument("names", nargs="*", metavar="FAILURE", help=", ".join((*WITH_SENTINEL, *WITH_ONE_SERVER)))
    options = parser.parse_args()
    lines = []
    for sentinel, names in ((True, WITH_SENTINEL), (False, WITH_ONE_SERVER)):
        chosen = [name for name in names if name in (options.names or names)]
        if not chosen:
            continue
        with laboratory(sentinel=sentinel) as lab:
            for name in chosen:
                rounds = []
                for _ in range(options.rounds):
                    rounds.append(measure(lab, name))
                    print(name, json.dumps(rounds[-1]), file=sys.stderr)
                lines.append(row(name, rounds))
    print("| failure of A | shared address | address of A | address of B | B took over | at the scanner |")
    print("|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
