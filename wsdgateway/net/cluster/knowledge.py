"""The knowledge that this gateway has of the cluster: the answer to its last tick, and how old that is."""

from collections.abc import Callable, Iterable, Sequence

import attrs

from wsdgateway.bridge.cluster.lease import BELIEVED
from wsdgateway.bridge.cluster.ownership import Ownership
from wsdgateway.bridge.cluster.ownership_table import State
from wsdgateway.bridge.cluster.values import CLAIM, NO_TOKEN, Owner, Registration, Serving, View
from wsdgateway.net.cluster.serverstate import ServerWatch

_TOLD = {State.ENDING: State.LEAVING, State.WITHDRAWING: State.LEAVING, State.CLAIMING: State.TAKING,
         State.UNLEASED: State.TAKING}
_SERVING = (State.OWNING, State.ALONE)  # while the lease holds


@attrs.frozen
class KnownOwnership:
    """The ownership of a scanner, as this gateway knows it.

    `state` is what it does itself; "ending" and "withdrawing" are told as "leaving", "claiming" as "taking", and
    "unleased" as "alone"; an ownership whose lease has run out, as "following". `owner` is the name of the owner,
    None if there is none or it is unknown. `lease_age` is how long ago the lease was renewed, in seconds.
    """

    scanner: str
    state: str
    owner: str | None
    token: int
    lease_age: float | None


