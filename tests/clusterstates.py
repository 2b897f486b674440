"""The state of a cluster for tests, as the coordinator of a gateway gives it."""

import attrs
from twisted.internet.defer import succeed

from wsdgateway.bridge.cluster.state import FOLLOWING, OWNING, ClusterGateway, Ownership, ServerState

SEEN = 1790769590.0  # 30 Sep 2026, 11:59:50 UTC
URL = "redis://…@redis.example.org:6379/0"
AWAY = ServerState(URL, reachable=False, version="7.0.15", era=3, problem=f"{URL}: no answer within 1 s",
                   problem_since=SEEN - 60)


def gateway(name, *scanners, configured=(), **more):
    return ClusterGateway(name, **{"version": "1.2.3", "address": f"http://{name}:5360", "last_seen": SEEN,
                                   "scanners": scanners, "configured": frozenset(configured), **more})


@attrs.define
class FakeCluster:
    """A cluster of two gateways in which print-server-1, this one, owns `front-desk`, and the other one `attic`."""

    name: str = "print-server-1"
    redis: ServerState = attrs.Factory(lambda: ServerState(URL, reachable=True, version="7.0.15", era=3))
    registered: list = attrs.Factory(lambda: [gateway("print-server-1", "front-desk"),
                                              gateway("print-server-2", "attic")])
    owners: dict = attrs.Factory(lambda: {
        "front-desk": Ownership("front-desk", OWNING, "print-server-1", 0.512),
        "attic": Ownership("attic", FOLLOWING, "print-server-2", 1.0)})
    differing: list = attrs.Factory(list)
    wishes: list = attrs.Factory(list)
    answer: object = attrs.Factory(lambda: lambda: succeed(None))

    def server(self):
        return self.redis

    def gateways(self):
        return self.registered

    def ownership(self, scanner):
        return self.owners[scanner]

    def ownerships(self):
        return list(self.owners.values())

    def differences(self):
        return self.differing

    def wish(self, scanner, gateway):
        self.wishes.append((scanner, gateway))
        return self.answer()

    def owned(self, scanner, ownership, owner, **more):
        """Changes who owns a scanner."""
        self.owners[scanner] = Ownership(scanner, ownership, owner, **more)
