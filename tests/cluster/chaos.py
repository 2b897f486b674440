"""Runs several gateways with random clients and failures for some minutes, and checks the history at the end.

    python -m tests.cluster.chaos [--minutes 2] [--seed N] [--gateways 3] [--state redis|sentinel|sqlite:gateway.sqlite]

A seed determines the failures and what clients ask: gateways are killed, stopped (SIGSTOP) and continued, ended and
started again; the address at which the scanner notifies them moves; Redis is stopped and restarted, with its data and
without; connections between a gateway and Redis, and between gateways, are cut or swallow what is sent. With
"sentinel", the master of two replicas is killed, or stopped, and three Sentinels choose another one. Each client
chooses any gateway for each request. Prints what happened; if a promise was broken it prints the evidence, and the exit
status is 1.
"""

import argparse
import contextlib
import pickle
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

import attrs

from tests.cluster.checker import UNKNOWN, check, lost_events, missed_ends
from tests.cluster.clients import Creation
from tests.cluster.lab import Lab, until

CLIENTS = 7
RECENT = 4  # jobs that clients read
QUIET_SECONDS = (2.0, 6.0)  # between two failures
SETTLING_SECONDS = 60.0  # for the gateways to work again after the last failure
RETRY_SECONDS = 1.0
GRACE_SECONDS = 15.0  # after a failover, in which an owner that had no lease any more writes nothing
RECONNECT_SECONDS = 3.0  # for a gateway to notice that it reaches Redis again
LOST_WRITES = 2.0  # seconds before a failover whose writes may not have reached the replica that becomes the master
LOOK_SECONDS = 0.1  # between two looks at who owns the scanner
TWO_OWNERS = 1.5  # seconds; a gateway without Redis asks the others each second what they serve
PRESS_SECONDS = 5.0  # in which a press is told
ONCE_MORE_SECONDS = 1.0  # in which it would be told twice, if a name were twice on the panel
MOST_PAGES = 3
LARGE = 300  # dots per inch of some pages
PANEL = {"events": ("ScanAvailableEvent",), "destinations": (("chaos", "Scan to chaos"),)}


def restart_if_ended(gateway):
    """Starts a gateway again, unless it runs."""
    if not gateway.is_running:
        gateway.start()


