"""The state machine of a subscription that the gateway holds at a scanner: its own, or one for a name on the panel.

WS-Eventing 2004/08, sections 3.1, 3.2, 3.4 and 3.5. Scanners hang if they receive Subscribe too often, or are left
without Unsubscribe. So the gateway subscribes once, renews at half time, and never holds two subscriptions for one
purpose::

                      refused_long
                        ┌─────┐
          start         ▼     │   granted                 due, recovered
    idle ───────► subscribing ┴───────────► subscribed ◄─────────────────► renewing ◄─── idle, resumed
                   ▲   │ refused,            │      ▲   granted, spared,      │
     due, recovered│   │ unsupported,        │ lost │   unreachable,          │
     rebooted      │   ▼ unreachable         ▼      │   unreadable            │ lost
                  waiting ◄─────────────────────────┴─────────────────────────┘

A subscription is ended before it is replaced. In `replacing` an Unsubscribe is pending; `stale` waits to send it again,
because the scanner could not be reached::

                           replace                unreachable
    subscribed, renewing ───────────► replacing ◄─────────────► stale
                                       │     │    due, recovered
                              replaced │     │ lost
                                       ▼     ▼
                              subscribing   waiting

In `unconfirmed` a Subscribe was answered with a success that cannot be read. That counts as no answer, but the scanner
may hold a subscription, so the next Subscribe waits until that has probably expired. An event proves that the scanner
holds it: the state is then `unmanaged`, in which the subscription can be neither renewed nor ended::

                   unreadable               notified
    subscribing ◄─────────────► unconfirmed ───────► unmanaged ─── due ─► subscribing
                   due, recovered     │ lost              │ lost
                                      └───► waiting ◄─────┘

    adopted: idle ─► subscribed, with a grant that another request has obtained.
    superseded: idle ─► replacing, with a subscription of an earlier start that notifies another address.
    unconfirmed_before: idle ─► unmanaged, with one of an earlier start.
    stop: subscribing ─► leaving ─► stopped; from any other state ─► stopped, with an Unsubscribe
    if a subscription is held.

A refused Renew means that the scanner has forgotten the subscription, or that it cannot renew:

- The first refusal replaces the subscription at once. If the scanner refuses the Unsubscribe as well, or has granted a
  Renew before, it has forgotten the subscription, and may have restarted.
- The new subscription is renewed `RECHECK` seconds later. If that is refused as well, and the scanner had accepted the
  Unsubscribe, it cannot renew. If it had refused the Unsubscribe, it may have restarted, or refuse everything: the
  subscription is replaced after a pause that doubles with each refusal, from `2 * RECHECK` after the grant to half of
  the granted time. An event in that pause shows that the scanner holds the subscription, and cannot renew.
- A scanner that cannot renew is sent no further Renew. Its subscription is replaced at half time. After a sign of
  trouble, it is replaced earlier only if it has lived for a minimum time, which doubles each time from `SETTLED` to
  half of the granted time. If the scanner refuses an Unsubscribe, it has forgotten the subscription, and its ability to
  renew is determined again.
- A temporary refusal (`upstream.TEMPORARY`) counts as no answer.
- A success that cannot be read is not a refusal, and grants nothing: the time that was granted before still counts, and
  the scanner is treated as one that cannot renew.

An Unsubscribe that is refused, or gets no answer although it was sent, is followed by Subscribe all the same.
"""

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder

from wsdgateway.bridge.events.upstream_core import LONGEST_PAUSE, RECHECK, UNSUPPORTED_PAUSE, Core
from wsdgateway.bridge.events.upstreamcommands import Command, Lost, Renew, Replace, Unsubscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference


class Inputs(Protocol):
    """The inputs of the machine; each returns the resulting commands."""

    def start(self) -> list[Command]: ...
    def adopted(self, granted: Granted, now: float) -> list[Command]: ...
    def resumed(self, manager: EndpointReference, expires_at: float) -> list[Command]: ...
    def superseded(self, manager: EndpointReference, expires_at: float) -> list[Command]: ...
    def unconfirmed_before(self, expires_at: float, now: float) -> list[Command]: ...
    def granted(self, granted: Granted, now: float) -> list[Command]: ...
    def refused_long(self) -> list[Command]: ...
    def refused(self) -> list[Command]: ...
    def unsupported(self) -> list[Command]: ...
    def unreachable(self) -> list[Command]: ...
    def unreadable(self, now: float) -> list[Command]: ...
    def notified(self, now: float) -> list[Command]: ...
    def spared(self, now: float) -> list[Command]: ...
    def replace(self) -> list[Command]: ...
    def replaced(self, now: float) -> list[Command]: ...
    def lost(self, now: float) -> list[Command]: ...
    def due(self) -> list[Command]: ...
    def recovered(self) -> list[Command]: ...
    def rebooted(self, now: float) -> list[Command]: ...
    def stop(self) -> list[Command]: ...


