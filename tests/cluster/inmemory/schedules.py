"""Random schedules for whole gateways: what clients ask, what the scanner does, and what fails.

Each client chooses any gateway for each request. A schedule is determined by its seed, and so is its run. Run by itself
it counts the schedules in which a promise is broken, and shows a short one::

    python -m tests.cluster.inmemory.schedules SCHEDULES [SEED]
"""

import gc
import random
import sys
import zlib
from collections import Counter

import attrs

from tests.cluster.inmemory.judging import judge, judge_calm
from tests.cluster.inmemory.scanner import FINAL, MAX_LATE
from tests.cluster.inmemory.world import NAME, SHARED_IP, World
from tests.logs import logged

STEPS, PANEL_STEPS = 30, 24  # of one schedule
GATEWAYS, CLIENTS = 3, 3
LATEST = 4  # jobs that clients read
START_SECONDS = 8.0  # until a gateway owns the scanner: the grace of a new server
SECONDS = (0.0, 0.0, 0.03, 0.1, 0.3, 1.0, 2.5, 5.0)  # that pass after a step
EVENTS = ((), (), ("JobStatusEvent",), ("JobEndStateEvent",))
LATE = (0.0, 0.0, 0.0, 1.0, MAX_LATE)  # seconds after a change at which the scanner tells it


@attrs.frozen
class Step:
    """A step: the method of `Run`, its arguments, and the seconds that pass afterwards."""

    name: str
    arguments: tuple
    seconds: float

    def __str__(self):
        return f"{self.name}{self.arguments}, {self.seconds:g} s"


def draw(seed):
    """Returns the steps of a schedule."""
    names = [name for name, (weight, _) in _STEPS.items() for _ in range(weight)]
    return _drawn(f"steps of {seed}", STEPS, names)


def draw_for_panel(seed):
    """Returns the steps of a schedule in which clients put names on the panel while gateways fail."""
    return _drawn(f"panel {seed}", PANEL_STEPS, _FOR_PANEL)


def _drawn(seed, count, names):
    chance = random.Random(seed)
    return [Step(name, tuple(chance.choice(values) for values in _STEPS[name][1]), chance.choice(SECONDS))
            for name in (chance.choice(names) for _ in range(count))]


