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

from wsdgateway.eventing.messages import Granted
from wsdgateway.scan.operations import EVENTS, JOB_END_STATE, JOB_STATUS, SCAN_AVAILABLE, action_of
from wsdgateway.soap.addressing import EndpointReference

ALL_EVENTS = tuple(action_of(event) for event in EVENTS if event != SCAN_AVAILABLE)
JOB_EVENTS = (action_of(JOB_STATUS), action_of(JOB_END_STATE))
FILTERS = (ALL_EVENTS, JOB_EVENTS)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
UNSUPPORTED_PAUSE = 3600.0
SETTLED = 60.0  # a subscription that lived this long was no failure
SHORTEST_RENEWAL = 1.0
RECHECK = 10.0  # a device does not start again in less

_TEMPORARY = frozenset(("ServerErrorTemporaryError", "ServerErrorNotAcceptingJobs", "503"))
_NOT_THE_FILTER = _TEMPORARY | {"404"}


@attrs.frozen
class Subscribe:
    """Ask for these events."""

    actions: tuple[str, ...]


@attrs.frozen
class Renew:
    """Ask the manager for more time."""

    manager: EndpointReference


@attrs.frozen
class Unsubscribe:
    """Tell the manager that we leave."""

    manager: EndpointReference


@attrs.frozen
class Wake:
    """Call `due` after so many seconds; replaces an earlier one, with `sooner` only one that would come later."""

    after: float
    sooner: bool = False


@attrs.frozen
class Lost:
    """The subscription is gone, and the device may have started again."""


Command = Subscribe | Renew | Unsubscribe | Wake | Lost


_NOWHERE = EndpointReference("")


@attrs.define
class _Core:
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


class _Inputs(Protocol):
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