@attrs.define
class Failures:
    """The failures, each of which ends before the next one begins. `done` lists them with their moments."""

    lab: Lab
    chance: random.Random
    stop: threading.Event
    done: list = attrs.field(factory=list)

    def run(self):
        """Makes failures until the run ends."""
        kinds = [self.kill, self.pause, self.end, self.move_address]
        if self.lab.redis is not None:
            kinds += [self.kill, self.stop_redis, self.restart_redis, self.empty_redis, self.kill_without_redis,
                      self.fill_redis]
        if self.lab.replicated is not None:
            kinds += [self.kill, self.kill_master, self.kill_master, self.stop_master]
        if self.lab.has_links:
            kinds.append(self.lose_peers)
            if self.lab.redis is not None:
                kinds.append(self.lose_redis)
        while not self.stop.wait(self.chance.uniform(*QUIET_SECONDS)):
            kind = self.chance.choice(kinds)
            gateway = self._gateway()
            self.done.append((time.monotonic(), kind.__name__, gateway.name))
            kind(gateway)

    def _gateway(self):
        """The owner twice of three times, since failures of the others have less effect."""
        owner = self.lab.owner if self.chance.random() < 2 / 3 else None
        return owner or self.chance.choice(self.lab.gateways)

    def _wait(self, least, most):
        self.stop.wait(self.chance.uniform(least, most))

    def _address_leaves(self, gateway):
        """Moves the address away from a gateway that does not serve, as a keepalived would."""
        others = self.lab.others(gateway)
        if others and self.lab.address.holder is gateway:
            self.lab.address.holder = self.chance.choice(others)

    def kill(self, gateway):
        """Kills a gateway (SIGKILL), and starts it again later."""
        gateway.kill()
        self._wait(0.0, 2.0)
        self._address_leaves(gateway)
        self._wait(0.0, 6.0)
        restart_if_ended(gateway)

    def end(self, gateway):
        """Ends a gateway (SIGTERM), and starts it again later."""
        gateway.terminate()
        self._address_leaves(gateway)
        self._wait(0.0, 3.0)
        restart_if_ended(gateway)

    def pause(self, gateway):
        """Stops a gateway (SIGSTOP) for a time about as long as a lease."""
        with gateway.stopped():
            self._wait(0.5, 2.0)
            if self.chance.random() < 0.5:
                self._address_leaves(gateway)
            self._wait(0.5, 6.0)

    def move_address(self, gateway):
        """Moves the address to another gateway, which may not be the owner."""
        self.lab.address.holder = gateway

    def stop_redis(self, gateway):
        """Stops Redis (SIGSTOP) for a time shorter or longer than a lease."""
        with self.lab.recorder.outage(longer=RECONNECT_SECONDS):
            self.lab.redis.stop()
            self._wait(0.5, 8.0)
            self.lab.redis.cont()

    def fill_redis(self, gateway):
        """Has Redis answer and take no writes, because its memory is full, for shorter or longer than a lease."""
        with self.lab.recorder.outage(longer=RECONNECT_SECONDS):
            self.lab.redis.command("CONFIG", "SET", "maxmemory", "1")
            self._wait(0.5, 8.0)
            self.lab.redis.command("CONFIG", "SET", "maxmemory", "0")

    def kill_without_redis(self, gateway):
        """Kills a gateway while Redis is stopped."""
        with self.lab.recorder.outage(longer=RECONNECT_SECONDS):
            self.lab.redis.stop()
            self._wait(0.0, 4.0)
            gateway.kill()
            self._address_leaves(gateway)
            self._wait(0.0, 4.0)
            self.lab.redis.cont()
            restart_if_ended(gateway)

    def restart_redis(self, gateway):
        """Restarts Redis with its data."""
        self.lab.redis.restart(keep=True)

    def empty_redis(self, gateway):
        """Restarts Redis without data."""
        with self.lab.recorder.outage(longer=RECONNECT_SECONDS, is_emptied=True):
            self.lab.redis.restart(keep=False)

    def kill_master(self, gateway):
        """Kills the master, and starts it again after another one was chosen; the Sentinels make it a replica."""
        with self._failover() as former:
            former.kill()
        former.start()

    def stop_master(self, gateway):
        """Stops the master (SIGSTOP) for a time shorter or longer than the Sentinels wait."""
        former = self.lab.replicated.current
        if self.chance.random() < 0.5:
            former.stop()
            self._wait(0.5, 4.0)
            former.cont()
            return
        with self._failover():
            former.stop()
        former.cont()

    @contextlib.contextmanager
    def _failover(self):
        """Waits after the block until another master is known, and a replica follows it."""
        replicated = self.lab.replicated
        former = replicated.current
        with self.lab.recorder.outage(LOST_WRITES, GRACE_SECONDS + RECONNECT_SECONDS):
            yield former
            until(lambda: replicated.current is not former, pause=0.2)
            until(lambda: replicated.current.command("INFO", "replication")["connected_slaves"] > 0, pause=0.2)

    def lose_peers(self, gateway):
        """Cuts the other gateways' connections to one gateway, or swallows what they send."""
        with self._lost(gateway.peer_link):
            self._wait(0.5, 8.0)

    def lose_redis(self, gateway):
        """Cuts the connections of one gateway to Redis, or swallows what is sent. It may go on alone meanwhile."""
        was_owner, over = gateway.is_owner, threading.Event()
        watch = threading.Thread(target=self._watch_others, args=(gateway, over), daemon=True)
        with self.lab.recorder.outage():
            if was_owner:
                watch.start()
            with self._lost(gateway.redis_link):
                self._wait(0.5, 8.0)
            self.stop.wait(RECONNECT_SECONDS)
        over.set()
        if was_owner:
            watch.join()

    def _watch_others(self, gateway, over):
        """Records when another gateway owns the scanner in place of one that does not know of that at once."""
        while not over.wait(LOOK_SECONDS):
            looked = time.monotonic()
            if any(one.owns for one in self.lab.others(gateway)):
                self.lab.recorder.replaced(gateway.name, looked - LOOK_SECONDS, time.monotonic() + TWO_OWNERS)
                return

    def _lost(self, link):
        return link.cut() if self.chance.random() < 0.5 else link.swallowing()


