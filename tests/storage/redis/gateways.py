"""The store of one gateway on a Redis server of the tests, which owns the scanners that a test says."""

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.client import RedisClient
from wsdgateway.storage.redis.store import RedisStore

ERA = "1"
WALL = 1.8e9


class Gateway:
    """A gateway by its identifier: its client, leases and store, which keeps three finished jobs.

    Its deadline is long, because a loaded machine is no failure; tests that stop the server give their own.
    """

    def __init__(self, reactor, server, identifier="one", deadline=30.0, wall=WALL):
        self.server = server
        self.identifier = identifier
        self.client = RedisClient(reactor, parse(server.url), deadline=deadline)
        self.leases = Leases(lambda: 0.0)
        self.fenced = []
        self.store = RedisStore(reactor, self.client, self.leases, identifier, 3, lambda: wall)
        self.store.on_fenced = self.fenced.append

    def own(self, scanner, token=1):
        """Makes the gateway the owner of a scanner, whoever has owned it, with nothing read from the server."""
        with self.server.connect() as one:
            run_id = one.info("server")["run_id"]
            one.hset(keys.ERA, mapping={"number": ERA, "run_id": run_id, "grace_until": 0})
            one.set(keys.owner(scanner), f"{ERA} {token} {self.identifier}")
        self.leases.of(scanner).token = token

    def take(self, scanner, token=1):
        """Makes the gateway the owner of a scanner, and reads its data."""
        self.own(scanner, token)
        return self.store.take(scanner)

    def close(self):
        return self.store.close().addCallback(lambda _: self.client.close())
