"""Gateways that compete for one scanner in a world in which clocks drift, processes stop, and messages get lost.

The coordinators, machines and leases are the real ones. The world has the real time, which nobody else knows, and
checks after each event who believes to own the scanner. Run by itself it counts the random schedules in which
something happens that must not::

    python -m tests.net.cluster.world VARIANT SCHEDULES [SEED]
"""

import heapq
import itertools
import random
import sys

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from tests.clusterserver import ClusterServer
from wsdgateway.bridge.cluster.lease import ALONE_SECONDS, Leases
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.cluster.coordinator import Coordinator
from wsdgateway.net.cluster.ownedscanner import Composition
from wsdgateway.storage.coordination import DEADLINE, ICoordination, NameTaken, NotNow

LEASE, DRIFT, SCANNER = 4.0, 0.02, "desk"
TICK = LEASE / 4
CALM = ALONE_SECONDS + TICK + DEADLINE  # after which nobody has a reason left to go on alone
ASKING = TICK + DEADLINE + 1.0  # until two gateways without the server have asked each other
STOP_TIMEOUT = 5.0
SETTLING = LEASE + STOP_TIMEOUT + 2.0  # and the grace: after which the only gateway that runs owns the scanner
SENTINEL_GRACE, SINGLE_GRACE = 15.0, 5.0
ISOLATED_WRITES = 10.0  # seconds for which a master that is cut off takes writes (min-replicas-max-lag)


@attrs.frozen
class Variant:
    """The behaviour of the server, and its failures. `promotion` is the least time until a failover, in seconds."""

    grace: float = SINGLE_GRACE
    eras: bool = True
    restarts: bool = True
    failovers: bool = False
    isolation: float = 0.0
    jumps: bool = False
    promotion: float = 3.5


VARIANTS = {
    "single": Variant(jumps=True),
    "sentinel": Variant(SENTINEL_GRACE, failovers=True, isolation=ISOLATED_WRITES),
    "plain lock": Variant(eras=False, failovers=True),
    "no grace": Variant(grace=0.0, failovers=True),
    "short grace": Variant(SINGLE_GRACE, failovers=True, isolation=ISOLATED_WRITES),
    "long isolation": Variant(SENTINEL_GRACE, failovers=True, isolation=30.0),
    "quick failover": Variant(SENTINEL_GRACE, failovers=True, isolation=ISOLATED_WRITES, promotion=0.0),
}


class Timer:
    """A delayed call in a process. It is late if the process is stopped at its time."""

    def __init__(self, process, at, act):
        self._process, self._at, self._act = process, at, act
        self._is_active = True
        process.world.at(process.real_time(at), self.fire)

    def active(self):
        return self._is_active

    def getTime(self):
        return self._at

    def cancel(self):
        self._is_active = False

    def fire(self):
        if not self._is_active or not self._process.is_alive:
            return
        if self._process.is_stopped:
            self._process.world.at(self._process.stopped_until, self.fire)
        else:
            self._is_active = False
            self._act()


class Process:
    """A gateway: its clock, its coordinator, and its connection to the server."""

    def __init__(self, world, number, start):
        self.world, self.number, self.identifier = world, number, f"gateway-{number}-{start}"
        self._speed = 1.0 + world.random.uniform(-DRIFT, DRIFT)
        self._offset = world.random.uniform(0.0, 1e6)
        self.is_alive, self.stopped_until, self.losing_until = True, 0.0, 0.0
        self.is_served, self.seen_tokens = False, set()
        self.leases = Leases(self.seconds)
        self.lease = self.leases.of(SCANNER)
        self._registration = Registration(self.identifier, f"gateway-{number}", f"http://gateway-{number}", "1",
                                          {SCANNER: "1"})
        self.coordinator = Coordinator(
            self, Connection(self), self.leases, Composition(self._begin, self._end),
            registration=lambda: self._registration, boot_time=self.seconds, lease=LEASE, alone=True,
            stop_timeout=STOP_TIMEOUT, ask=self._ask)

    # The clock and the reactor of the process.

    def seconds(self):
        return self._offset + self.world.now * self._speed

    def real_time(self, at):
        return (at - self._offset) / self._speed

    def callLater(self, delay, act):
        return Timer(self, self.seconds() + delay, act)

    @property
    def is_stopped(self):
        return self.world.now < self.stopped_until

    # The composition.

    async def _begin(self, scanner):
        await self._sleep(self.world.random.uniform(0.0, 0.1))
        self.is_served = True

    async def _end(self, scanner, why):
        await self._sleep(self.world.random.choice((0.0, 0.5, 4.0)))
        self.is_served = False

    def _ask(self, gateway, own):
        """Ask another gateway what it serves. One that has never seen the server has no secret, and does not answer."""
        answer, world = Deferred(lambda _: None), self.world
        other = next(one for one in world.processes if gateway.address == f"http://gateway-{one.number}")

        def fire(serving):
            if not self.is_alive:
                return
            if self.is_stopped:
                world.at(self.stopped_until, lambda: fire(serving))
            elif not answer.called:
                answer.callback(serving)

        def arrive():
            if not other.is_alive or not other.coordinator.view:
                return
            if other.is_stopped:
                world.at(other.stopped_until, arrive)
                return
            serving, delay = other.coordinator.questioned(own), world.transit_between(self, other)
            if delay is not None:
                world.at(world.now + delay, lambda: fire(serving))

        delay = world.transit_between(self, other)
        if delay is not None:
            world.at(world.now + delay, arrive)
        return answer

    def knows(self, other):
        """True if the server has told the address of the other gateway, and told that one the secret."""
        view = self.coordinator.view
        return view is not None and other.coordinator.view is not None and any(
            one.address == f"http://gateway-{other.number}" for one in view.gateways)

    def _sleep(self, seconds):
        over = Deferred()
        self.callLater(seconds, lambda: over.callback(None))
        return over