@attrs.define
class Clients:
    """Random clients. `jobs` are the latest ones, which all of them read; `panel` is the subscription of the panel.

    `ending` are the subscriptions that are to be ended.
    """

    lab: Lab
    stop: threading.Event
    jobs: list = attrs.field(factory=list)
    failures: list = attrs.field(factory=list)
    subscriptions: list = attrs.field(factory=list)
    ending: list = attrs.field(factory=list)
    panel: tuple | None = None

    def run(self, number, chance):
        """Acts as one client until the run ends, at an address of its own."""
        client = self.lab.client(f"127.0.1.{number + 1}")
        act = ([self._scan, self._subscribe, self._press] + [self._read] * CLIENTS)[number]
        try:
            while not self.stop.is_set():
                act(client, chance)
        except Exception as error:  # recorded, because nothing else reports an exception of this thread
            self.failures.append(f"client {number}: {type(error).__name__}: {error}")
            raise

    def _any(self, chance):
        return chance.choice(self.lab.gateways).name

    def _read(self, client, chance):
        if chance.random() < 0.1:
            client.list(self._any(chance), chance.choice(("GetActiveJobs", "GetJobHistory")))
        elif self.jobs:
            client.read(self._any(chance), chance.choice(self.jobs[-RECENT:]))
        self.stop.wait(chance.uniform(0.0, 0.1))

    def _scan(self, client, chance):
        """Creates a job, sends the request again where it broke off, and fetches the pages or cancels."""
        large = {"resolution": LARGE} if chance.random() < 0.2 else {}
        creation = Creation.new(source=chance.choice(("Platen", "ADF")), pages=chance.randint(1, MOST_PAGES), **large)
        job, _ = client.create(self._any(chance), creation)
        for _ in range(3):
            if job is not None or self.stop.wait(chance.uniform(0.0, RETRY_SECONDS)):
                break
            job, _ = client.create(self._any(chance), creation)
        if job is None:
            return
        self.jobs.append(job.job_id)
        self.stop.wait(chance.uniform(0.0, 0.5))
        for _ in range(MOST_PAGES):
            if chance.random() < 0.15:
                client.cancel(self._any(chance), job.job_id)
            entry = client.retrieve(self._any(chance), job)[1]
            if not entry.is_good:
                break
        # A job that is left over would keep the scanner busy until its time-out.
        while not self.stop.is_set() and not self._has_ended(client, chance, job.job_id):
            client.cancel(self._any(chance), job.job_id)
            self.stop.wait(RETRY_SECONDS / 2)

    def _has_ended(self, client, chance, job_id):
        status = client.read(self._any(chance), job_id).status
        return status is not None and status.is_final

    def _subscribe(self, client, chance):
        """Subscribes, renews, and ends some subscriptions again."""
        made, _ = client.subscribe(self._any(chance), self.lab.sinks)
        if made is not None:
            self.subscriptions.append(made)
        if self.stop.wait(chance.uniform(0.5, 3.0)) or not self.subscriptions:
            return
        client.renew(self._any(chance), chance.choice(self.subscriptions))
        if len(self.subscriptions) > 5:
            self.ending.append(self.subscriptions.pop(chance.randrange(1, 5)))
        # Those that a failure has left are ended, too, or each run would end with a hundred subscriptions.
        self.ending = [one for one in self.ending
                       if client.unsubscribe(self._any(chance), one).fault not in (None, UNKNOWN)]


    def _press(self, client, chance):
        """Presses the button of the scanner's panel; the client has a name there, and changes it at times."""
        if self.panel is None:
            self.panel, _ = client.subscribe(self._any(chance), self.lab.sinks, **PANEL)
        elif chance.random() < 0.05:
            if client.unsubscribe(self._any(chance), self.panel).fault in (None, UNKNOWN):
                self.panel = None
        else:
            self.lab.control("press", "POST")
        self.stop.wait(chance.uniform(0.2, 2.0))


