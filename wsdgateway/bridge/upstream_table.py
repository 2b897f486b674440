"""A subscription that the gateway holds at a scanner, as a state machine: its own, or one for a name on the panel.

WS-Eventing 2004/08, sections 3.1, 3.2, 3.4 and 3.5. Scanners hang when they are subscribed to too
often, or left without Unsubscribe: so subscribe once, renew at half time, say goodbye::

                      refused_long
                        ┌─────┐
          start         ▼     │   granted                 due, recovered
    idle ───────► subscribing ┴───────────► subscribed ◄─────────────────► renewing ◄─── idle, resumed
                   ▲   │ refused,            │      ▲   granted, unreachable  │
     due, recovered│   │ unsupported,        │ lost └─────────────────────────┤
     rebooted      │   ▼ unreachable         ▼                                │ lost
                  waiting ◄───────────────────────────────────────────────────┘

    adopted: idle ─► subscribed, with a grant that somebody else has asked for.
    stop: subscribing ─► leaving ─► stopped; from anywhere else ─► stopped, with an Unsubscribe
    where a subscription is held.
"""

from collections.abc import Callable
from typing import Protocol

import attrs
from automat import TypeMachineBuilder

from wsdgateway.bridge.holding import Command, Lost, Renew, Subscribe, Unsubscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
UNSUPPORTED_PAUSE = 3600.0
SETTLED = 60.0  # a subscription that lived this long was no failure
SHORTEST_RENEWAL = 1.0

_NOWHERE = EndpointReference("")


@attrs.define
class Core:
    """What the machine remembers beside its state; times in seconds on the clock of its inputs."""

    address: str
    expires: float
    random: Callable[[], float]
    filters: tuple[tuple[str, ...], ...]
    manager: EndpointReference = _NOWHERE
    short: bool = False
    failures: int = 0
    granted_at: float = 0.0
    expires_at: float = 0.0
    asked_at: float = float("-inf")
    refusing: str = ""
    state: str = "idle"

    def subscribe(self) -> list[Command]:
        return [Subscribe(self.filters[-1 if self.short else 0])]

    def pause(self) -> Wake:
        self.failures += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 20), LONGEST_PAUSE)
        return Wake(pause * (0.75 + 0.25 * self.random()))

    def grant(self, granted: Granted, now: float) -> list[Command]:
        if granted.manager is not None:
            self.manager = granted.manager
        elif not self.manager.address:
            self.manager = EndpointReference(self.address)
        self.asked_at = now
        self.refusing = ""
        lifetime = self.expires if granted.expires is None else granted.expires
        if lifetime <= 0:
            lifetime = SETTLED  # a clock that is wrong, not a subscription that is over
        self.expires_at = now + lifetime
        return [Wake(max(lifetime * (0.45 + 0.1 * self.random()), SHORTEST_RENEWAL))]

    def lose(self, now: float) -> list[Command]:
        if now - self.granted_at > SETTLED:
            self.failures = 0
        self.manager = _NOWHERE
        return [Lost(), self.pause()]


class Inputs(Protocol):
    """What can happen; each gives what should be done."""

    def start(self) -> list[Command]: ...
    def adopted(self, granted: Granted, now: float) -> list[Command]: ...
    def resumed(self, manager: EndpointReference, expires_at: float) -> list[Command]: ...
    def granted(self, granted: Granted, now: float) -> list[Command]: ...
    def refused_long(self) -> list[Command]: ...
    def refused(self) -> list[Command]: ...
    def unsupported(self) -> list[Command]: ...
    def unreachable(self) -> list[Command]: ...
    def lost(self, now: float) -> list[Command]: ...
    def due(self) -> list[Command]: ...
    def recovered(self) -> list[Command]: ...
    def rebooted(self, now: float) -> list[Command]: ...
    def stop(self) -> list[Command]: ...


