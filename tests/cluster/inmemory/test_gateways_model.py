"""Stateful model of whole gateways that share a scanner: the promises of one gateway hold for all of them together.

Clients choose any gateway for each request, while gateways are killed, stopped, ended and cut off, and Redis is away or
loses its data. In the end everything must work, and what happened is judged.
"""

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.cluster.inmemory.judging import judge, judge_calm
from tests.cluster.inmemory.scanner import FINAL
from tests.cluster.inmemory.world import NAME, World

GATEWAYS, CLIENTS = st.integers(0, 2), st.integers(0, 2)
SECONDS = st.sampled_from([0.0, 0.03, 0.3, 1.0, 2.5, 5.0])
KINDS = {"all": {}, "status": {"events": ("JobStatusEvent",)}, "ends": {"events": ("JobEndStateEvent",)},
         "panel": {"events": ("ScanAvailableEvent",)}}


class Model(RuleBasedStateMachine):
    world = None

    @initialize(seed=st.integers(0, 1 << 16), is_shared=st.booleans())
    def begin(self, seed, is_shared):
        self.world = World(seed, is_shared=is_shared)
        self.creations, self.presses, self.contexts = [], 0, 0
        self.world.advance(8.0)
        self.subscribe(0, 1, "all", 1.0)

    def gateway(self, number):
        return self.world.gateways[number]

    # Clients.

    @rule(client=CLIENTS, gateway=GATEWAYS, place=st.integers(0, 3), seconds=SECONDS)
    def read(self, client, gateway, place, seconds):
        jobs = list(self.world.scanner.jobs)[-4:]
        if jobs:
            self.world.clients[client].read(self.gateway(gateway), jobs[place % len(jobs)])
        self.world.advance(seconds)

    @rule(place=st.integers(0, 3), seconds=SECONDS)
    def read_everywhere(self, place, seconds):
        for number in range(3):
            self.read(number, number, place, 0.0)
        self.world.advance(seconds)

    @rule(client=CLIENTS, gateway=GATEWAYS, seconds=SECONDS)
    def create(self, client, gateway, seconds):
        one = self.world.clients[client]
        self.creations.append((one, one.new_creation()))
        one.create(self.gateway(gateway), self.creations[-1][1])
        self.world.advance(seconds)

    @rule(gateway=GATEWAYS, seconds=SECONDS)
    @precondition(lambda self: self.creations)
    def create_again(self, gateway, seconds):
        one, creation = self.creations[-1]
        one.create(self.gateway(gateway), creation)
        self.world.advance(seconds)

    @rule(client=CLIENTS, gateway=GATEWAYS, place=st.integers(0, 3), seconds=SECONDS)
    @precondition(lambda self: self.world.scanner.active())
    def cancel(self, client, gateway, place, seconds):
        jobs = self.world.scanner.active()
        self.world.clients[client].cancel(self.gateway(gateway), jobs[place % len(jobs)].job_id)
        self.world.advance(seconds)

    @rule(client=CLIENTS, gateway=GATEWAYS, kind=st.sampled_from(sorted(KINDS)), seconds=SECONDS)
    def subscribe(self, client, gateway, kind, seconds):
        self.contexts += 1
        destinations = [(f"c{self.contexts}", f"Name {self.contexts}")] if kind == "panel" else ()
        self.world.clients[client].subscribe(self.gateway(gateway), self.world.granted.append,
                                             destinations=destinations, **KINDS[kind])
        self.world.advance(seconds)

    @rule(gateway=GATEWAYS, place=st.integers(0, 9), ends=st.sampled_from([False, False, True]), seconds=SECONDS)
    @precondition(lambda self: self.world.granted)
    def renew_or_unsubscribe(self, gateway, place, ends, seconds):
        granted = self.world.granted
        one = granted[place % len(granted)]
        if ends:
            granted.remove(one)
            one.client.unsubscribe(self.gateway(gateway), one)
        else:
            one.client.renew(self.gateway(gateway), one)
        self.world.advance(seconds)

    # The scanner.

    @rule(place=st.integers(0, 3), state=st.sampled_from(["Processing", "Processing", *FINAL]), seconds=SECONDS)
    @precondition(lambda self: self.world.scanner.active())
    def job_changes(self, place, state, seconds):
        jobs = self.world.scanner.active()
        self.world.scanner.change(jobs[place % len(jobs)], state)
        self.world.advance(seconds)

    @rule(place=st.integers(0, 3), seconds=SECONDS)
    def button_is_pressed(self, place, seconds):
        self.presses += 1
        self.world.scanner.press(f"p{self.presses}", place)
        self.world.advance(seconds)

    @rule(seconds=SECONDS)
    def scanner_restarts(self, seconds):
        self.world.scanner.start()
        self.world.advance(seconds)

    # The gateways and Redis.

    @rule(seconds=st.sampled_from([5.0, 10.0]))
    def time_passes(self, seconds):
        self.world.advance(seconds)

    @rule(number=GATEWAYS, is_owner=st.booleans(), seconds=SECONDS)
    def kill(self, number, is_owner, seconds):
        self.world.kill(self.world.owner_or(number) if is_owner else number)
        self.world.advance(seconds)

    @rule(seconds=SECONDS)
    @precondition(lambda self: not all(one.is_alive for one in self.world.gateways))
    def dead_ones_start(self, seconds):
        for number in range(3):
            self.world.start(number)
        self.world.advance(seconds)

    @rule(number=GATEWAYS, seconds=SECONDS)
    @precondition(lambda self: all(one.is_alive and not one.is_ending for one in self.world.gateways))
    def end(self, number, seconds):
        self.world.end(self.world.owner_or(number))
        self.world.advance(seconds)

    @rule(number=GATEWAYS, is_owner=st.booleans(), paused=st.sampled_from([0.5, 2.0, 6.0]), seconds=SECONDS)
    def pause(self, number, is_owner, paused, seconds):
        self.world.pause(self.world.owner_or(number) if is_owner else number, paused)
        self.world.advance(seconds)

    @rule(number=GATEWAYS, whom=st.sampled_from(["redis", "peers", "both"]), seconds=SECONDS)
    def cut_off(self, number, whom, seconds):
        if whom != "peers":
            self.world.cut_from_redis(number)
        if whom != "redis":
            self.world.cut_from_peers(number)
        self.world.advance(seconds)

    @rule(seconds=SECONDS)
    @precondition(lambda self: self.world.redis_cuts or self.world.network.cuts)
    def heal(self, seconds):
        self.world.heal()
        self.world.advance(seconds)

    @rule(away=st.sampled_from([0.1, 2.0, 6.0]), data=st.sampled_from(["kept", "kept", "empty"]), seconds=SECONDS)
    def redis_restarts(self, away, data, seconds):
        self.world.lose_redis(away, data)
        self.world.advance(seconds)

    @rule(number=GATEWAYS, seconds=SECONDS)
    def scanner_is_moved(self, number, seconds):
        self.world.server.wish(NAME, self.gateway(number).name)
        self.world.advance(seconds)

    @rule(number=GATEWAYS, seconds=SECONDS)
    def address_moves(self, number, seconds):
        self.world.holder_moves(number)
        self.world.advance(seconds)

    def teardown(self):
        if self.world is None:
            return
        try:
            self.world.settle()
            found = [*judge_calm(self.world), *judge(self.world)]
            for one in found:
                note(one)
            assert not found, found[0]
        finally:
            self.world.stop()


TestGateways = Model.TestCase
TestGateways.settings = settings(max_examples=100, stateful_step_count=30, deadline=None,
                                 suppress_health_check=list(HealthCheck))
