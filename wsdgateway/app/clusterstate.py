"""Tells people and monitoring about the cluster: `bridge.cluster.state`, from what the coordinator knows."""

from collections.abc import Callable, Sequence

from wsdgateway.bridge.cluster.state import FOLLOWING, SERVING, ClusterGateway, Ownership, ServerState
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.cluster.coordinator import Coordinator
from wsdgateway.net.cluster.knowledge import KnownOwnership
from wsdgateway.storage.coordination import ICoordination


class CoordinatedState:
    """The state of the cluster for the gateway `name`. `url` is that of the server, without a password.

    `wall` returns seconds since 1970, `boot_time` those of the boot clock. `seen` must be set to the time of the last
    view, in seconds since 1970.
    """

    def __init__(self, name: str, url: str, coordinator: Coordinator, coordination: ICoordination, *,
                 wall: Callable[[], float], boot_time: Callable[[], float]) -> None:
        self.name = name
        self._url = url
        self._coordinator = coordinator
        self._coordination = coordination
        self._wall = wall
        self._boot_time = boot_time
        self.seen = 0.0

    def server(self) -> ServerState:
        """The state of the shared server."""
        state, view = self._coordinator.redis_state, self._coordinator.view
        era = None if view is None else view.era
        if state.is_reachable is not False:
            return ServerState(self._url, state.is_reachable, era=era)
        return ServerState(self._url, False, era=era, problem=state.cause,
                           problem_since=self._wall() - self._boot_time() + state.since)

    def gateways(self) -> Sequence[ClusterGateway]:
        """The registered gateways, this one included, by name."""
        view = self._coordinator.view
        if view is None:
            return ()
        return [ClusterGateway(one.name, one.version, one.address, self.seen, tuple(sorted(
            scanner for scanner, owner in view.owners.items() if owner.identifier == one.identifier)),
            frozenset(one.sections)) for one in sorted(view.gateways, key=lambda one: one.name)]

    def ownership(self, scanner: str) -> Ownership:
        """The ownership of a scanner that is configured here."""
        found = next((one for one in self._coordinator.ownerships() if one.scanner == scanner), None)
        return Ownership(scanner, FOLLOWING) if found is None else self._told(found)

    def ownerships(self) -> Sequence[Ownership]:
        """The ownership of every scanner that is configured here, in the order of the configuration."""
        return [self._told(one) for one in self._coordinator.ownerships()]

    def _told(self, one: KnownOwnership) -> Ownership:
        problem = None if one.state in SERVING else self._problem(self._coordinator.find(one.scanner))
        return Ownership(one.scanner, one.state, one.owner, one.lease_age, problem)

    @staticmethod
    def _problem(owner: Registration | None) -> str | None:
        if owner is None or owner.address:
            return None
        return (f"Requests cannot be passed on to the gateway {owner.name}, because it has no [cluster] endpoint; "
                "set one there.")

    async def wish(self, scanner: str, gateway: str) -> None:
        """Ask for the gateway of that name to own a scanner. Raises `NotNow` if the server cannot serve."""
        await self._coordination.wish(scanner, gateway)
        self._coordinator.check()
