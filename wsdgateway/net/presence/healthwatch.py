"""Watches the health of one scanner: collects the facts, and logs problems when they begin, change and end.

`bridge.health.health` decides what the problem is.
"""

from collections.abc import Callable

import attrs
from twisted.logger import Logger

from wsdgateway.bridge.health.causes import LEFT
from wsdgateway.bridge.health.health import Facts, Health, HealthRecord
from wsdgateway.bridge.health.problemlog import Change, ProblemLog
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.durations import in_words
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.presence.monitor import Monitor
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.transport.steadyclock import SteadyClock


class HealthWatch:
    """The health of one scanner, from `start` to `stop`.

    `clock` measures how long a problem lasts, `subscription` gives the gateway's own at the scanner, if there is one.
    """

    log = Logger()

    def __init__(self, scanner: str, bridge: ScannerBridge, device: DeviceClient, *, clock: SteadyClock,
                 subscription: Callable[[], DeviceSubscription | None]) -> None:
        self._scanner = scanner
        self._bridge = bridge
        self._device = device
        self._clock = clock
        self._subscription = subscription
        self._record = HealthRecord()
        self._lines = ProblemLog()
        self._seen = 0
        self._monitor: Monitor | None = None

    def start(self, monitor: Monitor) -> None:
        """Start watching the scanner that this monitor follows."""
        self._monitor = monitor
        self.look()

    @property
    def health(self) -> Health:
        """The health as of the last look, with times on the wall clock."""
        health, set_by = self._record.health, self._clock.set_by
        if not set_by:
            return health
        reachable_since, problem = health.reachable_since, health.problem
        return attrs.evolve(
            health, reachable_since=None if reachable_since is None else reachable_since + set_by,
            problem=None if problem is None else attrs.evolve(problem, since=problem.since + set_by))

    def look_at_status(self) -> None:
        """Look again if the scanner has reported something new."""
        if self._bridge.reported.changes != self._seen:
            self.look()

    def look(self) -> None:
        """Collect the facts, and log a change of the problem."""
        if self._monitor is None:
            return
        self._seen = self._bridge.reported.changes
        now = self._clock()
        self._record.update(self._facts(self._monitor), now)
        change = self._lines.change(self._record.health.problem, now)
        if change is not None:
            self._log(change, now)

    def _facts(self, monitor: Monitor) -> Facts:
        contact, reported, own = self._device.contact, self._bridge.reported, self._subscription()
        location, cause, reachable = monitor.missing, contact.cause, contact.reachable
        if monitor.has_left:
            reachable, cause = False, cause or LEFT
        elif reachable is None and location is not None and monitor.was_tried:
            reachable = location.reached
        return Facts(reachable, cause or self._bridge.misfit, location, reported.state, reported.conditions,
                     reported.cause, None if own is None else own.trouble)

    def _log(self, change: Change, now: float) -> None:
        if change.problem is None:
            assert change.former is not None
            self.log.info("{scanner}: the problem has ended after {lasted}: {cause}", scanner=self._scanner,
                          cause=change.former.cause, lasted=in_words(now - change.former.since))
            return
        detail = f"; {change.problem.detail}" if change.problem.detail else ""
        if change.former is None:
            self.log.warn("{scanner}: problem: {cause}{detail}", scanner=self._scanner, cause=change.problem.cause,
                          detail=detail)
        else:
            self.log.warn("{scanner}: the problem is now: {cause}{detail} (before, for {lasted}: {former})",
                          scanner=self._scanner, cause=change.problem.cause, detail=detail, former=change.former.cause,
                          lasted=in_words(now - change.former.since))

    def stop(self) -> None:
        """Stop watching: what happens while the gateway stops is no problem of the scanner."""
        self._monitor = None
