"""Failures of two print servers with keepalived and Redis: for how long clients are without an answer.

Two gateways, keepalived, and Redis with Sentinel on three hosts run in network namespaces, with the files of
`config/cluster`. Clients read the status of a job ten times a second, each read with a connection of its own, whether
the former one was answered or not: at the shared address, and at the addresses of the server that fails (A) and of the
other one (B). Each failure is made several times. The columns tell the longest time between two good answers from the
failure on (the whole time of the measurement if there was none), and the number of reads that got a fault, whose
connection was refused or broken off, and that had no answer for ten seconds; then in how many rounds B took the scanner
over, the requests at the scanner that concern its events, and how much later than it should a client's subscription
ends (-3600 s if it is lost).

Run it as root. Names of failures as arguments choose among them.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from failure_kinds import WITH_CLOCKS, WITH_ONE_SERVER, WITH_SENTINEL, Failures

from tests.cluster.clients import Creation, Sinks
from tests.cluster.lab import until
from tests.cluster.printservers import CLIENT, CLIENTS_LINK, HOSTS, REDIS_HOSTS, SERVERS, SHARED, THIRD, PrintServers
from tests.cluster.reads import BROKEN, FAULT, GOOD, REFUSED, SILENT
from tests.cluster.recorder import Recorder
from tests.messages import job_request, manage, subscribe
from wsdgateway.eventing.expiry import read_expires
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSE

ROUNDS = 3
GRACE_SECONDS = 16.0  # after a failover, in which nobody takes over
NOTICEABLE_SECONDS = 0.5
NOTICED = ("Renew", "Subscribe", "Unsubscribe")
CLOCKS = {"print-server-1": 600, "print-server-2": -300}  # seconds by which the clock of each server is ahead


def gaps(reads: list[Any], since: float, until_moment: float) -> list[float]:
    """Returns the times between two good answers, from the failure to the end of the measurement, in their order."""
    ends = [since, *(one.end for one in reads if one.outcome == GOOD and since <= one.end), until_moment]
    return [later - earlier for earlier, later in pairwise(ends)]


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
    subscription = Subscription(lab)
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
        waits = gaps(reads[address], since, until_moment)
        found[what] = {"wait": max(waits), "gaps": [round(wait, 1) for wait in waits if wait > NOTICEABLE_SECONDS],
                       **{outcome: counted[outcome] for outcome in (FAULT, REFUSED, BROKEN, SILENT)}}
    after = lab.scanner()["asked"]
    found["scanner"] = {one: after.get(one, 0) - before.get(one, 0) for one in NOTICED}
    found["taken"] = lab.metric(other, "wsdgateway_takeovers_total") > taken
    for host in SERVERS:
        lab.boot(host)
    lab.settle()
    found["subscription"] = subscription.shift()
    lab.scanner("clear", "POST")
    lab.asked(SHARED, job_request("CancelJob", job.job_id))
    subscription.end()
    return found


class Subscription:
    """A client's subscription, which lives over the failure."""

    def __init__(self, lab: PrintServers) -> None:
        self._lab = lab
        self._sinks = lab.inside(CLIENT, lambda: Sinks(Recorder()))
        self._begun = time.monotonic()
        answer = self._ask(subscribe(self._sinks.url(self._sinks.new(), HOSTS[CLIENT][CLIENTS_LINK]), expires="PT1H"))
        self._identifier = answer.findtext(f".//{{{WSE}}}Identifier")
        self._granted = read_expires(answer.findtext(f".//{{{WSE}}}Expires"), datetime.now(UTC))

    def shift(self) -> float:
        """Returns how many seconds later than it should the subscription ends, by the word of the owner.

        If the owner does not know the subscription any more, that is how much too early it has ended.
        """
        answer = self._ask(manage("GetStatus", self._identifier))
        left = answer.findtext(f".//{{{WSE}}}Expires")
        if left is None:
            print(f"GetStatus: {answer.findtext(f'.//{{{SOAP}}}Text')}", file=sys.stderr)
        rest = self._granted - (time.monotonic() - self._begun)
        return (0.0 if left is None else read_expires(left, datetime.now(UTC))) - rest

    def end(self) -> None:
        """Ends the subscription."""
        self._ask(manage("Unsubscribe", self._identifier))
        self._sinks.stop()

    def _ask(self, message: bytes) -> Any:
        return read(until(lambda: self._answer(message), pause=1.0)).body

    def _answer(self, message: bytes) -> bytes:
        try:
            return self._lab.post(SHARED, message)[1]
        except OSError as error:
            print(f"{SHARED}, {self._lab.holder} has it, {self._lab.owner} owns the scanner: {error}, "
                  f"{self._lab.run(CLIENT, 'ip', 'neigh')}", file=sys.stderr)
            return b""


