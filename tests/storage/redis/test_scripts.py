"""The Lua scripts against their counterpart in Python, `ClusterServer`, by the same random commands.

Time passes on both by `advance`, which at the Redis server moves the ends of everything that ends. The leases are long,
so that the real time of a test makes no difference.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.clusterserver import ClusterServer
from wsdgateway.bridge.cluster.values import Acquired, Registration
from wsdgateway.storage.coordination import Fenced, NameTaken, NotNow
from wsdgateway.storage.redis import keys, ownership
from wsdgateway.storage.redis.fencing import fenced
from wsdgateway.storage.redis.luascript import LuaScript

LEASE, GRACE = 4000.0, 5000.0  # seconds
STEP = 1000.0
NOISE = 200.0  # seconds that a test may take
JOB_SECONDS, SHORT_SECONDS = 2500.0, 500.0
SCANNERS = ("desk", "hall{}: ü")
GATEWAYS = {one: Registration(one, name, f"http://{one}", "1", {"desk": "d" * 40}, frozenset({"hall"}),
                              bases=(f"http://{one}:5357",))
            for one, name in (("a", "print-ä"), ("b", "print-b"), ("c", "print-b"))}

gateways = st.sampled_from(sorted(GATEWAYS))
scanners = st.sampled_from(SCANNERS)
tokens = st.integers(0, 4)
clients = st.sampled_from(("192.0.2.1", "2001:db8::/64"))
jobs = st.sampled_from("pqrs")
COUNT, INTEND, JOBS = map(LuaScript, ("count", "intend", "jobs"))


class Scripts(RuleBasedStateMachine):
    redis = None  # set by the test

    @initialize()
    def begin(self):
        self.redis.flushall()
        self.time = 1_000_000.0
        self.twin = ClusterServer(lambda: self.time, grace=GRACE)
        self.eras = {}  # number at the twin -> number at the server
        self.newest_era = 0

    def same(self, ours, theirs):
        assert abs(ours - theirs) < NOISE

    def same_owner(self, ours, theirs):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert (ours.token, ours.identifier) == (theirs.token, theirs.identifier)
            self.same(ours.remaining, theirs.remaining)

    @rule(gateway=gateways, renewals=st.dictionaries(scanners, tokens), names=st.lists(scanners, unique=True))
    def tick(self, gateway, renewals, names):
        try:
            theirs = self.twin.tick(GATEWAYS[gateway], LEASE, renewals, names)
        except NameTaken:
            with pytest.raises(NameTaken):
                ownership.tick(self.redis, GATEWAYS[gateway], LEASE, GRACE, renewals, names)
            return
        ours = ownership.tick(self.redis, GATEWAYS[gateway], LEASE, GRACE, renewals, names)
        assert (ours.gateways, ours.renewed, ours.wishes) == (theirs.gateways, theirs.renewed, theirs.wishes)
        assert ours.owners.keys() == theirs.owners.keys()
        for name, owner in ours.owners.items():
            self.same_owner(owner, theirs.owners[name])
        self.same(ours.grace, theirs.grace)
        assert (ours.grace == 0.0) == (theirs.grace == 0.0)
        if theirs.era in self.eras:
            assert self.eras[theirs.era] == ours.era
        else:
            assert ours.era > self.newest_era
            self.eras[theirs.era] = self.newest_era = ours.era

    @rule(gateway=gateways, scanner=scanners, mine=tokens, valid=st.booleans())
    def acquire(self, gateway, scanner, mine, valid):
        theirs = self.twin.acquire(scanner, gateway, LEASE, mine, valid)
        ours = ownership.acquire(self.redis, scanner, gateway, LEASE, GRACE, mine, valid)
        assert type(ours) is type(theirs)
        if isinstance(theirs, Acquired):
            assert ours.token == theirs.token
        else:
            self.same_owner(ours.owner, theirs.owner)
            self.same(ours.grace, theirs.grace)

    @rule(gateway=gateways, scanner=scanners, token=tokens)
    def release(self, gateway, scanner, token):
        assert ownership.release(self.redis, scanner, gateway, token) == self.twin.release(scanner, gateway, token)

    @rule(gateway=gateways, scanner=scanners, token=tokens)
    def write(self, gateway, scanner, token):
        before = self.redis.hgetall(keys.held(scanner))
        count = int(before.get(b"count", 0))
        try:
            answers = fenced(self.redis, scanner, token, gateway, [
                ("HINCRBY", keys.held(scanner), "count", 1), ("HGET", keys.held(scanner), "missing")])
        except (Fenced, NotNow):
            assert not self.twin.fenced(scanner, gateway, token)
            assert self.redis.hgetall(keys.held(scanner)) == before
        else:
            assert self.twin.fenced(scanner, gateway, token)
            assert answers == [count + 1, None]

    @rule(gateway=gateways, scanner=scanners)
    def write_by_the_present_token(self, gateway, scanner):
        if (owner := self.twin.owner(scanner)) is not None:
            self.write(gateway, scanner, owner.token)

    @rule(gateway=gateways, scanner=scanners)
    def release_by_the_present_token(self, gateway, scanner):
        if (owner := self.twin.owner(scanner)) is not None:
            self.release(gateway, scanner, owner.token)

    @rule(gateway=gateways, scanner=scanners, token=tokens, client=clients, job=jobs, most=st.integers(1, 3),
          intends=st.booleans())
    def count(self, gateway, scanner, token, client, job, most, intends):
        names, intent, counted = [keys.ERA, keys.owner(scanner)], keys.create(scanner, "hash"), keys.jobs(client)
        claim = [job, round(JOB_SECONDS * 1000), most]
        self.redis.delete(intent)
        if intends:
            [outcome] = INTEND.run(self.redis, [*names, intent, counted], [token, gateway, "sent", 60_000, *claim])
        else:
            outcome = COUNT.run(self.redis, [*names, counted], [token, gateway, *claim])
        assert outcome.decode() == self.twin.count(scanner, gateway, token, client, job, JOB_SECONDS, most)
        assert self.redis.exists(intent) == (intends and outcome == b"done")

    @rule(gateway=gateways, scanner=scanners, client=clients, job=jobs, most=st.integers(1, 3), intends=st.booleans())
    def count_by_an_owner(self, gateway, scanner, client, job, most, intends):
        if self.twin.owner(scanner) is None:
            self.acquire(gateway, scanner, mine=4, valid=True)
        owner = self.twin.owner(scanner)
        self.count(owner.identifier, scanner, owner.token, client, job, most, intends)

    @rule(changes=st.lists(st.tuples(clients, jobs, st.sampled_from((0.0, SHORT_SECONDS, JOB_SECONDS))), min_size=1))
    def change_jobs(self, changes):
        JOBS.run(self.redis, [keys.jobs(client) for client, _, _ in changes],
                 [part for _, job, seconds in changes for part in (job, round(seconds * 1000))])
        for change in changes:
            self.twin.change_job(*change)

    @rule(gateway=gateways, scanner=scanners, client=clients, job=jobs, most=st.integers(1, 3))
    def count_after_a_job_has_expired(self, gateway, scanner, client, job, most):
        self.change_jobs([(client, "p", SHORT_SECONDS), (client, "q", JOB_SECONDS)])
        self.advance(1)
        self.count_by_an_owner(gateway, scanner, client, job, most, intends=True)

    @rule(scanner=scanners, gateway=gateways)
    def wish(self, scanner, gateway):
        ownership.wish(self.redis, scanner, GATEWAYS[gateway].name)
        self.twin.wish(scanner, GATEWAYS[gateway].name)

    @rule(gateway=gateways)
    def leave(self, gateway):
        ownership.leave(self.redis, gateway)
        self.twin.leave(gateway)

    @rule(steps=st.integers(1, 6))
    def advance(self, steps):
        passed = steps * STEP
        self.time += passed
        for key in self.redis.scan_iter():
            if (left := self.redis.pttl(key)) > 0:
                self.redis.pexpire(key, round(left - passed * 1000))
        if (until := self.redis.hget(keys.ERA, "grace_until")) is not None:
            self.redis.hset(keys.ERA, "grace_until", int(until) - round(passed * 1000))
        for scanner in self.redis.hkeys(keys.WISHES):
            self.redis.hset(keys.WISHES, scanner, "1 ended")
        for key in self.redis.scan_iter(keys.jobs("*")):
            for job in self.redis.zrange(key, 0, -1):
                self.redis.zincrby(key, -passed * 1000, job)

    @rule(keep=st.booleans())
    def restart(self, keep):
        self.twin.restart("kept" if keep else "empty")
        if keep:
            if self.redis.exists(keys.ERA):
                self.redis.hset(keys.ERA, "run_id", "another")
        else:
            self.redis.flushall()
            self.eras = {}  # the twin counts from 1 again

    @invariant()
    def tokens_only_grow_and_every_ownership_begins_in_the_stream(self):
        for scanner in SCANNERS:
            ids = [int(entry.partition(b"-")[0]) for entry, _ in self.redis.xrange(keys.events(scanner))]
            assert ids == sorted(set(ids))
            assert ids[-1:] == [int(one) for one in [self.redis.get(keys.token(scanner))] if one]


    @invariant()
    def the_same_jobs_count(self):
        now = self.now()
        for client in ("192.0.2.1", "2001:db8::/64"):
            found = dict(self.redis.zrangebyscore(keys.jobs(client), now, "+inf", withscores=True))
            expected = self.twin.jobs(client)
            assert {job.decode() for job in found} == expected.keys()
            for job, end in found.items():
                self.same((end - now) / 1000, expected[job.decode()] - self.time)
            if found:
                assert self.redis.pttl(keys.jobs(client)) >= max(found.values()) - now - 1000
            assert self.redis.ttl(keys.jobs(client)) != -1

    def now(self):
        seconds, microseconds = self.redis.time()
        return seconds * 1000 + microseconds // 1000


def test_the_scripts_do_what_their_counterpart_does(redis_server):
    with redis_server.connect() as connection:
        class Case(Scripts):
            redis = connection

        run_state_machine_as_test(Case, settings=settings(settings.get_profile("repeatable"), max_examples=100,
                                                          stateful_step_count=30))