def _build() -> Callable[[_Core], _Inputs]:
    builder: TypeMachineBuilder[_Inputs, _Core] = TypeMachineBuilder(_Inputs, _Core)
    idle, subscribing, subscribed, renewing, waiting, leaving, stopped = (
        builder.state(name) for name in
        ("idle", "subscribing", "subscribed", "renewing", "waiting", "leaving", "stopped"))

    def nothing(inputs: _Inputs, core: _Core, *args: object) -> list[Command]:
        return []

    def subscribe(inputs: _Inputs, core: _Core, *args: object) -> list[Command]:
        return core.subscribe()

    def subscribe_short(inputs: _Inputs, core: _Core) -> list[Command]:
        core.short = True
        return core.subscribe()

    def first_grant(inputs: _Inputs, core: _Core, granted: Granted, now: float) -> list[Command]:
        core.granted_at = now
        return core.grant(granted, now)

    def another_grant(inputs: _Inputs, core: _Core, granted: Granted, now: float) -> list[Command]:
        core.failures = 0
        return core.grant(granted, now)

    def pause(inputs: _Inputs, core: _Core) -> list[Command]:
        core.short = False
        return [core.pause()]

    def long_pause(inputs: _Inputs, core: _Core) -> list[Command]:
        return [Wake(UNSUPPORTED_PAUSE)]

    def renew(inputs: _Inputs, core: _Core) -> list[Command]:
        return [Renew(core.manager)]

    def resume(inputs: _Inputs, core: _Core, manager: EndpointReference, expires_at: float) -> list[Command]:
        core.manager = manager
        core.expires_at = expires_at
        return [Renew(manager)]

    def renew_later(inputs: _Inputs, core: _Core) -> list[Command]:
        return [core.pause()]

    def lose(inputs: _Inputs, core: _Core, now: float) -> list[Command]:
        return core.lose(now)

    def lose_by_reboot(inputs: _Inputs, core: _Core, now: float) -> list[Command]:
        core.short = False
        return core.lose(now)

    def unsubscribe(inputs: _Inputs, core: _Core) -> list[Command]:
        return [Unsubscribe(core.manager)]

    def unsubscribe_late(inputs: _Inputs, core: _Core, granted: Granted, now: float) -> list[Command]:
        core.grant(granted, now)
        return [Unsubscribe(core.manager)]

    # A line: in this state, on this input, go to that state and do this.
    table = (
        (idle, _Inputs.start, subscribing, subscribe),
        (idle, _Inputs.adopted, subscribed, first_grant),
        (idle, _Inputs.resumed, renewing, resume),
        (idle, _Inputs.stop, stopped, nothing),
        (subscribing, _Inputs.granted, subscribed, first_grant),
        (subscribing, _Inputs.refused_long, subscribing, subscribe_short),
        (subscribing, _Inputs.refused, waiting, pause),
        (subscribing, _Inputs.unsupported, waiting, long_pause),
        (subscribing, _Inputs.unreachable, waiting, pause),
        (subscribing, _Inputs.stop, leaving, nothing),
        (waiting, _Inputs.due, subscribing, subscribe),
        (waiting, _Inputs.recovered, subscribing, subscribe),
        (waiting, _Inputs.rebooted, subscribing, subscribe),
        (waiting, _Inputs.stop, stopped, nothing),
        (subscribed, _Inputs.due, renewing, renew),
        (subscribed, _Inputs.recovered, renewing, renew),
        (subscribed, _Inputs.lost, waiting, lose),
        (subscribed, _Inputs.rebooted, waiting, lose_by_reboot),
        (subscribed, _Inputs.stop, stopped, unsubscribe),
        (renewing, _Inputs.granted, subscribed, another_grant),
        (renewing, _Inputs.unreachable, subscribed, renew_later),
        (renewing, _Inputs.lost, waiting, lose),
        (renewing, _Inputs.rebooted, waiting, lose_by_reboot),
        (renewing, _Inputs.stop, stopped, unsubscribe),
        (leaving, _Inputs.granted, stopped, unsubscribe_late),
        (leaving, _Inputs.refused_long, stopped, nothing),
        (leaving, _Inputs.refused, stopped, nothing),
        (leaving, _Inputs.unsupported, stopped, nothing),
        (leaving, _Inputs.unreachable, stopped, nothing),
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
    def enter(inputs: _Inputs, core: _Core, *args: object) -> list[Command]:
        core.state = state
        return act(inputs, core, *args)
    return enter


_INPUTS = (_Inputs.start, _Inputs.adopted, _Inputs.resumed, _Inputs.granted, _Inputs.refused_long, _Inputs.refused,
           _Inputs.unsupported, _Inputs.unreachable, _Inputs.lost, _Inputs.due, _Inputs.recovered, _Inputs.rebooted,
           _Inputs.stop)
_machine = _build()


class Upstream:
    """The subscription at the device at `address`; `expires` in seconds is asked for; `random` gives 0 to 1.

    `filters` are the actions to ask for, and what to ask for where those are refused. Every method returns what
    should be done, in order.
    """

    def __init__(self, *, address: str, expires: float, random: Callable[[], float],
                 filters: tuple[tuple[str, ...], ...] = FILTERS) -> None:
        self._core = _Core(address, expires, random, filters)
        self._inputs = _machine(self._core)

    @property
    def state(self) -> str:
        """The state's name, as in the drawing above."""
        return self._core.state

    @property
    def listening(self) -> bool:
        """Whether the device holds our subscription, as far as we know."""
        return self._core.state in ("subscribed", "renewing")

    @property
    def refusing(self) -> bool:
        """Whether the device said no to the last Subscribe, and not for the moment only."""
        return bool(self._core.refusing) and self._core.refusing not in _TEMPORARY

    @property
    def manager(self) -> EndpointReference:
        """Where the subscription is managed, while there is one."""
        return self._core.manager

    @property
    def expires_at(self) -> float:
        """When the subscription ends, on the clock of `granted`, unless it is renewed."""
        return self._core.expires_at

    def start(self) -> list[Command]:
        """Subscribe."""
        return self._inputs.start()

    def once(self) -> Subscribe:
        """What to ask for, where somebody else than this machine asks: `adopted` tells it of the success."""
        return Subscribe(self._core.filters[0])

    def adopted(self, granted: Granted, now: float) -> list[Command]:
        """A Subscribe that was not this machine's was granted: it is kept from now on."""
        return self._inputs.adopted(granted, now)

    def resumed(self, manager: EndpointReference, expires_at: float) -> list[Command]:
        """A subscription of an earlier start may still be held: renew it."""
        return self._inputs.resumed(manager, expires_at)

    def granted(self, granted: Granted, now: float) -> list[Command]:
        """The device granted a Subscribe or a Renew."""
        return self._inputs.granted(granted, now)

    def refused(self, name: str, now: float) -> list[Command]:
        """The device refused a Subscribe or a Renew: `name` is the fault's, or the HTTP status of a bare answer."""
        self._core.asked_at = now
        if self.state == "renewing":
            return self._inputs.lost(now)
        self._core.refusing = name
        if name == "ActionNotSupported":
            return self._inputs.unsupported()
        if self._core.short or len(self._core.filters) == 1 or name in _NOT_THE_FILTER:
            return self._inputs.refused()
        return self._inputs.refused_long()

    def unreachable(self, now: float) -> list[Command]:
        """The device did not answer a Subscribe or a Renew; a subscription outlives that until it expires."""
        self._core.asked_at = now
        if self.state == "renewing" and now >= self._core.expires_at:
            return self._inputs.lost(now)
        return self._inputs.unreachable()

    def ended(self, now: float) -> list[Command]:
        """The device sent SubscriptionEnd."""
        return self._inputs.lost(now)

    def due(self) -> list[Command]:
        """The time of the last `Wake` has come."""
        return self._inputs.due()

    def doubted(self, now: float) -> list[Command]:
        """The device failed a client, or behaves as if it had forgotten us: does it still hold our subscription?

        Asked at most every `RECHECK`; without a subscription there is nothing to ask.
        """
        return self._recheck(now) if self.state == "subscribed" else []

    def recovered(self, now: float, *, was_away: bool = False) -> list[Command]:
        """The device takes connections again after it did not.

        A held subscription is then renewed, and a missing one asked for; neither within `RECHECK` of the last
        time, but then. A device that refused keeps its pause, unless it `was_away` long enough to have started again.
        """
        return self._recheck(now) if was_away or not self._core.refusing else []

    def _recheck(self, now: float) -> list[Command]:
        left = RECHECK - (now - self._core.asked_at)
        if left > 0.0:
            return [Wake(left, sooner=True)] if self.state in ("subscribed", "waiting") else []
        return self._inputs.recovered()

    def rebooted(self, now: float) -> list[Command]:
        """The device is known to have started again."""
        return self._inputs.rebooted(now)

    def stop(self) -> list[Command]:
        """Leave."""
        return self._inputs.stop()


@attrs.frozen
class Held:
    """A subscription at a scanner as the store keeps it over a restart.

    `identifier` is the client's subscription that it is held for, empty for the gateway's own; `address` is the scan
    service's, `notify_to` where it notifies us. `expires_at` in seconds since 1970.
    """

    scanner: str
    identifier: str
    address: str
    notify_to: str
    manager: EndpointReference
    expires_at: float