def _build() -> Callable[[Core], Inputs]:
    builder: TypeMachineBuilder[Inputs, Core] = TypeMachineBuilder(Inputs, Core)
    idle, subscribing, subscribed, renewing, waiting, leaving, stopped = (
        builder.state(name) for name in
        ("idle", "subscribing", "subscribed", "renewing", "waiting", "leaving", "stopped"))

    def nothing(inputs: Inputs, core: Core, *args: object) -> list[Command]:
        return []

    def subscribe(inputs: Inputs, core: Core, *args: object) -> list[Command]:
        return core.subscribe()

    def subscribe_short(inputs: Inputs, core: Core) -> list[Command]:
        core.short = True
        return core.subscribe()

    def first_grant(inputs: Inputs, core: Core, granted: Granted, now: float) -> list[Command]:
        core.granted_at = now
        return core.grant(granted, now)

    def another_grant(inputs: Inputs, core: Core, granted: Granted, now: float) -> list[Command]:
        core.failures = 0
        return core.grant(granted, now)

    def pause(inputs: Inputs, core: Core) -> list[Command]:
        core.short = False
        return [core.pause()]

    def long_pause(inputs: Inputs, core: Core) -> list[Command]:
        return [Wake(UNSUPPORTED_PAUSE)]

    def renew(inputs: Inputs, core: Core) -> list[Command]:
        return [Renew(core.manager)]

    def resume(inputs: Inputs, core: Core, manager: EndpointReference, expires_at: float) -> list[Command]:
        core.manager = manager
        core.expires_at = expires_at
        return [Renew(manager)]

    def renew_later(inputs: Inputs, core: Core) -> list[Command]:
        return [core.pause()]

    def lose(inputs: Inputs, core: Core, now: float) -> list[Command]:
        return core.lose(now)

    def lose_by_reboot(inputs: Inputs, core: Core, now: float) -> list[Command]:
        core.short = False
        return core.lose(now)

    def unsubscribe(inputs: Inputs, core: Core) -> list[Command]:
        return [Unsubscribe(core.manager)]

    def unsubscribe_late(inputs: Inputs, core: Core, granted: Granted, now: float) -> list[Command]:
        core.grant(granted, now)
        return [Unsubscribe(core.manager)]

    # A line: in this state, on this input, go to that state and do this.
    table = (
        (idle, Inputs.start, subscribing, subscribe),
        (idle, Inputs.adopted, subscribed, first_grant),
        (idle, Inputs.resumed, renewing, resume),
        (idle, Inputs.stop, stopped, nothing),
        (subscribing, Inputs.granted, subscribed, first_grant),
        (subscribing, Inputs.refused_long, subscribing, subscribe_short),
        (subscribing, Inputs.refused, waiting, pause),
        (subscribing, Inputs.unsupported, waiting, long_pause),
        (subscribing, Inputs.unreachable, waiting, pause),
        (subscribing, Inputs.stop, leaving, nothing),
        (waiting, Inputs.due, subscribing, subscribe),
        (waiting, Inputs.recovered, subscribing, subscribe),
        (waiting, Inputs.rebooted, subscribing, subscribe),
        (waiting, Inputs.stop, stopped, nothing),
        (subscribed, Inputs.due, renewing, renew),
        (subscribed, Inputs.recovered, renewing, renew),
        (subscribed, Inputs.lost, waiting, lose),
        (subscribed, Inputs.rebooted, waiting, lose_by_reboot),
        (subscribed, Inputs.stop, stopped, unsubscribe),
        (renewing, Inputs.granted, subscribed, another_grant),
        (renewing, Inputs.unreachable, subscribed, renew_later),
        (renewing, Inputs.lost, waiting, lose),
        (renewing, Inputs.rebooted, waiting, lose_by_reboot),
        (renewing, Inputs.stop, stopped, unsubscribe),
        (leaving, Inputs.granted, stopped, unsubscribe_late),
        (leaving, Inputs.refused_long, stopped, nothing),
        (leaving, Inputs.refused, stopped, nothing),
        (leaving, Inputs.unsupported, stopped, nothing),
        (leaving, Inputs.unreachable, stopped, nothing),
    )
    listed = {(state.name, expected.__name__) for state, expected, _, _ in table}
    for state, expected, following, act in table:
        state.upon(expected).to(following)(_entering(following.name, act))
    for state in (idle, subscribing, subscribed, renewing, waiting, leaving, stopped):
        for expected in _INPUTS:
            if (state.name, expected.__name__) not in listed:
                state.upon(expected).loop()(_entering(state.name, nothing))
    return builder.build()


def _entering(state: str, act: Callable[..., list[Command]]) -> Callable[..., list[Command]]:
    def enter(inputs: Inputs, core: Core, *args: object) -> list[Command]:
        core.state = state
        return act(inputs, core, *args)
    return enter


_INPUTS = (Inputs.start, Inputs.adopted, Inputs.resumed, Inputs.granted, Inputs.refused_long, Inputs.refused,
           Inputs.unsupported, Inputs.unreachable, Inputs.lost, Inputs.due, Inputs.recovered, Inputs.rebooted,
           Inputs.stop)
machine = _build()
