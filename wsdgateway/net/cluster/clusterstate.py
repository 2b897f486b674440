"""The state of the cluster for the admin site, the command line and metrics, from what the coordinator knows."""

from collections.abc import Callable, Sequence

from wsdgateway.bridge.cluster.state import FOLLOWING, ClusterGateway, Ownership, ServerState
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.net.cluster.coordinator import Coordinator
from wsdgateway.net.cluster.knowledge import KnownOwnership

NO_ENDPOINT = "it has no [cluster] endpoint, so that requests cannot be passed to it"
_STATES = {"stopped": FOLLOWING}


class CoordinatedState:
    """A `ClusterState`. `name` is that of this gateway, `url` that of the server without its password.

    `wall` returns seconds since 1970, `boot_time` those of the boot clock, `version` the version of the server's
    software, None if it is not known.
    """

    def __init__(self, coordinator: Coordinator, name: str, url: str, *, wall: Callable[[], float],
                 boot_time: Callable[[], float], version: Callable[[], str | None]) -> None:
        self.name = name
        self._coordinator = coordinator
        self._url = url
        self._wall, self._boot_time, self._version = wall, boot_time, version

    def server(self) -> ServerState:
        """The state of the shared server."""
        state, view = self._coordinator.redis_state, self._coordinator.view
        is_away = state.is_reachable is False
        return ServerState(self._url, state.is_reachable, self._version(), None if view is None else view.era,
                           (state.cause or "no answer") if is_away else None,
                           self._on_wall(state.since) if is_away else None,
                           0.0 if is_away else self._coordinator.grace)

    def gateways(self) -> Sequence[ClusterGateway]:
        """The gateways of the last view, by name."""
        view, state = self._coordinator.view, self._coordinator.redis_state
        if view is None:
            return []
        # While the server answers, the last view is younger than a lease.
        seen = self._on_wall(state.since) if state.is_reachable is False else self._wall()
        owned: dict[str, list[str]] = {}
        for one in self.ownerships():
            if one.owner is not None:
                owned.setdefault(one.owner, []).append(one.scanner)
        return [ClusterGateway(gateway.name, gateway.version, gateway.address, seen, tuple(owned.get(gateway.name, ())),
                               frozenset(gateway.sections))
                for gateway in sorted(view.gateways, key=lambda one: one.name)]

    def ownership(self, scanner: str) -> Ownership:
        """The ownership of a scanner; one without an owner if the coordinator does not know the scanner."""
        return next((one for one in self.ownerships() if one.scanner == scanner), Ownership(scanner, FOLLOWING))

    def ownerships(self) -> Sequence[Ownership]:
        """The ownership of every scanner."""
        view = self._coordinator.view
        gateways = {} if view is None else {one.name: one for one in view.gateways}
        return [self._ownership(one, gateways) for one in self._coordinator.ownerships()]

    def _ownership(self, known: KnownOwnership, gateways: dict[str, Registration]) -> Ownership:
        owner = None if known.owner is None or known.owner == self.name else gateways.get(known.owner)
        problem = NO_ENDPOINT if owner is not None and not owner.address else None
        return Ownership(known.scanner, _STATES.get(known.state, known.state), known.owner, known.lease_age, problem)

    def differences(self) -> Sequence[str]:
        """The differences between the configurations of the gateways."""
        return self._coordinator.differences

    async def wish(self, scanner: str, gateway: str) -> None:
        """Asks for the gateway of that name to own a scanner.

        Raises `CannotMove`, or `NotNow` if the server cannot serve.
        """
        await self._coordinator.move(scanner, gateway)

    def _on_wall(self, boot_time: float) -> float:
        return self._wall() - (self._boot_time() - boot_time)