@implementer(ICoordination)
class Connection:
    """The connection of a process: requests and replies that are late or lost."""

    def __init__(self, process):
        self._process, self._world = process, process.world

    def tick(self, registration, lease, renewals, scanners):
        return self._send("tick", registration, lease, dict(renewals), tuple(scanners))

    def acquire(self, *arguments):
        return self._send("acquire", *arguments)

    def release(self, *arguments):
        return self._send("release", *arguments)

    def leave(self, identifier):
        return self._send("leave", identifier)

    def wish(self, scanner, gateway):
        return self._send("wish", scanner, gateway, self._process.identifier)

    def listen(self, bell):
        self._world.bells.append((self._process, bell))

    def _send(self, command, *arguments):
        answer, world, process = Deferred(), self._world, self._process

        def fire(outcome):
            if not answer.called and process.is_alive:
                if process.is_stopped:
                    world.at(process.stopped_until, lambda: fire(outcome))
                    return
                if isinstance(outcome, Exception):
                    answer.errback(outcome)
                else:
                    if command == "tick" and SCANNER in outcome.owners:
                        owner = outcome.owners[SCANNER]
                        process.seen_tokens.add((owner.token, owner.identifier))
                    answer.callback(outcome)

        def arrive():
            server = world.server_of(process)
            if server is None:
                return
            try:
                outcome = getattr(server, command)(*arguments)
            except NameTaken as taken:
                outcome = taken
            delay = world.transit(process)
            if delay is not None:
                world.at(world.now + delay, lambda: fire(outcome))

        process.callLater(DEADLINE, lambda: fire(NotNow("no answer")))
        delay = world.transit(process)
        if delay is not None:
            world.at(world.now + delay, arrive)
        return answer