class Run:
    """A run of a schedule. Steps that make no sense at their moment do nothing."""

    def __init__(self, seed):
        self._seed, self.world = seed, None
        self.creations, self.numbers = [], 0

    def take(self, steps):
        """Takes the steps, waits until everything must work, and returns the broken promises, as text."""
        gc.disable()  # a coroutine in a cycle would be closed, and act, at another moment in each run
        world = self.world = World(self._seed, is_shared=bool(self._seed % 2))
        try:
            with logged(lambda event: event.get("log_failure")) as failures:
                world.advance(START_SECONDS)
                self.subscribe(0, 1, ())
                world.advance(1.0)
                for step in steps:
                    getattr(self, step.name)(*step.arguments)
                    world.advance(step.seconds)
                world.settle()
                return [*judge_calm(world), *judge(world),
                        *(f"failure in the log: {failure.getTraceback()}" for failure in failures)]
        finally:
            world.stop()
            gc.enable()

    @property
    def digest(self):
        """A checksum of all that was sent, and of what clients and the scanner recorded: the same in equal runs."""
        return zlib.crc32(repr(self.world.lists).encode(), self.world.network.digest)

    # Clients.

    def read(self, client, gateway, place):
        jobs = list(self.world.scanner.jobs)[-LATEST:]
        if jobs:
            self.world.clients[client].read(self.world.gateways[gateway], jobs[place % len(jobs)])

    def read_everywhere(self, place):
        for number in range(GATEWAYS):
            self.read(number, number, place)

    def create(self, client, gateway):
        one = self.world.clients[client]
        self.creations.append((one, one.new_creation()))
        self.create_again(gateway)

    def create_again(self, gateway):
        if self.creations:
            one, creation = self.creations[-1]
            one.create(self.world.gateways[gateway], creation)

    def cancel(self, client, gateway, place):
        jobs = self.world.scanner.active()
        if jobs:
            self.world.clients[client].cancel(self.world.gateways[gateway], jobs[place % len(jobs)].job_id)

    def subscribe(self, client, gateway, events):
        self.world.clients[client].subscribe(
            self.world.gateways[gateway], self.world.granted.append, events=events or None)

    def subscribe_to_panel(self, client, gateway):
        self.numbers += 1
        self.world.clients[client].subscribe(
            self.world.gateways[gateway], self.world.granted.append, events=("ScanAvailableEvent",),
            destinations=[(f"c{self.numbers}", f"Name {self.numbers}")])

    def renew(self, gateway, place):
        granted = self.world.granted
        if granted:
            one = granted[place % len(granted)]
            one.client.renew(self.world.gateways[gateway], one)

    def unsubscribe(self, gateway, place):
        granted = self.world.granted
        if granted:
            one = granted.pop(place % len(granted))
            one.client.unsubscribe(self.world.gateways[gateway], one)

    # The scanner.

    def change(self, place, state, late):
        jobs = self.world.scanner.active()
        if jobs:
            self.world.scanner.change(jobs[place % len(jobs)], state, late)

    def press(self, place):
        self.numbers += 1
        self.world.scanner.press(f"p{self.numbers}", place)

    def restart_scanner(self):
        self.world.scanner.start()

    # The gateways and Redis.

    def wait(self, seconds):
        self.world.advance(seconds)

    def _choose(self, gateway):
        """The number of a gateway; None stands for the owner."""
        return self.world.owner_or(0) if gateway is None else gateway

    def kill(self, gateway):
        self.world.kill(self._choose(gateway))

    def cancel_and_kill(self, gateway, place):
        """Kills the owner as soon as it has shown that a job is canceled, and reads that job everywhere.

        The scanner has not told it yet, and while Redis is slow, no event that the owner makes of it is written.
        """
        world, jobs = self.world, self.world.scanner.active()
        if jobs:
            job = jobs[place % len(jobs)]
            world.scanner.change(job, "Processing")
            world.advance(0.5)
            world.clients[0].cancel(world.gateways[gateway], job.job_id)
            world.advance(0.9)
            world.slow_redis(1.0)
            owner = world.owner_or(gateway)
            world.clients[1].read(world.gateways[owner], job.job_id, lambda answer, body: world.kill(owner))
            world.advance(0.9)
            for client, one in zip(world.clients, world.gateways, strict=True):
                client.read(one, job.job_id)

    def change_and_kill(self, place, state, seconds):
        """Kills the owner soon after two events, while Redis is slow and no sink can be reached."""
        self.world.cut_from_clients(2.0)
        self.world.slow_redis(1.0)
        self.change(place, "Processing", 0.0)
        self.change(place, state, 0.0)
        self.world.advance(seconds)
        self.kill(None)

    def pause_and_read(self, place, state):
        """Stops the owner until another gateway has taken over and shown a change, which a client then reads there."""
        world, jobs = self.world, self.world.scanner.active()
        number = world.owner_or(0)
        one, other = world.gateways[number], world.gateways[(number + 1) % GATEWAYS]
        if jobs and one.is_alive:
            job = jobs[place % len(jobs)]
            for _ in range(2):
                world.clients[0].read(one, job.job_id)
                world.advance(1.0)
            if world.network.holders[SHARED_IP] is one.host:
                world.holder_moves(other.number - 1)
            world.pause(number, 7.0)
            world.advance(4.0)
            world.scanner.change(job, state)
            world.clients[1].read(other, job.job_id)
            world.advance(2.5)
            world.clients[0].read(one, job.job_id)

    def start(self):
        for number in range(GATEWAYS):
            self.world.start(number)

    def end(self, gateway):
        if not any(one.is_ending for one in self.world.gateways):
            self.world.end(self._choose(gateway))

    def pause(self, gateway, seconds):
        self.world.pause(self._choose(gateway), seconds)

    def cut(self, gateway, whom):
        number = self._choose(gateway)
        if whom != "peers":
            self.world.cut_from_redis(number)
        if whom != "redis":
            self.world.cut_from_peers(number)

    def heal(self):
        self.world.heal()

    def lose_redis(self, seconds, data):
        self.world.lose_redis(seconds, data)

    def slow_redis(self, seconds):
        self.world.slow_redis(seconds)

    def move(self, gateway):
        self.world.server.wish(NAME, self.world.gateways[gateway].name)

    def move_address(self, gateway):
        self.world.holder_moves(gateway)


