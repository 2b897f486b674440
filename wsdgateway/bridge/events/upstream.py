"""Decides about a subscription at a scanner: the gateway's own for events, or one for a client's names on the panel.

WS-Eventing 2004/08, sections 3.1, 3.2, 3.4 and 3.5. `bridge.events.upstream_table` defines the states; this module
interprets a scanner's answers, and decides when to check the subscription.
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
    """The subscription at the device at `address`.

    `expires` is the requested duration in seconds; `random` returns 0 to 1. `filters` are the actions to request,
    followed by the alternative if those are refused. Every method returns the commands to execute, in order.
    """

    def __init__(self, *, address: str, expires: float, random: Callable[[], float],
                 filters: tuple[tuple[str, ...], ...] = FILTERS) -> None:
        self._core = Core(address, expires, random, filters)
        self._inputs = machine(self._core)

    @property
    def state(self) -> str:
        """The state's name, as in the diagrams of `bridge.events.upstream_table`."""
        return self._core.state

    @property
    def listening(self) -> bool:
        """True if the device holds our subscription, as far as is known, and the subscription is not about to end."""
        return self._core.state in LISTENING

    @property
    def holding(self) -> bool:
        """True if the device may hold our subscription, including one that is about to be replaced."""
        return self.listening or self._core.state in ("replacing", "stale")

    @property
    def refusing(self) -> bool:
        """True if the device refused the last Subscribe, and not only temporarily."""
        return bool(self._core.refusing) and self._core.refusing not in TEMPORARY

    @property
    def refusal(self) -> str:
        """The name of the fault with which the device refused the last Subscribe for good, or the HTTP status.

        Empty if it did not, or if it merely has no events: its jobs are then polled.
        """
        return self._core.refusing if self.refusing and self._core.refusing != "ActionNotSupported" else ""

    @property
    def is_unsettled(self) -> bool:
        """True if attempts to subscribe have failed, or subscriptions were lost soon after they were granted.

        A scanner that restarts loses an established subscription, which is replaced after a second: that is no failure.
        """
        return self._core.failures > 1

    @property
    def is_uncertain(self) -> bool:
        """True if an event would prove that the device holds our subscription."""
        return self._core.state == "unconfirmed" or (self._core.state == "subscribed" and self._core.suspect)

    @property
    def renews(self) -> bool | None:
        """True if the device grants Renew; None while that is unknown."""
        return self._core.renews

    @property
    def manager(self) -> EndpointReference:
        """The subscription manager's endpoint reference, while there is one; `NO_MANAGER` if it is unknown."""
        return self._core.manager

    @property
    def expires_at(self) -> float:
        """The expiry time of the subscription, on the clock of `granted`, unless it is renewed."""
        return self._core.expires_at

    def start(self) -> list[Command]:
        """Subscribes."""
        return self._inputs.start()

    def once(self) -> Subscribe:
        """Returns the Subscribe for a caller that sends it itself, and reports a success by `adopted`."""
        return Subscribe(self._core.filters[0])

    def adopted(self, granted: Granted, now: float) -> list[Command]:
        """Takes over a subscription that was granted to such a caller."""
        return self._inputs.adopted(granted, now)

    def resumed(self, manager: EndpointReference, expires_at: float, now: float) -> list[Command]:
        """Takes over a subscription of an earlier start: renews it, or waits for its end if its manager is unknown."""
        if manager == NO_MANAGER:
            return self._inputs.unconfirmed_before(expires_at, now)
        return self._inputs.resumed(manager, expires_at)

    def superseded(self, manager: EndpointReference, expires_at: float) -> list[Command]:
        """Replaces a subscription of an earlier start that notifies another address."""
        if manager == NO_MANAGER:
            return self._inputs.start()
        self._core.reason = MOVED
        return self._inputs.superseded(manager, expires_at)

    def answered(self, command: Subscribe | Renew | Replace, answer: UpstreamAnswer, now: float) -> list[Command]:
        """Processes the device's answer to a command."""
        if isinstance(command, Replace):
            if answer.refusal in TEMPORARY and now < self.expires_at:
                return self.unreachable(now)
            return self.unsubscribed(now, accepted=not answer.refusal)
        if answer.granted is not None:
            return self.granted(answer.granted, now)
        return self.refused(answer.refusal, now) if answer.refusal else self.unreadable(now)

    def unanswered(self, command: Subscribe | Renew | Replace, now: float, *, sent: bool) -> list[Command]:
        """Handles a command without an answer. The device may have received an Unsubscribe that was `sent`."""
        if isinstance(command, Replace) and sent:
            return self.unsubscribed(now, accepted=False)
        return self.unreachable(now)

    def granted(self, granted: Granted, now: float) -> list[Command]:
        """Handles a granted Subscribe or Renew."""
        return self._inputs.granted(granted, now)

    def refused(self, name: str, now: float) -> list[Command]:
        """Handles a refused Subscribe or Renew.

        `name` is that of the fault, or the HTTP status of an answer without one.
        """
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
        """True if the subscription is to be replaced rather than renewed."""
        return self._core.renews is False or self._core.suspect

    def _replace(self, reason: str) -> list[Command]:
        core = self._core
        core.reason = reason
        if core.renews is False:
            core.spared = min(core.spared * 2.0, core.lifetime / 2.0)
        return self._inputs.replace()

    def unreadable(self, now: float) -> list[Command]:
        """Handles a success for a Subscribe or Renew that cannot be read."""
        self._core.asked_at = now
        if self.state == "renewing":
            self._core.renews = False
        else:
            self._core.refusing = ""
        return self._inputs.unreadable(now)

    def unreachable(self, now: float) -> list[Command]:
        """Handles a missing answer or a temporary refusal; a subscription survives these until it expires."""
        self._core.asked_at = now
        if self.state == "renewing" and now >= self._core.expires_at:
            return self._replace(LAPSED)
        return self._inputs.unreachable()

    def unsubscribed(self, now: float, *, accepted: bool) -> list[Command]:
        """Handles the outcome of an Unsubscribe for a subscription that is to be replaced.

        It was not `accepted` if the device refused, or did not answer.
        """
        core = self._core
        core.asked_at = now
        core.knew = accepted and not core.renews
        forgotten = core.reason != MOVED and (
            not accepted or (core.reason == REFUSED and core.renews is True))
        if forgotten and core.renews is False:
            core.forget_evidence()
        return self._inputs.lost(now) if forgotten else self._inputs.replaced(now)

    def notified(self, now: float) -> list[Command]:
        """Handles a notification: the device holds our subscription, so it does not support what it refused."""
        core = self._core
        if core.suspect and self.state == "subscribed":
            core.renews, core.suspect, core.spared = False, False, max(core.spared, SETTLED)
            return [core.half_time(core.expires_at - now)]
        return self._inputs.notified(now)

    def ended(self, now: float) -> list[Command]:
        """Handles SubscriptionEnd from the device; ignores it while the answer to an Unsubscribe is pending."""
        return [] if self.state == "replacing" else self._inputs.lost(now)

    def due(self) -> list[Command]:
        """Handles the time of the last `Wake`."""
        if self.state == "subscribed" and self._is_unrenewable:
            return self._replace(UNRENEWABLE)
        return self._inputs.due()

    def moved(self) -> list[Command]:
        """Replaces the subscription after the gateway's own address has changed."""
        return self._replace(MOVED)

    def checked(self, now: float) -> list[Command]:
        """Starts the regular check. It tells nothing about a device that cannot renew."""
        return [] if self._is_unrenewable else self.doubted(now)

    def doubted(self, now: float) -> list[Command]:
        """Checks whether the device still holds our subscription.

        Called when the device failed a client, or behaves as if it had restarted. Checks at most every `RECHECK`
        seconds; without a subscription there is nothing to check.
        """
        return self._recheck(now) if self.state == "subscribed" else []

    def recovered(self, now: float, *, was_away: bool = False) -> list[Command]:
        """Checks or renews the subscription after the device has become reachable.

        A held subscription is renewed, and a missing one requested; if the last request was less than `RECHECK` seconds
        ago, this is postponed until then. A device that refused is not asked before the end of its pause, unless it
        `was_away` long enough to have restarted; the same applies to one whose success could not be read.
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
        """Handles a known restart of the device."""
        return self._inputs.rebooted(now)

    def stop(self) -> list[Command]:
        """Ends the subscription."""
        return self._inputs.stop()
