"""Whole gateways in one process, joined by the peer link; the test says which of them owns the scanner."""

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.cluster.passing import Held
from wsdgateway.bridge.cluster.values import Registration, Serving
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.net.cluster.followed import FollowedScanner, owned
from wsdgateway.net.cluster.passing import Passing
from wsdgateway.net.cluster.passingcontext import PassingContext
from wsdgateway.net.cluster.peerlink import PeerLink
from wsdgateway.net.cluster.peerserver import PeerServer, peer_limits
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.tlsconnections import tls_factory

SCANNER = "front-desk"
SECRET = b"5ec4e7" * 8
FOREVER = 1e12


class FakeOwners:
    """The owners as one gateway knows them. `owner` is set by the test, and wakes those that wait."""

    def __init__(self, reactor):
        self._reactor = reactor
        self._owner = None
        self._waiting = []
        self.demoted = []
        self.waits = 0
        self.outage = None
        self.asked, self.serves = [], {}

    @property
    def owner(self):
        return self._owner

    @owner.setter
    def owner(self, owner):
        self._owner = owner
        if owner is not None:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(owner)

    def find(self, scanner):
        return self._owner if scanner == SCANNER else None

    def wait_for_owner(self, scanner, seconds):
        self.waits += 1
        waiting = Deferred(lambda one: self._waiting.remove(one) if one in self._waiting else None)
        if self._owner is not None:
            waiting.callback(self._owner)
            return waiting
        self._waiting.append(waiting)
        limit = self._reactor.callLater(seconds, lambda: waiting.called or (
            self._waiting.remove(waiting), waiting.callback(None)))

        def over(result):
            if limit.active():
                limit.cancel()
            return result

        return waiting.addBoth(over)

    def questioned(self, by):
        self.asked.append(by)
        return Serving(self.me, self.serves)

    def demote(self, scanner, token):
        self.demoted.append((scanner, token))


class Clustered:
    """A gateway among others. `registration` is how the others know it; its peer link is at `peer_port`."""

    def __init__(self, reactor, service, name, *, secret=SECRET, section=None, trust=None, escl=False,
                 answer_seconds=30.0, identity=None):
        self.reactor, self.service, self.name, self.secret = reactor, service, name, secret
        self.leases = Leases(lambda: 0.0)
        self.lease = self.leases.of(SCANNER)
        self.owners = FakeOwners(reactor)
        service.metrics.watch_cluster(tuple)
        self.held = Held()

        def accounting(scanner):
            return Accounting(scanner, service.metrics, service.recording.log, seconds=service.clock,
                              wall=service.wall)

        self.link = PeerLink(reactor, seconds=service.clock, secret=lambda: self.secret,
                             answer_seconds=answer_seconds, **({} if trust is None else {"trust": trust}))
        self.passing = Passing(SCANNER, PassingContext(
            reactor, name, f"id-{name}", self.link, self.owners, service.metrics, accounting(None), accounting,
            service.message_ids.new_id, self.held), self._serve_here)
        self.followed = FollowedScanner(SCANNER, self.passing, escl=escl)
        self.scanner = None
        service.bridged.context = attrs.evolve(
            service.bridged.context, holds=lambda scanner: self.leases.of(scanner).holds,
            pass_on=lambda scanner, exchange: self.passing.pass_on(exchange))
        service.router.add(self.followed)
        self.server = PeerServer(
            reactor, seconds=service.clock, wall=service.wall, limits=peer_limits(1048576), secret=lambda: self.secret,
            router=service.router, repeats=service.repeats, leases=self.leases, owners=self.owners)
        factory = self.server if identity is None else tls_factory(identity, self.server)
        self.scheme = "http" if identity is None else "https"
        self.listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.peer_port = self.listening.getHost().port
        self.section = section
        self.owners.me = self.registration

    @property
    def port(self):
        return self.service.port

    @property
    def registration(self):
        return Registration(f"id-{self.name}", self.name, f"{self.scheme}://127.0.0.1:{self.peer_port}", "")

    def _serve_here(self, exchange, prefix, rest):
        resource = self.service.router.resource_of(SCANNER.encode(), prefix)
        if not self.lease.holds():
            return False
        self.service.router.serve_admitted(exchange, (resource, rest))
        return True

    def own(self, token=1):
        """Makes this gateway the owner."""
        self.lease.token, self.lease.valid_until = token, FOREVER
        self.scanner = self.service.bridged.bridge(self.section)
        self.service.router.add(owned(SCANNER, self.scanner.resources, self.lease.holds, self.followed))
        self.service.scanner = self.scanner
        self.service.bridged.start_one(self.scanner)

    def lose(self):
        """Ends the lease, without the rest of what a gateway does then."""
        self.lease.end()

    def entries(self):
        """The exchanges of clients in the log."""
        return [kept.entry for kept in self.service.recording.log.since(0) if kept.entry.source != "own"]

    def sample(self, name, **labels):
        found = [line for line in self.service.metrics.render().decode().splitlines()
                 if line.startswith(f"{name}{{") and all(f'{key}="{value}"' in line for key, value in labels.items())]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    async def kill(self):
        """Closes the peer link as the end of the process does."""
        if self.listening is not None:
            listening, self.listening = self.listening, None
            await listening.stopListening()
            await self.server.close_all()

    async def stop(self):
        await self.link.stop()
        await self.kill()


def section_of(url, **more):
    return ScannerConfig(SCANNER, scan=url, **more)
