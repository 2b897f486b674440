"""Requests on their way when a print server fails: what the client gets, and how its scan goes on at the other server.

The laboratory is that of `failures.py`. A client fetches the second page of three, which takes three seconds, or sends
a CreateScanJob that the scanner answers after three seconds: to the server that owns the scanner (A), or to the other
one (B), which passes it on to A. A second later A fails. The columns tell what the client gets, and how long after the
failure; then what it gets at B, where it asks for the next page, or sends the same CreateScanJob again, once a second
until it is answered; and the number of CreateScanJobs that the scanner has carried out.

The scanner is the virtual one. With "goes on" it goes on with a job when a page of it breaks off, else it ends the job,
as the virtual one does by itself. Run it as root. Names of failures as arguments choose among them.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.clients import Creation
from tests.cluster.lab import until
from tests.cluster.printservers import CLIENTS_LINK, HOSTS, PATIENT, SERVERS, SHARED, PrintServers
from tests.cluster.reads import FAULT, GOOD, SILENT
from tests.cluster.recorder import fault_in_answer
from tests.messages import SCAN, envelope, job_request
from wsdgateway.scan.jobs import CreatedJob, read_created, write_retrieve
from wsdgateway.soap.envelope import read

ROUNDS = 3
ANSWER_SECONDS = 3.0  # that the scanner takes for the request on its way
BEFORE_SECONDS = 1.0  # from the request to the failure
STANDSTILL_SECONDS = 5.0
PATIENCE_SECONDS = 90.0  # for which a client asks again: longer than a CreateScanJob of unknown outcome is refused
TEMPORARY = "ServerErrorTemporaryError"
FINAL_STATES = ("Completed", "Canceled", "Aborted")


def killed(lab: PrintServers, owner: str) -> None:
    """A's gateway is killed"""
    lab.signal(owner, "gateway", signal.SIGKILL)


def terminated(lab: PrintServers, owner: str) -> None:
    """A's gateway stops (SIGTERM)"""
    lab.signal(owner, "gateway", signal.SIGTERM)


def stopped(lab: PrintServers, owner: str) -> None:
    """A's gateway stands still for 5 s (SIGSTOP)"""
    lab.signal(owner, "gateway", signal.SIGSTOP)
    threading.Timer(STANDSTILL_SECONDS, lab.signal, (owner, "gateway", signal.SIGCONT)).start()


def host(lab: PrintServers, owner: str) -> None:
    """Host A dies"""
    lab.power_off(owner)


FAILURES: dict[str, Callable[[PrintServers, str], None]] = {
    one.__name__: one for one in (killed, terminated, stopped, host)}


class Page:
    """The second of three pages."""

    name = "page"

    def __init__(self, lab: PrintServers, address: str) -> None:
        self._lab = lab
        created = read_created(read(lab.post(SHARED, Creation.new(source="ADF", pages=3).message)[1]).body)
        self._job = CreatedJob(created.job_id, created.job_token)
        assert lab.asked(address, self.message()).outcome == GOOD

    def message(self) -> bytes:
        """Returns the request, each time with another MessageID."""
        return envelope(f"{SCAN}/RetrieveImage", write_retrieve(self._job, "p"), message_id=f"urn:uuid:{uuid.uuid4()}")

    def has_begun(self, before: Counter[str]) -> None:
        """Waits until the scanner has the request."""
        until(lambda: self._lab.scanner()["asked"]["RetrieveImage"] > before["RetrieveImage"])


class Create:
    """A CreateScanJob."""

    name = "CreateScanJob"

    def __init__(self, lab: PrintServers, address: str) -> None:
        self._lab, self._creation = lab, Creation.new()
        lab.scanner(f"slow?seconds={ANSWER_SECONDS}", "POST")

    def message(self) -> bytes:
        """Returns the request, always the same."""
        return self._creation.message

    def has_begun(self, before: Counter[str]) -> None:
        """Waits until the scanner may be expected to have the request. Later ones are answered at once."""
        time.sleep(BEFORE_SECONDS / 2)
        self._lab.scanner("clear", "POST")


