"""Decides about a subscription at a scanner: the gateway's for its events, or one for a client's names on the panel.

WS-Eventing 2004/08, sections 3.1, 3.2, 3.4 and 3.5. `bridge.events.upstream_table` has the states; this module says
what a scanner's answers mean to them, and when to doubt.
"""

from collections.abc import Callable

from wsdgateway.bridge.events.upstream_core import (
    LAPSED,
    MOVED,
    NO_MANAGER,
    RECHECK,
    REFUSED,
    SETTLED,
    UNRENEWABLE,
    Core,
)
from wsdgateway.bridge.events.upstream_table import machine
from wsdgateway.bridge.events.upstreamanswers import UpstreamAnswer
from wsdgateway.bridge.events.upstreamcommands import Command, Renew, Replace, Subscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.scan.operations import EVENTS, JOB_END_STATE, JOB_STATUS, SCAN_AVAILABLE, action_of
from wsdgateway.soap.addressing import EndpointReference

ALL_EVENTS = tuple(action_of(event) for event in EVENTS if event != SCAN_AVAILABLE)
JOB_EVENTS = (action_of(JOB_STATUS), action_of(JOB_END_STATE))
FILTERS = (ALL_EVENTS, JOB_EVENTS)

LISTENING = frozenset(("subscribed", "renewing", "unmanaged"))  # states in which the device holds it

TEMPORARY = frozenset(("ServerErrorTemporaryError", "ServerErrorNotAcceptingJobs", "503"))
_NOT_THE_FILTER = TEMPORARY | {"404"}


