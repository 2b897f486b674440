"""Whole gateways in one process, with a scanner, clients and a Redis server on a network in memory.

The gateways are `GatewayService`s as in the program; nothing waits for real time. A run is determined by its seed, also
in another process: random numbers, secrets and the CPU time are those of `Gateway`.
"""

import itertools
import random
from collections import defaultdict
from unittest.mock import patch

import attrs

from tests.cluster.history import FOREVER, History, Pause
from tests.cluster.inmemory.clients import Client
from tests.cluster.inmemory.network import Host, Network
from tests.cluster.inmemory.redis import URL, MemoryServer, shared_server
from tests.cluster.inmemory.scanner import IP, Scanner
from wsdgateway.app.chance import Chance
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import make_config

NAME, EPOCH = "desk", 1.8e9
SHARED_IP = "192.0.2.100"
CLIENT_PORT, PEER_PORT = 5357, 5358
MAX_CONNECTIONS = 2
STEP_SECONDS = 0.0003  # of CPU time that a step of a background task takes: some of them fill a slice
SLOW_SECONDS = 0.04  # that a message to or from a slow Redis takes at most: an event is still written before its 202
STOPPING, SETTLING = 30.0, 45.0  # seconds for a gateway to end, and after the last failure until everything must work


@attrs.define
class Spans:
    """Times in which something was so."""

    spans: list = attrs.field(factory=list)
    since: float | None = None

    def see(self, now, is_so):
        if is_so and self.since is None:
            self.since = now
        elif not is_so and self.since is not None:
            self.spans.append((self.since, now))
            self.since = None

    def end_of(self, moment):
        """The end of the time that contains a moment; the moment if it was not so then."""
        return next((until for since, until in self.spans if since <= moment <= until), moment)

    def touches(self, begin, end, around=0.0):
        """Whether it was so in that time, or so many seconds before or after."""
        spans = self.spans if self.since is None else [*self.spans, (self.since, FOREVER)]
        return any(since <= end + around and begin - around <= until for since, until in spans)


