"""Carries out the commands of the ownership machine of one scanner, and logs what they change."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.cluster.commands import Acquire, Begin, Check, Command, End, Regained, Release, Try, Why
from wsdgateway.bridge.cluster.ownership import Ownership
from wsdgateway.bridge.cluster.ownership_table import State
from wsdgateway.bridge.cluster.serverclock import ServerClock
from wsdgateway.bridge.cluster.values import NO_TOKEN, Acquired
from wsdgateway.durations import in_words
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.coordination import ICoordination, NotNow
from wsdgateway.storage.store import StoreError

_MOMENT = 0.001  # seconds: a timer that comes a little too early is not set again without a pause


@attrs.frozen
class Composition:
    """The functions of the composition that the coordinator calls; scanners are given by name.

    `begin` starts to serve a scanner as after a restart of the gateway; the scanner is served when it is done. If it
    fails, nothing may be left of it, and the scanner is released. `end` stops to serve it, and for `Why.HANDED_OVER`
    and `Why.STOPPED` first lets requests end that run. It is cancelled after `stop_timeout()` seconds. Both are called
    one after the other for each scanner. `regained`: the gateway has a new token for a scanner that it has served
    without a break; the server may have lost data. `changed`: anything that `Coordinator` tells has changed.
    `took_over` and `fenced` count. `name_taken` gets one line of text; the gateway should stop.

    `begin_alone` is called in place of `begin` if the server cannot be reached; then nothing is known of the scanner.
    `alone` is called with True when the lease of a scanner that is served has run out while the server cannot be
    reached, and with False when this gateway has a lease again. `heard_elsewhere` is called when another gateway tells
    that it serves the scanner, or did so a moment ago: the scanner may have notified that one.
    """

    begin: Callable[[str], Awaitable[None]]
    end: Callable[[str, Why], Awaitable[None]]
    regained: Callable[[str], None] = lambda scanner: None
    changed: Callable[[], None] = lambda: None
    took_over: Callable[[str], None] = lambda scanner: None
    fenced: Callable[[], None] = lambda: None
    name_taken: Callable[[str], None] = lambda text: None
    begin_alone: Callable[[str], Awaitable[None]] | None = None
    alone: Callable[[str, bool], None] = lambda scanner, is_alone: None
    heard_elsewhere: Callable[[str], None] = lambda scanner: None


class OwnedScanner:
    """One scanner and its ownership.

    `check` sends a tick soon; `owner_name` names the owner of a scanner by the last view; `given_up` is called with the
    scanner and a token when this gateway no longer serves it without a lease. `is_served` is true between the end of
    `begin` and the start of `end`.
    """

    log = Logger()

    def __init__(self, reactor: Any, coordination: ICoordination, machine: Ownership, composition: Composition,
                 clock: ServerClock, *, identifier: str, lease: float, boot_time: Callable[[], float],
                 stop_timeout: Callable[[], float], check: Callable[[], None],
                 owner_name: Callable[[str], str | None], given_up: Callable[[str, int], None]) -> None:
        self._reactor, self._coordination, self._machine = reactor, coordination, machine
        self._composition, self._identifier, self._lease = composition, identifier, lease
        self._boot_time, self._stop_timeout, self._check = boot_time, stop_timeout, check
        self._owner_name, self._given_up, self._clock = owner_name, given_up, clock
        self._tasks = Tasks(f"{machine.scanner}: its ownership")
        self._trial: IDelayedCall | None = None
        self._steps: list[Begin | End] = []
        self._is_stepping = False
        self._alone_since: float | None = None
        self._is_told_alone = self._is_unleased = self._is_silenced = False
        self.is_served = False

    @property
    def machine(self) -> Ownership:
        """The machine, whose inputs are given through `carry_out`."""
        return self._machine

    @property
    def is_here(self) -> bool:
        """True if this gateway owns the scanner now, and serves it."""
        return self.is_served and self._machine.is_serving and self._machine.lease.holds()

    @property
    def renewal(self) -> int:
        """The token by which ticks renew the lease, 0 if there is none to renew."""
        owning = (State.OWNING, State.ALONE, State.LEAVING)
        return self._machine.lease.token if self._machine.state in owning else NO_TOKEN

    def carry_out(self, commands: list[Command]) -> None:
        """Carry out the commands that the machine has returned for an input."""
        for command in commands:
            if isinstance(command, Acquire):
                self._tasks.run(self._acquire(command))
            elif isinstance(command, Release):
                self._tasks.run(self._release(command))
            elif isinstance(command, (Begin, End)):
                self._log_step(command)
                self._steps.append(command)
                self._step()
            elif isinstance(command, Regained):
                self.log.info("{scanner}: Redis had lost the ownership; this gateway goes on owning the scanner "
                              "(token {token})", scanner=self._machine.scanner, token=self._machine.lease.token)
                self._composition.regained(self._machine.scanner)
            elif isinstance(command, Try):
                self._try_at(command.at)
            elif isinstance(command, Check):
                self._check()
        self._log_alone()
        self._tell_alone()

    async def stop(self, why: Why) -> None:
        """End the ownership, and release the scanner, for good."""
        self.carry_out(self._machine.stop(why))
        self._cancel_trial()
        await self._tasks.idle()

    async def _acquire(self, command: Acquire) -> None:
        sent = self._boot_time()
        machine = self._machine
        try:
            outcome = await self._coordination.acquire(machine.scanner, self._identifier, self._lease, command.mine,
                                                       command.still_valid)
        except Exception as error:
            if not isinstance(error, NotNow):  # asked again, as if there had been no answer
                self.log.failure("{scanner}: the answer of Redis cannot be used", scanner=machine.scanner)
            self.carry_out(machine.not_acquired(self._boot_time()))
            return
        now = self._boot_time()
        self._clock.observe(outcome.time, sent, now)
        if isinstance(outcome, Acquired):
            self.carry_out(machine.acquired(outcome, sent, now, self._clock.trusted_from))
        else:
            self.carry_out(machine.refused(outcome, now))

    async def _release(self, command: Release) -> None:
        try:
            if command.wish:
                await self._coordination.wish(self._machine.scanner, command.wish)
            await self._coordination.release(self._machine.scanner, self._identifier, command.token)
        except NotNow as error:
            self.log.debug("{scanner}: not released, so it is free when its lease has run out: {error}",
                           scanner=self._machine.scanner, error=error)

    def _step(self) -> None:
        if not self._is_stepping:
            self._is_stepping = True
            self._tasks.run(self._take_steps())

    async def _take_steps(self) -> None:
        try:
            while self._steps:
                step = self._steps.pop(0)
                await (self._begin(step.alone) if isinstance(step, Begin) else self._end(step.why))
        finally:
            self._is_stepping = False

    async def _begin(self, alone: bool) -> None:
        scanner, composition = self._machine.scanner, self._composition
        try:
            await ((composition.begin_alone if alone else None) or composition.begin)(scanner)
        except StoreError as error:
            self.log.warn("{scanner}: its data cannot be read, so it is released: {error}", scanner=scanner,
                          error=str(error))
        except Exception:
            self.log.failure("{scanner}: cannot be served, so it is released", scanner=scanner)
        else:
            self.is_served = True
            self._tell_alone()
            self._composition.changed()
            return
        self.carry_out(self._machine.begin_failed(self._boot_time()))
        self._composition.changed()

    async def _end(self, why: Why) -> None:
        was_served, self.is_served = self.is_served, False
        was_alone, self._is_told_alone = self._is_told_alone or self._is_unleased, False
        if was_served and was_alone and why is Why.LOST:
            self._given_up(self._machine.scanner, self._machine.alone_token)
        if was_served:
            self._composition.changed()
            ending = Deferred.fromCoroutine(self._end_composition(why))
            ending.addTimeout(self._stop_timeout(), self._reactor)
            try:
                await ending
            except (TimeoutError, CancelledError):
                self.log.warn("{scanner}: requests still ran after {seconds:g} s, and were broken off",
                              scanner=self._machine.scanner, seconds=self._stop_timeout())
            except Exception:
                self.log.failure("{scanner}: its end has failed", scanner=self._machine.scanner)
        self.carry_out(self._machine.ended())
        self._composition.changed()

    async def _end_composition(self, why: Why) -> None:
        await self._composition.end(self._machine.scanner, why)

    def _try_at(self, at: float) -> None:
        self._cancel_trial()
        self._trial = self._reactor.callLater(max(_MOMENT, at - self._boot_time()), self._due)

    def _due(self) -> None:
        self._trial = None
        now = self._boot_time()
        if now < self._machine.try_at < float("inf"):
            self._try_at(self._machine.try_at)  # the timers of the reactor do not use the boot clock
        else:
            self.carry_out(self._machine.due(now))

    def _cancel_trial(self) -> None:
        if self._trial is not None:
            self._trial.cancel()
            self._trial = None

    def _log_step(self, step: Begin | End) -> None:
        machine = self._machine
        if isinstance(step, Begin):
            self._is_unleased = step.alone
        if isinstance(step, Begin) and step.alone:
            self.log.warn("{scanner}: Redis gives the scanner to nobody, and no gateway that serves it can be reached; "
                          "serving it alone", scanner=machine.scanner)
        elif isinstance(step, Begin):
            self._composition.took_over(machine.scanner)
            self.log.info("{scanner}: this gateway owns the scanner from now on (token {token})",
                          scanner=machine.scanner, token=machine.lease.token)
        elif step.why is Why.LOST and self._is_unleased:
            pass  # `_log_alone` tells it
        elif step.why is Why.LOST:
            name = self._owner_name(machine.scanner)
            self.log.warn("{scanner}: this gateway no longer owns the scanner (token {token}); {owner}",
                          scanner=machine.scanner, token=machine.lease.token,
                          owner=f"{name} owns it" if name else "its lease has run out")
        else:
            self.log.info("{scanner}: handing the scanner over to another gateway" if step.why is Why.HANDED_OVER
                          else "{scanner}: giving up the ownership, because the gateway stops serving the scanner",
                          scanner=machine.scanner)

    def _tell_alone(self) -> None:
        """Tell the composition that the lease of a served scanner has run out, or that there is one again."""
        state, is_alone = self._machine.state, self._machine.state is State.ALONE
        if self.is_served and state in (State.OWNING, State.ALONE) and is_alone is not self._is_told_alone:
            self._is_told_alone = is_alone
            self._composition.alone(self._machine.scanner, is_alone)

    def _log_alone(self) -> None:
        """Log the begin and the end of the time without the server."""
        was_silenced, self._is_silenced = self._is_silenced, self._machine.is_silenced
        if self._is_silenced and not was_silenced:
            self.log.warn("{scanner}: its lease has run out while Redis cannot be reached; clients get temporary "
                          "errors until it answers, because of [cluster] alone = false", scanner=self._machine.scanner)
        is_alone, now = self._machine.state in (State.ALONE, State.UNLEASED), self._boot_time()
        if is_alone and self._alone_since is None:
            self._alone_since = now
            if self._machine.state is State.ALONE:
                self.log.warn("{scanner}: its lease has run out while Redis cannot be reached; going on alone",
                              scanner=self._machine.scanner)
        elif not is_alone and self._alone_since is not None:
            lasted, self._alone_since = now - self._alone_since, None
            self.log.info("{scanner}: no longer alone, after {lasted}", scanner=self._machine.scanner,
                          lasted=in_words(lasted))