def settle(lab, clients):
    """Ends every failure, waits until the gateways work again, and reads the latest jobs at each of them."""
    for one in lab.gateways:
        restart_if_ended(one)
    client = lab.client("127.0.1.100")

    def works():
        job, _ = client.create(lab.gateways[-1].name, Creation.new())
        return job if job is not None and client.retrieve(lab.gateways[0].name, job)[1].is_good else None

    last = until(works, SETTLING_SECONDS, pause=0.5)
    for one in lab.gateways:
        for job_id in (*clients.jobs[-RECENT:], last.job_id):
            until(lambda one=one, job_id=job_id: client.read(one.name, job_id).status, SETTLING_SECONDS, pause=0.2)
    panel = clients.panel or until(lambda: client.subscribe(lab.gateways[0].name, lab.sinks, **PANEL)[0],
                                   SETTLING_SECONDS, pause=0.5)
    until(lambda: _events_of_press(lab, panel[0]) == 1, SETTLING_SECONDS)
    with contextlib.suppress(AssertionError):
        until(lambda: not (missed_ends(lab.history()) or lost_events(lab.history())), SETTLING_SECONDS / 2, pause=0.5)


def _events_of_press(lab, sink):
    """Presses the button of the panel. Returns how often a sink is told."""
    def told():
        return len(lab.sinks.received.get(sink, ()))

    before = told()
    lab.control("press", "POST")
    with contextlib.suppress(AssertionError):
        until(lambda: told() > before, PRESS_SECONDS)
    time.sleep(ONCE_MORE_SECONDS)
    return told() - before


def run(folder, *, seconds, seed, gateways=3, state="redis", **more):
    """Makes a run. Returns the verdict, the failures with their moments, and the history."""
    lab = Lab(folder, gateways=gateways, state=state, **{"has_links": state in ("redis", "sentinel"), **more})
    stop = threading.Event()
    clients, failures = Clients(lab, stop), Failures(lab, random.Random(seed), stop)
    stuck = None
    try:
        lab.start()
        threads = [threading.Thread(target=clients.run, args=(number, random.Random(f"{seed}-{number}")))
                   for number in range(CLIENTS)]
        for one in threads:
            one.start()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            failures.run()
        except AssertionError as error:
            stuck = f"{failures.done[-1]}: {error}"
        finally:
            timer.cancel()
            stop.set()
            for one in threads:
                one.join()
        try:
            settle(lab, clients)
        except AssertionError as error:
            stuck = stuck or f"after all failures: {error} at {traceback.extract_tb(error.__traceback__)}"
        lab.record_logged()
        history = lab.history()  # the end of everything at once is not judged
    finally:
        logs = lab.end()
    verdict = check(history)
    if stuck is not None:
        verdict.violated("stuck", stuck)
    for failure in clients.failures:
        verdict.violated("client", failure)
    missed = missed_ends(history)
    if missed:
        verdict.violated("JobEndStateEvent missed", f"{missed}")
    if "Traceback" in logs:
        verdict.violated("traceback", logs[logs.index("Traceback") - 200:][:3000])
    return verdict, failures.done, history


def main():
    """Runs the program."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--minutes", type=float, default=2.0)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options.add_argument("--gateways", type=int, default=3)
    options.add_argument("--state", default="redis")
    options.add_argument("--keep", type=Path, help="folder for the logs and the history; default: a temporary one")
    wanted = options.parse_args()
    # The programs that were started are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its time"))
    print(f"seed {wanted.seed}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = wanted.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        verdict, done, history = run(folder, seconds=wanted.minutes * 60, seed=wanted.seed, gateways=wanted.gateways,
                               state=wanted.state)
        if wanted.keep:
            (folder / "history.pickle").write_bytes(pickle.dumps(history))
    for moment, kind, gateway in done:
        print(f"{moment:.3f} {kind} {gateway}")
    print(", ".join(f"{number} {kind}" for kind, number in sorted(Counter(kind for _, kind, _ in done).items())))
    print(verdict)
    broken = verdict.violations
    print("a promise was broken" if broken else "everything was as promised")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