def measure(lab: PrintServers, name: str, kind: Any, at_owner: bool, patience: float) -> dict[str, Any]:
    """Makes one failure. Returns what the client got, which asks again for `patience` seconds."""
    lab.settle()
    owner = lab.owner
    [other] = [one for one in SERVERS if one != owner]
    address, there = (HOSTS[one][CLIENTS_LINK] for one in (owner if at_owner else other, other))
    created = lab.scanner()["asked"].get("CreateScanJob", 0)
    request = kind(lab, address)
    before, answers = Counter(lab.scanner()["asked"]), []
    asking = threading.Thread(target=lambda: answers.append(lab.asked(address, request.message())))
    asking.start()
    request.has_begun(before)
    time.sleep(BEFORE_SECONDS / 2)
    since = time.monotonic()
    FAILURES[name](lab, owner)
    asking.join()
    found: dict[str, Any] = {"outcome": named(answers[0]), "seconds": answers[0].end - since}
    again: list[str] = []
    while not again or (again[-1] in (TEMPORARY, SILENT) and time.monotonic() - since < patience):
        time.sleep(1.0 if again else 0.0)
        answers.append(lab.asked(there, request.message()))
        again.append(named(answers[-1]))
    found["again"], found["until"] = dict(Counter(again)), answers[-1].end - since
    for fault in sorted({read(answer.answer).body.xpath("string()") for answer in answers if answer.answer}):
        print(f"{name}, {kind.name}: {fault}", file=sys.stderr)
    lab.power_on(owner)
    lab.settle()
    found["created"] = lab.scanner()["asked"].get("CreateScanJob", 0) - created
    for job_id, state in lab.scanner()["jobs"].items():
        if state not in FINAL_STATES:
            lab.asked(SHARED, job_request("CancelJob", job_id))
    return found


def named(answer: Any) -> str:
    """Returns the outcome of a request, or the name of its fault."""
    return fault_in_answer(500, answer.answer) or FAULT if answer.outcome == FAULT else answer.outcome


def row(name: str, kind: Any, at_owner: bool, rounds: list[dict[str, Any]]) -> str:
    """Returns one line of the table."""
    def seconds(key: str) -> str:
        times = sorted(one[key] for one in rounds)
        return f"{statistics.median(times):.1f} s ({times[0]:.1f}–{times[-1]:.1f})"

    got = ", ".join(sorted({one["outcome"] for one in rounds}))
    again = "; ".join(sorted({", ".join(f"{count} {what}" for what, count in one["again"].items())
                              for one in rounds}))
    made = sorted({one["created"] for one in rounds})
    return (f"| {FAILURES[name].__doc__} | {kind.name} | {'A' if at_owner else 'B'} | {got} | {seconds('seconds')} | "
            f"{again} | {seconds('until')} | {', '.join(map(str, made))} |")


def main() -> None:
    """Makes the failures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each failure ({ROUNDS})")
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS",
                        help=f"for which a client asks again ({PATIENCE_SECONDS:g})")
    parser.add_argument("--scanner", choices=("goes on", "ends"), default="goes on", help="see above")
    parser.add_argument("names", nargs="*", metavar="FAILURE", help=", ".join(FAILURES))
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        lab = PrintServers(Path(folder), scanner=PATIENT if options.scanner == "goes on" else (), pages=ANSWER_SECONDS)
        try:
            lab.begin()
            for name in options.names or FAILURES:
                for kind in (Page, Create):
                    for at_owner in (True, False):
                        rounds = []
                        for _ in range(options.rounds):
                            rounds.append(measure(lab, name, kind, at_owner, options.patience))
                            print(name, kind.name, at_owner, json.dumps(rounds[-1]), file=sys.stderr)
                        lines.append(row(name, kind, at_owner, rounds))
        finally:
            logs = lab.close()
            if "Traceback" in logs:
                print(logs[max(0, logs.index("Traceback") - 2000):][:6000], file=sys.stderr)
    print("| failure | request | sent to | the client got | after | then at B | until | CreateScanJobs |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
