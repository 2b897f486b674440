"""Gateways of a cluster in one process: real coordinators, a server in memory, and one clock for each process."""

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.clusterserver import ClusterConnection, ClusterServer
from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.cluster.coordinator import Coordinator
from wsdgateway.net.cluster.ownedscanner import Composition
from wsdgateway.net.transport.errors import Unavailable

LEASE, STEP, STOP_TIMEOUT = 4.0, 0.01, 10.0


class Gateway:
    """A gateway. `served` has the scanners that it serves, `history` what its composition was told.

    `beginning` and `ending` are Deferreds that `begin` and `end` wait for, None if they are done at once; an exception
    as `beginning` is raised.
    """

    def __init__(self, cluster, name, sections, *, holds_address=False, alone=True, latency=None, lease=LEASE):
        self.cluster, self.name, self.reactor = cluster, name, Clock()
        self.is_running, self.address = True, f"http://{name}"
        self.sections, self.holds_address = sections, holds_address
        self.identifier = f"{name}-{len(cluster.gateways)}"
        self.connection = ClusterConnection(cluster.server, self.reactor, self.identifier, latency)
        self.leases = Leases(cluster.clock.seconds)
        self.history, self.served, self.taken, self.changes = [], set(), [], 0
        self.beginning = self.ending = None
        self.restricted = []  # what the composition was told of serving alone
        self.heard = []  # the scanners that another gateway has told that it serves
        self.unreached = []  # the gateways to which the link is broken
        self.coordinator = Coordinator(
            self.reactor, self.connection, self.leases,
            Composition(self._begin, self._end, self._regained, self._changed, self.history.append, self._fenced,
                        self.taken.append, self._begin_alone, self._alone, self.heard.append),
            registration=self.registration, boot_time=cluster.clock.seconds, lease=lease, alone=alone,
            stop_timeout=STOP_TIMEOUT, ask=self._ask)

    def start(self):
        """Start, and let the first tick be answered."""
        self.coordinator.start()
        self.cluster.advance(STEP)

    async def stop(self):
        """Stop as the program does."""
        if await self.coordinator.leave():
            await self.coordinator.hand_over()
        await self.coordinator.take_what_is_left(STOP_TIMEOUT)
        await self.coordinator.stop()

    def owns(self, scanner="desk"):
        return scanner in self.served and self.leases.of(scanner).holds()

    def state(self, scanner="desk"):
        return next(known for known in self.coordinator.ownerships() if known.scanner == scanner)

    def kill(self):
        """The process ends at once."""
        self.is_running = False
        self.connection.state = "silent"
        self.served.clear()

    def registration(self):
        return Registration(self.identifier, self.name, self.address, "1", dict(self.sections),
                            holds_address=self.holds_address)

    async def _begin(self, scanner):
        if isinstance(self.beginning, Exception):
            raise self.beginning
        if self.beginning is not None:
            await self.beginning
        self.history.append(f"begin {scanner}")
        self.served.add(scanner)

    async def _end(self, scanner, why):
        self.history.append(f"end {scanner}: {why.value}")
        if self.ending is not None:
            await self.ending
        self.served.discard(scanner)

    async def _begin_alone(self, scanner):
        if isinstance(self.beginning, Exception):
            raise self.beginning
        self.history.append(f"begin {scanner} alone")
        self.served.add(scanner)

    def _alone(self, scanner, is_alone):
        self.restricted.append((scanner, is_alone))

    def _ask(self, gateway, own):
        """Ask another gateway what it serves. It answers after `STEP`, unless one has the other in `unreached`."""
        answer = Deferred()
        other = next((one for one in self.cluster.gateways if one.address == gateway.address and one.is_running), None)

        def reply():
            if answer.called:
                return
            if other is None or other in self.unreached or self in other.unreached:
                answer.errback(Unavailable(gateway.address, "no answer"))
            else:
                answer.callback(other.coordinator.questioned(own))

        self.reactor.callLater(STEP, reply)
        return answer

    def _regained(self, scanner):
        self.history.append(f"regained {scanner}")

    def _changed(self):
        self.changes += 1

    def _fenced(self):
        self.history.append("fenced")


class Cluster:
    """The gateways, the server, and real time."""

    def __init__(self, **server):
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.server = ClusterServer(self.clock.seconds, **server)
        self.gateways = []
        self.overlaps = []  # (time, scanner, owners) at which more than one gateway owned a scanner

    def add(self, name, sections=("desk",), *, start=True, **options):
        digests = sections if isinstance(sections, dict) else dict.fromkeys(sections, "1")
        gateway = Gateway(self, name, digests, **options)
        self.gateways.append(gateway)
        if start:
            gateway.start()
        return gateway

    def advance(self, seconds):
        """Let time pass for all that run."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            for gateway in self.gateways:
                if gateway.is_running:
                    gateway.reactor.advance(STEP)
            for scanner in {scanner for gateway in self.gateways for scanner in gateway.served}:
                owners = [gateway.name for gateway in self.gateways if gateway.owns(scanner)]
                if len(owners) > 1:
                    self.overlaps.append((self.clock.seconds(), scanner, owners))

    def advance_until(self, condition, seconds=30.0):
        """Let time pass until the condition is true; returns how much that was."""
        began = self.clock.seconds()
        while not condition():
            assert self.clock.seconds() - began < seconds, "the condition did not become true in time"
            self.advance(STEP)
        return self.clock.seconds() - began

    def owner(self, scanner="desk"):
        owners = [gateway.name for gateway in self.gateways if gateway.owns(scanner)]
        assert len(owners) <= 1
        return owners[0] if owners else None



@attrs.define
class Outcome:
    """The outcome of a Deferred or a coroutine: "waiting", a result, or an exception."""

    value: object = "waiting"

    @classmethod
    def of(cls, pending):
        outcome = cls()
        deferred = pending if isinstance(pending, Deferred) else Deferred.fromCoroutine(pending)
        deferred.addCallbacks(outcome.set, lambda failure: outcome.set(failure.value))
        return outcome

    def set(self, value):
        self.value = value