class Knowledge:
    """The last view of the gateway `me` (its identifier). `lease` is the length of a lease in seconds."""

    def __init__(self, me: str, lease: float, boot_time: Callable[[], float], server: ServerWatch) -> None:
        self._me, self._lease, self._boot_time, self._server = me, lease, boot_time, server
        self._received = float("-inf")
        # By scanner. In the grace after a restart of the server, those that go on alone, or the former owners.
        self._owners: dict[str, Registration] = {}
        # By scanner, while the server is away or in the grace: the gateways that have said that they serve it.
        self._told: dict[str, Registration] = {}
        # Meanwhile, the scanners that no gateway has said to serve, and that this one does not take without the server.
        self._unserved: frozenset[str] = frozenset()
        self.view: View | None = None

    def seen(self, view: View, now: float) -> bool:
        """Note the answer to a tick. True if gateways or owners have changed."""
        former, self.view, self._received = self.view, view, now
        self._told = {}
        gateways = {gateway.identifier: gateway for gateway in view.gateways}
        owners = {scanner: gateways[owner.identifier] for scanner, owner in view.owners.items()
                  if owner.identifier in gateways}
        alone = _alone(view)
        self._owners = {**self._owners, **alone, **owners} if view.grace > 0.0 else owners
        self._unserved = self._unserved - alone.keys() - owners.keys() if view.grace > 0.0 else frozenset()
        return former is None or (former.gateways, _tokens(former)) != (view.gateways, _tokens(view))

    def told(self, answers: Sequence[Serving], not_taken: Iterable[str] = ()) -> None:
        """Note what other gateways have said that they serve, while the server is away or in the grace.

        This gateway does not take the scanners in `not_taken` without the server.
        """
        best: dict[str, tuple[int, str, Registration]] = {}
        for answer in answers:
            for scanner, token in answer.tokens.items():
                right = (token, answer.gateway.identifier, answer.gateway)
                if token != CLAIM and (scanner not in best or right[:2] > best[scanner][:2]):
                    best[scanner] = right
        self._told = {scanner: gateway for scanner, (_, _, gateway) in best.items()}
        self._unserved = frozenset(not_taken) - best.keys()

    @property
    def gateways(self) -> tuple[Registration, ...]:
        """The registered gateways, as far as they are known."""
        return () if self.view is None else self.view.gateways

    def others(self) -> list[Registration]:
        """The registered gateways without this one."""
        return [gateway for gateway in self.gateways if gateway.identifier != self._me]

    def asked(self) -> list[Registration]:
        """The gateways that can tell whether they serve a scanner: the others, in the grace also the former owners."""
        former = self._owners.values() if self._is_grace() else ()
        found = {gateway.identifier: gateway for gateway in (*former, *self.others())}
        return [gateway for identifier, gateway in found.items() if identifier != self._me]

    @property
    def living(self) -> tuple[Registration, ...]:
        """The gateways that were registered within the last lease; a gateway that has gone costs clients a time-out."""
        return self.gateways if self._boot_time() <= self._received + self._lease else ()

    def owner(self, scanner: str) -> Registration | None:
        """The other gateway that owns a scanner, or owned it last and goes on.

        While the server cannot be reached, its lease counts as renewed. In the grace after a restart of the server it
        may go on alone; if it does not, it says so when it is asked.
        """
        if scanner in self._told:
            return self._told[scanner]
        gateway = self._owners.get(scanner)
        if gateway is None or gateway.identifier == self._me:
            return None
        return gateway if self._is_grace() or self._foreign_owner(scanner) is not None else None

    def _is_grace(self) -> bool:
        return self._boot_time() < self.grace_until

    @property
    def gives_nothing(self) -> bool:
        """True if the server cannot make a gateway the owner: it is away, or in the grace after a restart."""
        return self._server.state.is_reachable is False or self._is_grace()

    @property
    def grace_until(self) -> float:
        """The boot time at which the grace after a restart of the server ends."""
        return self._received if self.view is None else self._received + self.view.grace

    def owner_name(self, scanner: str) -> str | None:
        """The name of the other gateway that owns a scanner."""
        gateway = self.owner(scanner)
        return None if gateway is None else gateway.name

    def ownership(self, machine: Ownership, own_name: str) -> KnownOwnership:
        """The ownership of a scanner, as far as it is known. `own_name` is the name of this gateway."""
        state, lease, now = machine.state, machine.lease, self._boot_time()
        if state in (State.OWNING, State.ALONE, State.LEAVING) and lease.holds():
            told = State.ALONE.value if state is State.OWNING and lease.is_alone else state.value
            age = now - (lease.valid_until - BELIEVED * self._lease)
            return KnownOwnership(machine.scanner, told, own_name, lease.token, max(0.0, age))
        if state is State.UNLEASED and lease.holds():
            return KnownOwnership(machine.scanner, State.ALONE.value, own_name, NO_TOKEN, None)
        # An owner whose lease does not hold serves nothing, such as one that may not go on without the server.
        told = State.FOLLOWING.value if state in _SERVING else _TOLD.get(state, state).value
        if machine.scanner in self._unserved:
            return KnownOwnership(machine.scanner, told, None, NO_TOKEN, None)
        owner = self._foreign_owner(machine.scanner)
        if owner is None:
            return KnownOwnership(machine.scanner, told, self.owner_name(machine.scanner), NO_TOKEN, None)
        age = self._lease - owner.remaining + now - self._received
        return KnownOwnership(machine.scanner, told, self.owner_name(machine.scanner), owner.token, max(0.0, age))

    def _foreign_owner(self, scanner: str) -> Owner | None:
        owner = None if self.view is None else self.view.owners.get(scanner)
        if owner is None or owner.identifier == self._me:
            return None
        has_expired = self._boot_time() > self._received + owner.remaining
        return None if has_expired and self._server.state.is_reachable else owner


def _alone(view: View) -> dict[str, Registration]:
    """By scanner, the registered gateway that goes on alone with it; of several, that with the best right."""
    found = sorted(((token, gateway.identifier, scanner, gateway) for gateway in view.gateways
                    for scanner, token in gateway.alone.items()), key=lambda one: one[:3])
    return {scanner: gateway for _, _, scanner, gateway in found}


def _tokens(view: View) -> dict[str, int]:
    return {scanner: owner.token for scanner, owner in view.owners.items()}
