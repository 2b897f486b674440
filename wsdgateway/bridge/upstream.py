"""A subscription that the gateway holds at a scanner: its own, or one for a name on the panel.

WS-Eventing 2004/08, sections 3.1, 3.2, 3.4 and 3.5. The states are `bridge.upstream_table`'s; here is what a device's
answers mean to them, and when to doubt.
"""

from collections.abc import Callable

from wsdgateway.bridge.holding import Command, Subscribe, Wake
from wsdgateway.bridge.upstream_table import Core, machine
from wsdgateway.eventing.messages import Granted
from wsdgateway.scan.operations import EVENTS, JOB_END_STATE, JOB_STATUS, SCAN_AVAILABLE, action_of
from wsdgateway.soap.addressing import EndpointReference

ALL_EVENTS = tuple(action_of(event) for event in EVENTS if event != SCAN_AVAILABLE)
JOB_EVENTS = (action_of(JOB_STATUS), action_of(JOB_END_STATE))
FILTERS = (ALL_EVENTS, JOB_EVENTS)

RECHECK = 10.0  # a device does not start again in less

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
        """Whether the device holds our subscription, as far as we know."""
        return self._core.state in ("subscribed", "renewing")

    @property
    def refusing(self) -> bool:
        """Whether the device said no to the last Subscribe, and not for the moment only."""
        return bool(self._core.refusing) and self._core.refusing not in TEMPORARY

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