_CLIENT, _GATEWAY, _PLACE = range(CLIENTS), range(GATEWAYS), range(LATEST)
_FAILING = (None, None, *range(GATEWAYS))
_STEPS = {  # the weight of each step, and its possible arguments
    "read": (4, (_CLIENT, _GATEWAY, _PLACE)), "read_everywhere": (8, (_PLACE,)),
    "create": (6, (_CLIENT, _GATEWAY)), "create_again": (5, (_GATEWAY,)), "cancel": (3, (_CLIENT, _GATEWAY, _PLACE)),
    "subscribe": (3, (_CLIENT, _GATEWAY, EVENTS)), "subscribe_to_panel": (2, (_CLIENT, _GATEWAY)),
    "renew": (2, (_GATEWAY, range(10))), "unsubscribe": (1, (_GATEWAY, range(10))),
    "change": (10, (_PLACE, ("Processing", "Processing", "Processing", *FINAL), LATE)), "press": (4, (_PLACE,)),
    "restart_scanner": (1, ()), "wait": (2, ((5.0, 10.0),)), "kill": (4, (_FAILING,)), "start": (5, ()),
    "cancel_and_kill": (3, (_GATEWAY, _PLACE)),
    "pause_and_read": (2, (_PLACE, ("Processing", *FINAL))), "slow_redis": (2, ((1.0, 5.0),)),
    "change_and_kill": (3, (_PLACE, ("Processing", *FINAL), (0.01, 0.03, 0.06, 0.1, 0.2))),
    "end": (1, (_FAILING,)), "pause": (3, (_FAILING, (0.5, 2.0, 4.0, 6.0))),
    "cut": (2, (_FAILING, ("redis", "peers", "both"))), "heal": (3, ()),
    "lose_redis": (2, ((0.1, 2.0, 6.0), ("kept", "kept", "empty"))), "move": (3, (_GATEWAY,)),
    "move_address": (2, (_GATEWAY,))}
_FOR_PANEL = ("subscribe_to_panel", "kill", "start", "end", "pause", "cut", "heal", "lose_redis", "move",
              "move_address", "unsubscribe", "renew", "wait", "subscribe_to_panel", "subscribe_to_panel", "move",
              "restart_scanner")


def digest_of(seed):
    """Runs a schedule; two runs in which the same happened have the same digest."""
    run = Run(seed)
    run.take(draw(seed))
    return run.digest


def shorten(seed, steps, kind):
    """Returns fewer steps that break the same promise."""
    shorter, place = list(steps), 0
    while place < len(shorter):
        fewer = shorter[:place] + shorter[place + 1:]
        if kind in map(kind_of, Run(seed).take(fewer)):
            shorter = fewer
        else:
            place += 1
    return shorter


def kind_of(broken):
    """The promise that was broken, without the evidence."""
    return " ".join(word for word in broken.partition(":")[0].split() if not word[0].isdigit())


def main(schedules, first=0):
    """Runs the program."""
    found = Counter()
    for seed in range(first, first + schedules):
        broken = Run(seed).take(draw(seed))
        for kind in {kind_of(one): one for one in reversed(broken)}.items():
            found[kind[0]] += 1
            if found[kind[0]] <= 3:
                print(f"seed {seed}: {kind[1]}", flush=True)
                if found[kind[0]] == 1:
                    print("\n".join(f"    {step}" for step in shorten(seed, draw(seed), kind[0])), flush=True)
    print(dict(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