def prepare(lab: PrintServers, name: str) -> None:
    """Has the master of Redis where the failure wants it, and waits until nothing is going on."""
    if name not in WITH_ONE_SERVER:
        wanted = lab.owner if name == "host_with_master" else THIRD
        if lab.master != wanted:
            for host in REDIS_HOSTS:
                lab.redis(host, "config", "set", "replica-priority", "1" if host == wanted else "100")
            time.sleep(11)  # a Sentinel asks its servers for their priority every ten seconds
            until(lambda: lab.master == wanted or has_moved(lab, wanted))
            for host in REDIS_HOSTS:  # a server without the data must not be preferred at the next failover
                lab.redis(host, "config", "set", "replica-priority", "100")
            time.sleep(GRACE_SECONDS)
        until(lambda: lab.redis(wanted, "info", "replication").count("state=online") == len(REDIS_HOSTS) - 1, pause=1.0)
    lab.settle()


def has_moved(lab: PrintServers, wanted: str) -> bool:
    """Asks the Sentinels for another master. Returns whether it is the wanted one; one that is at work refuses."""
    lab.sentinel_command(THIRD, "failover", "gateways")
    time.sleep(11)
    return lab.master == wanted


@contextmanager
def laboratory(names: Sequence[str]) -> Any:
    """The print servers for a group of failures, ended at the end."""
    with tempfile.TemporaryDirectory() as folder:
        lab = PrintServers(Path(folder), sentinel=names is not WITH_ONE_SERVER,
                           clocks=CLOCKS if names is WITH_CLOCKS else {})
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
    for outcome in (FAULT, REFUSED, BROKEN, SILENT):
        count = statistics.median(one[what][outcome] for one in rounds)
        text += f", {count:.0f} {outcome}" if count else ""
    return text


def row(name: str, rounds: list[dict[str, Any]]) -> str:
    """Returns one line of the table."""
    noticed = ", ".join(sorted({", ".join(f"{count} {one}" for one, count in each["scanner"].items() if count) or "–"
                                for each in rounds}))
    taken = sum(each["taken"] for each in rounds)
    shift = max((each["subscription"] for each in rounds), key=abs)
    return " | ".join(("", getattr(Failures, name).__doc__, cell(rounds, "shared"), cell(rounds, "A"),
                       cell(rounds, "B"), f"{taken} of {len(rounds)}", noticed, f"{shift:+.1f} s", "")).strip()


def main() -> None:
    """Makes the failures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each failure ({ROUNDS})")
    parser.add_argument("names", nargs="*", metavar="FAILURE",
                        help=", ".join((*WITH_SENTINEL, *WITH_ONE_SERVER, *WITH_CLOCKS)))
    options = parser.parse_args()
    lines = []
    for names in (WITH_SENTINEL, WITH_ONE_SERVER, WITH_CLOCKS):
        chosen = [name for name in names if name in (options.names or names)]
        if not chosen:
            continue
        with laboratory(names) as lab:
            for name in chosen:
                rounds = []
                for _ in range(options.rounds):
                    rounds.append(measure(lab, name))
                    print(name, json.dumps(rounds[-1]), file=sys.stderr)
                lines.append(row(name, rounds))
    print("| failure of A | shared address | address of A | address of B | B took over | at the scanner "
          "| end of a subscription |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