class World:
    """The real time, the server, and the gateways. `violations` lists what must not happen."""

    def __init__(self, seed, gateways, variant):
        self.random, self.variant = random.Random(seed), variant
        self.now, self.violations, self.bells = 0.0, [], []
        self._events, self._order = [], itertools.count()
        self._server_speed = 1.0 + self.random.uniform(-DRIFT, DRIFT)
        self._jumped, self._jumped_at = 0.0, float("-inf")
        self.server = ClusterServer(lambda: 1e9 + self._jumped + self.now * self._server_speed, grace=variant.grace,
                                    eras=variant.eras)
        self.server.bells.append(self._ring)
        self._up_from = 0.0
        self._isolated, self._cut_off, self._isolated_from, self._healed_at = None, set(), 0.0, 0.0
        self._disturbed_at = self._beside_since = 0.0
        self._split, self._split_until = set(), 0.0
        self._linked_at = self._alone_since = 0.0  # the last disturbance of gateways; since when two are alone
        self._lost_data_at = float("-inf")
        self._last = (0, None)  # token and process of the last valid owner, as the scanner saw them
        self._last_at = float("-inf")
        self._starts, self._replacing = itertools.count(), True
        self.processes = [self._start(number) for number in range(gateways)]

    # Time.

    def at(self, time, act):
        heapq.heappush(self._events, (max(time, self.now), next(self._order), act))

    def advance(self, seconds):
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            act()
            self._judge()
        self.now = until

    # What happens.

    def disturb(self, until=None, *, is_server=False):
        until = self.now if until is None else until
        self._disturbed_at = max(self._disturbed_at, until)
        if not is_server:
            self._linked_at = max(self._linked_at, until)

    def stop_process(self, number, seconds):
        """SIGSTOP, and SIGCONT after some seconds."""
        process = self.processes[number]
        process.stopped_until = max(process.stopped_until, self.now + seconds)
        self.disturb(process.stopped_until)

    def kill(self, number, silent_for):
        """kill -9, and a new process some seconds later."""
        if self.now - self._jumped_at < LEASE:
            return
        self.processes[number].is_alive = False
        self.at(self.now + silent_for, lambda: self._replace(number))
        self.disturb(self.now + silent_for)

    def lose(self, number, seconds):
        """The messages of a process get lost for some time."""
        process = self.processes[number]
        process.losing_until = max(process.losing_until, self.now + seconds)
        self.disturb(process.losing_until)

    def restart_server(self, data, age, silent_for):
        """Restart the server with its data kept, older or empty."""
        self.server.restart(data, age)
        self._went_away(silent_for, lost=data != "kept")

    def fail_over(self, lag, silent_for):
        """Another server becomes the master, which lacks the last writes."""
        self.server.failover(lag)
        self._went_away(silent_for, lost=True)

    def isolate(self, lag, promoted_after, cut_off, healed_after):
        """The master is cut off with some gateways. It takes writes for a while; another one becomes the master."""
        self._isolated, self._cut_off = self.server.isolated(), set(cut_off)
        self._isolated_from, self._healed_at = self.now, self.now + healed_after
        self.server.failover(lag)
        self._went_away(max(promoted_after, self.variant.promotion), lost=True)
        self.disturb(self._healed_at)

    def silence(self, seconds):
        """The server is away, and keeps its data."""
        self._went_away(seconds, lost=False)

    def split(self, numbers, seconds):
        """These gateways do not reach the others, nor the others them. The server reaches all."""
        self._split, self._split_until = set(numbers), self.now + seconds
        self.disturb(self._split_until)

    def jump(self, seconds):
        """The server's clock jumps forward.

        A gateway that starts within a lease of that cannot notice it, which the model leaves out.
        """
        if all(process.is_alive and process.coordinator.view is not None for process in self.processes):
            self._jumped += seconds
            self._jumped_at = self.now
            self.disturb()

    def wish(self, number):
        """An administrator moves the scanner."""
        self.server.wish(SCANNER, f"gateway-{number}")

    def survive(self, number):
        """End all that disturbs, and all other processes, for good."""
        for other in [*range(number), *range(number + 1, len(self.processes))]:
            self.processes[other].is_alive = False
        self._replacing = False
        self._replace(number, at_once=True)
        self._heal()

    def is_served_by(self, number):
        """True if that process owns and serves the scanner."""
        process = self.processes[number]
        return process.is_alive and process.is_served and process.lease.is_valid

    def _heal(self):
        self._up_from, self._healed_at = min(self._up_from, self.now), min(self._healed_at, self.now)
        for process in self.processes:
            process.stopped_until, process.losing_until = min(process.stopped_until, self.now), 0.0
        self._split_until = min(self._split_until, self.now)
        self._disturbed_at = self._linked_at = self.now

    # What processes see.

    def server_of(self, process):
        """The server that a message of the process arrives at; None if it is lost."""
        if process.number in self._cut_off and self.now < self._healed_at:
            return self._isolated if self.now - self._isolated_from < self.variant.isolation else None
        return self.server if self.now >= self._up_from else None

    def transit(self, process):
        """The time that a message takes; None if it is lost."""
        if self.now < process.losing_until:
            return None
        luck = self.random.random()
        if luck < 0.01:
            self.disturb(self.now + 2.0)
            return None if luck < 0.005 else self.random.uniform(0.1, 2.0)
        return self.random.uniform(0.0005, 0.02)

    def transit_between(self, process, other):
        """The time that a message takes between two gateways; None if it is lost."""
        is_split = self.now < self._split_until and (process.number in self._split) is not (other.number in self._split)
        return None if is_split else self.transit(process)

    def is_calm(self, seconds):
        """True if nothing has disturbed for some seconds."""
        return self.now - self._disturbed_at > seconds

    # What must not happen.

    def _judge(self):
        holding = [process for process in self.processes if process.is_alive and process.lease.holds()]
        valid = [process for process in holding if process.lease.is_valid]
        if len(valid) > 1:
            self._violated("two owners")
        for owner in valid:
            self._judge_token(owner)
        if len(holding) < 2 or len(valid) == len(holding) or not self.is_calm(CALM):
            self._beside_since = self.now
        elif self.now - self._beside_since > TICK:
            self._violated("alone beside another for longer than a tick")
        self._judge_alone([process for process in holding if process not in valid])

    def _judge_alone(self, alone):
        """Of two that serve without the server, and of which one was told of the other by the server, one gives up."""
        alone = [process for process in alone if process.is_served and any(
            process.knows(other) or other.knows(process) for other in alone if other is not process)]
        if len(alone) < 2 or self.now - self._linked_at < ASKING:
            self._alone_since = self.now
        elif self.now - self._alone_since > ASKING:
            self._violated("two alone that reach each other")

    def _judge_token(self, owner):
        token, process = self._last
        if owner.lease.token == token and process is owner:
            return
        granted = self._last_at - DEADLINE  # at the earliest
        is_lost = self._lost_data_at >= granted or self._isolated_from <= self._last_at <= self._healed_at + DEADLINE
        is_known = not is_lost or (process is not None and (token, process.identifier) in owner.seen_tokens)
        if owner.lease.token <= token and (is_known or process is owner):
            self._violated(f"token {owner.lease.token} after {token}")
        self._last, self._last_at = (owner.lease.token, owner), self.now

    def _violated(self, what):
        self.violations.append((round(self.now, 3), what))

    # The rest.

    def _start(self, number):
        process = Process(self, number, next(self._starts))
        self.at(self.now + self.random.uniform(0.0, 1.0), process.coordinator.start)
        return process

    def _replace(self, number, at_once=False):
        if (at_once or self._replacing) and not self.processes[number].is_alive:
            self.processes[number] = self._start(number)

    def _went_away(self, silent_for, lost):
        self._up_from = max(self._up_from, self.now + silent_for)
        if lost:
            self._lost_data_at = self.now
        self.disturb(self._up_from, is_server=True)

    def _ring(self, identifier):
        for process, bell in self.bells:
            if process.is_alive and not process.is_stopped and process.identifier != identifier:
                delay = self.transit(process)
                if delay is not None:
                    self.at(self.now + delay, bell)