class Upstream:
    """The subscription at the device at `address`; `expires` in seconds is asked for; `random` gives 0 to 1.

    `filters` are the actions to ask for, and what to ask for where those are refused. Every method returns what
    should be done, in order.
    """

    def __init__(self, *, address: str, expires: float, random: Callable[[], float],
                 filters: tuple[tuple[str, ...], ...] = FILTERS) -> None:
        self._core = Core(address, expires, random, filters)
        self._inputs = machine(self._core)

    @property
    def state(self) -> str:
        """The state's name, as in the drawing above."""
        return self._core.state

    @property
    def listening(self) -> bool:
        """Whether the device holds our subscription, as far as we know, and it is not about to end."""
        return self._core.state in LISTENING

    @property
    def holding(self) -> bool:
        """Whether the device may hold our subscription: one that is about to be replaced, too."""
        return self.listening or self._core.state in ("replacing", "stale")

    @property
    def refusing(self) -> bool:
        """Whether the device said no to the last Subscribe, and not for the moment only."""
        return bool(self._core.refusing) and self._core.refusing not in TEMPORARY

    @property
    def is_uncertain(self) -> bool:
        """Whether an event would show that the device holds our subscription."""
        return self._core.state == "unconfirmed" or (self._core.state == "subscribed" and self._core.suspect)

    @property
    def renews(self) -> bool | None:
        """Whether the device grants Renew; None while that is not known."""
        return self._core.renews

    @property
    def manager(self) -> EndpointReference:
        """The subscription manager's endpoint reference, while there is one; `NO_MANAGER` if it is not known."""
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

    def resumed(self, manager: EndpointReference, expires_at: float, now: float) -> list[Command]:
        """A subscription of an earlier start may still be held: renew it, or without a manager wait for its end."""
        if manager == NO_MANAGER:
            return self._inputs.unconfirmed_before(expires_at, now)
        return self._inputs.resumed(manager, expires_at)

    def superseded(self, manager: EndpointReference, expires_at: float) -> list[Command]:
        """A subscription of an earlier start may still be held, and notifies another address: replace it."""
        if manager == NO_MANAGER:
            return self._inputs.start()
        self._core.reason = MOVED
        return self._inputs.superseded(manager, expires_at)

    def answered(self, command: Subscribe | Renew | Replace, answer: UpstreamAnswer, now: float) -> list[Command]:
        """The device answered what was sent because of that command."""
        if isinstance(command, Replace):
            if answer.refusal in TEMPORARY and now < self.expires_at:
                return self.unreachable(now)
            return self.unsubscribed(now, accepted=not answer.refusal)
        if answer.granted is not None:
            return self.granted(answer.granted, now)
        return self.refused(answer.refusal, now) if answer.refusal else self.unreadable(now)

    def unanswered(self, command: Subscribe | Renew | Replace, now: float, *, sent: bool) -> list[Command]:
        """No answer came. The device may have taken an Unsubscribe that was `sent`."""
        if isinstance(command, Replace) and sent:
            return self.unsubscribed(now, accepted=False)
        return self.unreachable(now)

    def granted(self, granted: Granted, now: float) -> list[Command]:
        """The device granted a Subscribe or a Renew."""
        return self._inputs.granted(granted, now)

    def refused(self, name: str, now: float) -> list[Command]:
        """The device refused a Subscribe or a Renew: `name` is the fault's, or the HTTP status of a bare answer."""
        if self.state == "renewing":
            return self.unreachable(now) if name in TEMPORARY else self._renewal_refused(now)
        self._core.asked_at = now
        self._core.refusing = name
        if name == "ActionNotSupported":
            return self._inputs.unsupported()
        if self._core.short or len(self._core.filters) == 1 or name in _NOT_THE_FILTER:
            return self._inputs.refused()
        return self._inputs.refused_long()

    def _renewal_refused(self, now: float) -> list[Command]:
        core = self._core
        core.asked_at = now
        core.refusals += 1
        if core.refusals > 1 and core.knew:
            core.renews = False
        elif core.refusals > 1:
            core.renews, core.spared = None, RECHECK * 2.0 ** min(core.refusals - 1, 20)
        if core.refusals > 1 and core.spared_for(now) > 0.0:
            return self._inputs.spared(now)
        return self._replace(REFUSED)

    @property
    def _is_unrenewable(self) -> bool:
        """Whether the subscription is to be replaced, and not renewed."""
        return self._core.renews is False or self._core.suspect

    def _replace(self, reason: str) -> list[Command]:
        core = self._core
        core.reason = reason
        if core.renews is False:
            core.spared = min(core.spared * 2.0, core.lifetime / 2.0)
        return self._inputs.replace()

    def unreadable(self, now: float) -> list[Command]:
        """The device answered a Subscribe or a Renew with a success that cannot be read."""
        self._core.asked_at = now
        if self.state == "renewing":
            self._core.renews = False
        else:
            self._core.refusing = ""
        return self._inputs.unreadable(now)

    def unreachable(self, now: float) -> list[Command]:
        """The device did not answer, or not for the moment; a subscription outlives that until it expires."""
        self._core.asked_at = now
        if self.state == "renewing" and now >= self._core.expires_at:
            return self._replace(LAPSED)
        return self._inputs.unreachable()

    def unsubscribed(self, now: float, *, accepted: bool) -> list[Command]:
        """The subscription that is to be replaced has been ended, or the device refused, or did not answer."""
        core = self._core
        core.asked_at = now
        core.knew = accepted and not core.renews
        forgotten = core.reason != MOVED and (
            not accepted or (core.reason == REFUSED and core.renews is True))
        if forgotten and core.renews is False:
            core.forget_evidence()
        return self._inputs.lost(now) if forgotten else self._inputs.replaced(now)

    def notified(self, now: float) -> list[Command]:
        """The device notified us: it holds our subscription, and cannot do what it refused."""
        core = self._core
        if core.suspect and self.state == "subscribed":
            core.renews, core.suspect, core.spared = False, False, max(core.spared, SETTLED)
            return [core.half_time(core.expires_at - now)]
        return self._inputs.notified(now)

    def ended(self, now: float) -> list[Command]:
        """The device sent SubscriptionEnd. Where that has been asked for, the answer is yet to come."""
        return [] if self.state == "replacing" else self._inputs.lost(now)

    def due(self) -> list[Command]:
        """The time of the last `Wake` has come."""
        if self.state == "subscribed" and self._is_unrenewable:
            return self._replace(UNRENEWABLE)
        return self._inputs.due()

    def moved(self) -> list[Command]:
        """Our own address has changed: a subscription that notifies the former one is replaced."""
        return self._replace(MOVED)

    def checked(self, now: float) -> list[Command]:
        """The time of the usual check has come. It says nothing at a device that cannot renew."""
        return [] if self._is_unrenewable else self.doubted(now)

    def doubted(self, now: float) -> list[Command]:
        """The device failed a client, or behaves as if it had forgotten us: does it still hold our subscription?

        Asked at most every `RECHECK`; without a subscription there is nothing to ask.
        """
        return self._recheck(now) if self.state == "subscribed" else []

    def recovered(self, now: float, *, was_away: bool = False) -> list[Command]:
        """The device takes connections again after it did not.

        A held subscription is then renewed, and a missing one asked for; neither within `RECHECK` of the last
        time, but then. A device that refused keeps its pause, unless it `was_away` long enough to have started again;
        so does one whose success could not be read.
        """
        if not was_away and (self._core.refusing or self.state in ("unconfirmed", "unmanaged")):
            return []
        if was_away:
            self._core.spared = min(self._core.spared, SETTLED)
        return self._recheck(now)

    def _recheck(self, now: float) -> list[Command]:
        core = self._core
        is_unrenewable = self.state == "subscribed" and self._is_unrenewable
        left = core.spared_for(now) if is_unrenewable else RECHECK - (now - core.asked_at)
        if left > 0.0:
            waits = ("subscribed", "stale", "unconfirmed", "unmanaged", "waiting")
            return [Wake(left, sooner=True)] if self.state in waits else []
        if is_unrenewable:
            return self._replace(UNRENEWABLE)
        return self._inputs.lost(now) if self.state == "unmanaged" else self._inputs.recovered()

    def rebooted(self, now: float) -> list[Command]:
        """The device is known to have started again."""
        return self._inputs.rebooted(now)

    def stop(self) -> list[Command]:
        """Leave."""
        return self._inputs.stop()