def _build() -> Callable[[Core], Inputs]:
    builder: TypeMachineBuilder[Inputs, Core] = TypeMachineBuilder(Inputs, Core)
    states = [builder.state(name) for name in (
        "idle", "subscribing", "subscribed", "renewing", "replacing", "stale", "unconfirmed", "unmanaged", "waiting",
        "leaving", "stopped")]
    (idle, subscribing, subscribed, renewing, replacing, stale, unconfirmed, unmanaged, waiting, leaving,
     stopped) = states

    def nothing(inputs: Inputs, core: Core, *args: object) -> list[Command]:
        return []

    def subscribe(inputs: Inputs, core: Core, *args: object) -> list[Command]:
        return core.subscribe()

    def subscribe_short(inputs: Inputs, core: Core) -> list[Command]:
        core.short = True
        return core.subscribe()

    def first_grant(inputs: Inputs, core: Core, granted: Granted, now: float) -> list[Command]:
        core.granted_at, core.suspect = now, False
        wake = core.grant(granted, now)
        is_judged = not core.refusals or core.renews is False
        return [wake if is_judged else Wake(min(RECHECK, wake.after))]

    def another_grant(inputs: Inputs, core: Core, granted: Granted, now: float) -> list[Command]:
        core.failures = 0
        core.forget_evidence()
        core.renews = True
        return [core.grant(granted, now)]

    def pause(inputs: Inputs, core: Core) -> list[Command]:
        core.short = False
        return [core.pause()]

    def long_pause(inputs: Inputs, core: Core) -> list[Command]:
        return [Wake(UNSUPPORTED_PAUSE)]

    def outlast(inputs: Inputs, core: Core, now: float) -> list[Command]:
        core.granted_at, core.expires_at = now, now + core.expires
        return [Wake(max(min(core.expires, UNSUPPORTED_PAUSE), LONGEST_PAUSE))]

    def outlive(inputs: Inputs, core: Core, now: float) -> list[Command]:
        return [Wake(max(core.expires_at - now, 0.0))]

    def take_up(inputs: Inputs, core: Core, expires_at: float, now: float) -> list[Command]:
        core.expires_at = expires_at
        return outlive(inputs, core, now)

    def keep(inputs: Inputs, core: Core, now: float) -> list[Command]:
        core.suspect = core.renews is None
        return [Wake(core.spared_for(now)) if core.suspect else core.half_time(core.expires_at - now)]

    def renew(inputs: Inputs, core: Core) -> list[Command]:
        return [Renew(core.manager)]

    def resume(inputs: Inputs, core: Core, manager: EndpointReference, expires_at: float) -> list[Command]:
        core.manager, core.expires_at = manager, expires_at
        return [Renew(manager)]

    def supersede(inputs: Inputs, core: Core, manager: EndpointReference, expires_at: float) -> list[Command]:
        core.manager, core.expires_at = manager, expires_at
        return [Replace(manager)]

    def retry(inputs: Inputs, core: Core) -> list[Command]:
        return [core.pause()]

    def retry_in_time(inputs: Inputs, core: Core) -> list[Command]:
        pause, left = core.pause(), core.expires_at - core.asked_at
        return [Wake(left) if 0.0 < left < pause.after else pause]

    def end(inputs: Inputs, core: Core) -> list[Command]:
        return [Replace(core.manager)]

    def replace(inputs: Inputs, core: Core, now: float) -> list[Command]:
        return [core.lose(now, forgotten=False), *core.subscribe()]

    def outlived(inputs: Inputs, core: Core) -> list[Command]:
        return [Lost(forgotten=False), *core.subscribe()]

    def lose(inputs: Inputs, core: Core, now: float) -> list[Command]:
        return [core.lose(now, forgotten=True), core.pause()]

    def lose_by_reboot(inputs: Inputs, core: Core, now: float) -> list[Command]:
        core.short = False
        return lose(inputs, core, now)

    def unsubscribe(inputs: Inputs, core: Core) -> list[Command]:
        return [Unsubscribe(core.manager)]

    def unsubscribe_late(inputs: Inputs, core: Core, granted: Granted, now: float) -> list[Command]:
        core.grant(granted, now)
        return [Unsubscribe(core.manager)]

    # Each line: state, input, next state, action.
    table = (
        (idle, Inputs.start, subscribing, subscribe),
        (idle, Inputs.adopted, subscribed, first_grant),
        (idle, Inputs.resumed, renewing, resume),
        (idle, Inputs.superseded, replacing, supersede),
        (idle, Inputs.unconfirmed_before, unmanaged, take_up),
        (idle, Inputs.stop, stopped, nothing),
        (subscribing, Inputs.granted, subscribed, first_grant),
        (subscribing, Inputs.refused_long, subscribing, subscribe_short),
        (subscribing, Inputs.refused, waiting, pause),
        (subscribing, Inputs.unsupported, waiting, long_pause),
        (subscribing, Inputs.unreachable, waiting, pause),
        (subscribing, Inputs.unreadable, unconfirmed, outlast),
        (subscribing, Inputs.stop, leaving, nothing),
        (unconfirmed, Inputs.due, subscribing, outlived),
        (unconfirmed, Inputs.recovered, subscribing, outlived),
        (unconfirmed, Inputs.notified, unmanaged, outlive),
        (unconfirmed, Inputs.lost, waiting, lose),
        (unconfirmed, Inputs.stop, stopped, nothing),
        (unmanaged, Inputs.due, subscribing, outlived),
        (unmanaged, Inputs.lost, waiting, lose),
        (unmanaged, Inputs.stop, stopped, nothing),
        (waiting, Inputs.due, subscribing, subscribe),
        (waiting, Inputs.recovered, subscribing, subscribe),
        (waiting, Inputs.rebooted, subscribing, subscribe),
        (waiting, Inputs.stop, stopped, nothing),
        (subscribed, Inputs.due, renewing, renew),
        (subscribed, Inputs.recovered, renewing, renew),
        (subscribed, Inputs.replace, replacing, end),
        (subscribed, Inputs.lost, waiting, lose),
        (subscribed, Inputs.rebooted, waiting, lose_by_reboot),
        (subscribed, Inputs.stop, stopped, unsubscribe),
        (renewing, Inputs.granted, subscribed, another_grant),
        (renewing, Inputs.unreachable, subscribed, retry_in_time),
        (renewing, Inputs.unreadable, subscribed, keep),
        (renewing, Inputs.spared, subscribed, keep),
        (renewing, Inputs.replace, replacing, end),
        (renewing, Inputs.lost, waiting, lose),
        (renewing, Inputs.rebooted, waiting, lose_by_reboot),
        (renewing, Inputs.stop, stopped, unsubscribe),
        (replacing, Inputs.replaced, subscribing, replace),
        (replacing, Inputs.lost, waiting, lose),
        (replacing, Inputs.unreachable, stale, retry),
        (replacing, Inputs.stop, stopped, unsubscribe),
        (stale, Inputs.due, replacing, end),
        (stale, Inputs.recovered, replacing, end),
        (stale, Inputs.lost, waiting, lose),
        (stale, Inputs.stop, stopped, unsubscribe),
        (leaving, Inputs.granted, stopped, unsubscribe_late),
        (leaving, Inputs.refused_long, stopped, nothing),
        (leaving, Inputs.refused, stopped, nothing),
        (leaving, Inputs.unsupported, stopped, nothing),
        (leaving, Inputs.unreachable, stopped, nothing),
        (leaving, Inputs.unreadable, stopped, nothing),
    )
    listed = {(state.name, expected.__name__) for state, expected, _, _ in table}
    for state, expected, following, act in table:
        state.upon(expected).to(following)(_entering(following.name, act))
    for state in states:
        for expected in _INPUTS:
            if (state.name, expected.__name__) not in listed:
                state.upon(expected).loop()(_entering(state.name, nothing))
    return builder.build()


def _entering(state: str, act: Callable[..., list[Command]]) -> Callable[..., list[Command]]:
    def enter(inputs: Inputs, core: Core, *args: object) -> list[Command]:
        core.state = state
        return act(inputs, core, *args)
    return enter


_INPUTS = (Inputs.start, Inputs.adopted, Inputs.resumed, Inputs.superseded, Inputs.unconfirmed_before, Inputs.granted,
           Inputs.refused_long, Inputs.refused, Inputs.unsupported, Inputs.unreachable, Inputs.unreadable,
           Inputs.notified, Inputs.spared, Inputs.replace, Inputs.replaced, Inputs.lost, Inputs.due, Inputs.recovered,
           Inputs.rebooted, Inputs.stop)
machine = _build()