def run(seed, variant, seconds=60.0):
    """A random schedule. Returns the world at its end."""
    chance = random.Random(f"schedule {seed}")
    gateways = chance.choice((2, 3, 3, 4))
    world = World(seed, gateways, variant)
    world.advance(chance.uniform(5.0, 10.0) + variant.grace)
    end = world.now + seconds
    while world.now < end:
        happen(world, chance)
        world.advance(chance.expovariate(1 / 3.0))
    survivor = chance.randrange(gateways)
    world.survive(survivor)
    world.advance(SETTLING + variant.grace)
    if not world.is_served_by(survivor):
        world.violations.append((round(world.now, 3), "unserved though a gateway runs"))
    return world


def happen(world, chance):
    """One random event."""
    variant, number = world.variant, chance.randrange(len(world.processes))
    kinds = ["stop", "stop", "lose", "kill", "wish"] + variant.restarts * ["restart"] + variant.failovers * ["failover"]
    kinds += ["silence", "split"]
    kinds += bool(variant.isolation) * ["isolate"] + variant.jumps * ["jump"]
    kind = chance.choice(kinds)
    if kind == "stop":
        world.stop_process(number, chance.uniform(0.0, 9.0))
    elif kind == "lose":
        world.lose(number, chance.uniform(0.0, 6.0))
    elif kind == "kill":
        world.kill(number, chance.uniform(0.0, 6.0))
    elif kind == "wish":
        world.wish(number)
    elif kind == "restart":
        world.restart_server(chance.choice(("kept", "older", "empty")), chance.uniform(0.0, 20.0),
                             chance.uniform(0.0, 5.0))
    elif kind == "silence":
        world.silence(chance.uniform(0.0, 40.0))
    elif kind == "split":
        world.split([number], chance.uniform(0.0, 20.0))
    elif kind == "jump":
        world.jump(chance.uniform(0.0, 20.0))
    elif kind == "failover":
        world.fail_over(chance.uniform(0.0, 6.0), chance.uniform(0.0, 5.0))
    else:
        world.isolate(chance.uniform(0.0, 6.0), chance.uniform(0.0, 6.0),
                      [other for other in range(len(world.processes)) if chance.random() < 0.5],
                      chance.uniform(2.0, 40.0))


def main(name, schedules, seed=0):
    """Print how many schedules had violations of each kind, and the first ones."""
    counts = {}
    for number in range(int(schedules)):
        world = run(f"{seed}-{number}", VARIANTS[name])
        for what in {what.split()[0] for _, what in world.violations}:
            counts[what] = counts.get(what, 0) + 1
            if counts[what] <= 3:
                print(number, world.violations[:2])
    print(name, schedules, counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