class Gateway:
    """A gateway at an address; `start` begins a new process there."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.name, self.ip, self.port = f"gw{number}", f"192.0.2.{number}", CLIENT_PORT
        self.starts = 0
        self.start()

    @property
    def is_alive(self):
        return self.host.is_alive

    @property
    def lease(self):
        return self.service.shared.leases.of(NAME)

    def start(self):
        """Starts the process, which is alive until it is killed or has ended."""
        world, host = self.world, Host(self.world.network, self.ip)
        self.host, self.is_ending = host, False
        self.starts += 1
        identifier, steps = f"{self.name}-{self.starts}", itertools.count()
        shared = shared_server(host, world.server, identifier,
                               lambda: world.reaches_redis(host), world.redis_latency, world.wall)
        drawn = random.Random(f"{identifier} of {world.seed}")
        chance = Chance(drawn.random, drawn.randbytes, lambda: next(steps) * STEP_SECONDS)

        def opened(*_, on_return, **more):
            shared.store.set_on_return(on_return)
            return shared

        with patch("wsdgateway.app.service.open_shared_server", opened), \
                patch("wsdgateway.app.service.SocketSet", lambda reactor, writes: reactor):
            self.service = GatewayService(host, self._config(), seconds=host.seconds, wall=world.wall, chance=chance)
        world.kept.append(self.service)
        self.service.privilegedStartService()
        self.service.startService()

    def _config(self):
        return make_config({
            "gateway": {"state": URL, "name": self.name},
            "cluster": {"endpoint": f"tcp:{PEER_PORT}:interface={self.ip}", "address": f"http://{self.ip}:{PEER_PORT}"},
            "listen": [{"endpoint": f"tcp:{CLIENT_PORT}:interface={self.ip}"}],
            "admin": {"endpoint": "tcp:5359:interface=127.0.0.1"},
            "scanner": [{"name": NAME, "scan": f"http://{IP}/scan", "max_connections": MAX_CONNECTIONS,
                         "timeout": 10.0}],
            "events": {"check": 15.0,
                       "address": f"http://{SHARED_IP if self.world.is_shared else self.ip}:{CLIENT_PORT}"}},
            "test.toml")

    def kill(self):
        """SIGKILL."""
        self.host.kill()

    def end(self):
        """SIGTERM; the process ends when it has stopped."""
        self.is_ending = True
        host = self.host
        self.service.stopService().addBoth(lambda _: host.kill())


class World:
    """Everything. `lists` is the history as it grows; `violations` has what was seen at once.

    With `is_shared` the scanner notifies an address that moves between the gateways. `several` are the times in which
    more than one gateway served the scanner, because one went on alone; `without_redis` those in which a gateway could
    not reach Redis, or was still alone. `failures` has the moments of each kind, `emptied` those at which Redis lost
    its data, `forgotten` those of them at which no gateway owned the scanner.
    """

    def __init__(self, seed, *, is_shared=True, gateways=3):
        self.seed, self.random, self.is_shared = seed, random.Random(seed), is_shared
        self.network = Network(self.random)
        self.server = MemoryServer(self.wall)
        self.redis_up_from, self.redis_slow_until, self.redis_cuts = 0.0, 0.0, set()
        self.lists = {name: [] for name in (
            "answers", "announcements", "asked", "connections", "subscriptions", "deliveries", "pauses")}
        self.kept = []  # objects of a killed process must not act when they are collected
        self.violations, self.emptied, self.forgotten, self.granted = [], [], [], []
        self.several, self.without_redis = Spans(), Spans()
        self.failures = defaultdict(list)
        names = {f"192.0.2.{number}": f"gw{number}" for number in range(1, gateways + 1)}
        self.scanner = Scanner(self.network, self.lists, names)
        self.gateways = [Gateway(self, number) for number in range(1, gateways + 1)]
        self.network.holders[SHARED_IP] = self.gateways[0].host
        self.clients = [Client(self.network, self.lists, f"192.0.2.{50 + number}") for number in range(3)]
        self.network.on_event = self._look

    def wall(self):
        return EPOCH + self.network.now

    def advance(self, seconds):
        self.network.advance(seconds)

    def reaches_redis(self, host):
        return self.network.now >= self.redis_up_from and host.ip not in self.redis_cuts and host.is_alive

    def redis_latency(self):
        """The seconds that a message to or from Redis takes."""
        slow = self.random.uniform(0.0, SLOW_SECONDS) if self.network.now < self.redis_slow_until else 0.0
        return self.network.latency() + slow

    def owner_or(self, number):
        """The number of the owner, or this number if there is none."""
        return next((place for place, one in enumerate(self.gateways) if one.is_alive and one.lease.holds()), number)

    def _look(self):
        now = self.network.now
        holding = [one for one in self.gateways if one.is_alive and one.lease.holds()]
        self.several.see(now, len(holding) > 1)
        self.without_redis.see(now, now < self.redis_up_from or bool(self.redis_cuts) or any(
            one.is_alive and one.lease.is_alone for one in self.gateways))
        if len(holding) > 1 and sum(one.lease.is_valid for one in holding) > 1:
            self.violations.append(f"two owners at {now:.3f}")

    # Failures.

    def _failed(self, kind):
        self.failures[kind].append(self.network.now)

    def holder_moves(self, number):
        """The shared address moves to a gateway."""
        self.network.holders[SHARED_IP] = self.gateways[number].host

    def kill(self, number):
        self._failed("kill")
        self.gateways[number].kill()

    def end(self, number):
        self._failed("end")
        self.gateways[number].end()

    def start(self, number):
        """Starts a gateway, if it is dead."""
        one = self.gateways[number]
        if not one.is_alive:
            former = one.host
            one.start()
            if self.network.holders[SHARED_IP] is former:
                self.holder_moves(number)

    def pause(self, number, seconds):
        self._failed("pause")
        one = self.gateways[number]
        one.host.pause(seconds)
        self.lists["pauses"].append(Pause(one.name, self.network.now, one.host.stopped_until))

    def cut_from_redis(self, number):
        self._failed("cut")
        self.redis_cuts.add(self.gateways[number].ip)
        self._look()

    def cut_from_peers(self, number):
        one = self.gateways[number]
        for other in self.gateways:
            if other is not one:
                self.network.cut(one.ip, other.ip)

    def heal(self):
        self.redis_cuts.clear()
        self.network.heal()

    def lose_redis(self, seconds, data):
        """Redis restarts, with its data kept or empty; it answers again some seconds later."""
        self._failed("redis")
        self.redis_up_from = max(self.redis_up_from, self.network.now + seconds)
        self.server.restart(data)
        if data == "empty":
            self.emptied.append(self.network.now)
            if not any(one.is_alive and one.lease.holds() for one in self.gateways):
                self.forgotten.append(self.network.now)
        self._look()

    def slow_redis(self, seconds):
        """Redis answers slowly for some seconds."""
        self.redis_slow_until = max(self.redis_slow_until, self.network.now + seconds)

    def cut_from_clients(self, seconds):
        """No gateway reaches a client or an event sink for some seconds."""
        cuts = {frozenset((client.ip, one.ip)) for client in self.clients for one in self.gateways}
        self.network.cuts |= cuts
        self.network.at(self.network.now + seconds, lambda: self.network.mend(cuts))

    # The end.

    def settle(self):
        """Ends all failures, and waits until everything must work."""
        self.heal()
        self.redis_up_from = min(self.redis_up_from, self.network.now)
        if any(one.is_ending for one in self.gateways):
            self.advance(STOPPING)
        for number in range(len(self.gateways)):
            self.start(number)
        if not self.network.holders[SHARED_IP].is_alive:
            self.holder_moves(0)
        self.advance(SETTLING)

    def history(self, **more):
        """Returns the history, with other lists for some of it."""
        return History(**{**{name: tuple(entries) for name, entries in self.lists.items()}, **more})

    def stop(self):
        """Ends all processes."""
        for one in self.gateways:
            one.kill()
