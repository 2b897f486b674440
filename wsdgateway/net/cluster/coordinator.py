"""Takes part in the cluster: registers this gateway at the shared server, renews its leases, and takes scanners.

One tick each quarter of a lease does that for all scanners. The next one is sent earlier if another gateway rings the
bell, or when the lease of another gateway has just run out.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsdgateway.bridge.cluster.candidates import place_of
from wsdgateway.bridge.cluster.commands import Why
from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.cluster.ownership import Ownership
from wsdgateway.bridge.cluster.ownership_table import State
from wsdgateway.bridge.cluster.serverclock import ServerClock
from wsdgateway.bridge.cluster.state import CannotMove
from wsdgateway.bridge.cluster.values import NO_TOKEN, Registration, Serving, View
from wsdgateway.net.cluster.inquiry import Ask, Inquiry
from wsdgateway.net.cluster.knowledge import Knowledge, KnownOwnership
from wsdgateway.net.cluster.ownedscanner import Composition, OwnedScanner
from wsdgateway.net.cluster.ownerwaits import OwnerWaits
from wsdgateway.net.cluster.sections import SectionComparison
from wsdgateway.net.cluster.serverstate import ServerState, ServerWatch
from wsdgateway.net.cluster.takenname import TakenName
from wsdgateway.net.cluster.ticks import Ticks
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.coordination import ICoordination, NameTaken, NotAdmitted, NotNow

TICKS = 4  # in a lease
LONGEST_RETRY = 1.0  # seconds between ticks while the server cannot be reached
AFTER_LEASE = 0.05  # seconds after the end of a foreign lease at which this gateway looks whether the scanner is free
AFTER_GRACE = 0.01  # seconds after the end of a grace at which an owner that is alone asks for the scanner
LOOK_SECONDS = 0.1  # between looks at what other gateways do, in a stop


class Coordinator:
    """The part of this gateway in the cluster.

    `registration` returns this gateway as it is now, without `unreachable`, `alone` and `lease`. `leases` are the
    leases that the data plane looks at. `lease` is the length of a lease in seconds, `alone` whether this gateway
    serves scanners without the server, `stop_timeout` the time in seconds for requests that run when a scanner is
    handed over. `ask` asks another gateway what it serves.
    """

    log = Logger()

    def __init__(self, reactor: Any, coordination: ICoordination, leases: Leases, composition: Composition, *,
                 registration: Callable[[], Registration], boot_time: Callable[[], float], lease: float, alone: bool,
                 stop_timeout: float, ask: Ask | None = None) -> None:
        self._reactor, self._coordination, self._leases = reactor, coordination, leases
        self._composition, self._registration, self._boot_time = composition, registration, boot_time
        self._lease, self._alone, self.stop_timeout = lease, alone, stop_timeout
        self._identifier = registration().identifier
        self._scanners: dict[str, OwnedScanner] = {}
        self._waits = OwnerWaits(reactor, self.find)
        self._server = ServerWatch(boot_time)
        self._clock = ServerClock(lease)
        self._sections = SectionComparison()
        self._leaving: set[OwnedScanner] = set()
        self._tasks, self._removals = Tasks("the cluster"), Tasks("scanners that are configured no more")
        self._ticks = Ticks(reactor, self._tasks, boot_time, self._tick, self._waits.look)
        self._name = TakenName(lease, boot_time)
        self._phase = "new"  # new ─► running ─► leaving ─► stopped
        self._known = Knowledge(self._identifier, lease, boot_time, self._server)
        self._inquiry = Inquiry(reactor, ask)
        self._is_asking = False
        coordination.listen(self.check)

    # Life.

    def start(self) -> None:
        """Take part; the first tick is sent at once."""
        self._phase = "running"
        self._ticks.start()
        self.adjust()
        self.check()

    def adjust(self) -> None:
        """Take over the scanners of the registration, after the configuration was read again."""
        sections = self._registration().sections
        for name in sections:
            if name not in self._scanners:
                self._scanners[name] = self._owned_scanner(name)
        for name in list(self._scanners):
            if name not in sections:
                self._removals.run(self._remove(name))
        self.check()

    async def leave(self) -> bool:
        """Tell the other gateways that this one takes nothing any more. Returns False if none of them goes on.

        Then this gateway goes on. Of several that stop at the same time, only the last one that the server registers as
        leaving finds that no other goes on, so that the scanners of all others have a gateway to go to.
        """
        if self._phase != "running":
            return self._phase == "leaving"
        self._phase = "leaving"
        await self._ticks.now()
        await self._wait_for_the_dead()
        if not self.is_last():
            return True
        self._phase = "running"
        self.check()
        return False

    async def _wait_for_the_dead(self) -> None:
        """Wait until the server registers no gateway that has died.

        That takes at most a lease, and a tick. If another gateway answers over the link, none of them matters. One that
        is still registered after that time lives, although the link to it is broken.
        """
        going_on = self._going_on()
        if not going_on or self._server.state.is_reachable is False \
                or await self._inquiry.ask(going_on, self.serving()):
            return
        seconds = self._lease + self._period + LOOK_SECONDS
        self.log.info("Stopping: {names} cannot be reached; waiting up to {seconds:g} s, to see whether Redis still "
                      "hears of it", names=" and ".join(sorted(one.name for one in going_on)), seconds=seconds)
        until = self._boot_time() + seconds
        while not self.is_last() and self._server.state.is_reachable and self._boot_time() < until:
            await deferLater(self._reactor, LOOK_SECONDS)

    async def hand_over(self) -> None:
        """End all ownerships, and release the scanners, each of which another gateway takes at once; after `leave`.

        This gateway stays registered until `stop`, and knows the new owners meanwhile.
        """
        await self._end_all(Why.HANDED_OVER)

    async def take_what_is_left(self, seconds: float) -> None:
        """Wait until this gateway, the last one that goes on, owns the scanners of those that stop; at most `seconds`.

        It does not wait for what it could not take: while the server is away, or in the grace.
        """
        until = self._boot_time() + seconds
        while self._is_something_left() and self._boot_time() < until:
            await deferLater(self._reactor, LOOK_SECONDS)

    def _is_something_left(self) -> bool:
        if self._phase != "running" or not self._server.state.is_reachable or self.grace > 0.0:
            return False
        going_on = {gateway.identifier for gateway in self._going_on()}
        owners = {} if self.view is None else self.view.owners
        return any(not owned.is_served and (name not in owners or owners[name].identifier not in going_on)
                   for name, owned in self._scanners.items())

    async def _end_all(self, why: Why) -> None:
        stopping = [Deferred.fromCoroutine(scanner.stop(why)) for scanner in self._scanners.values()]
        for stopped in stopping:
            await stopped

    async def stop(self) -> None:
        """End the ownerships that are left, as those of the last gateway, and end the registration."""
        if self._phase == "running":
            self._phase = "leaving"
            # Others must know that this gateway takes nothing any more before it releases anything.
            await self._ticks.now()
            await self._end_all(Why.STOPPED)
        if self._phase != "leaving":
            return
        self._phase = "stopped"
        self._waits.stop()
        self._ticks.stop()
        await self._tasks.idle()  # a tick that arrives after `leave` would register the gateway again
        try:
            await self._coordination.leave(self._identifier)
        except NotNow as error:
            self.log.debug("the registration ends when it runs out: {error}", error=error)

    # What others of this gateway ask.

    @property
    def view(self) -> View | None:
        """The answer to the last tick that was answered; None before that."""
        return self._known.view

    @property
    def grace(self) -> float:
        """The time in seconds until which no gateway may take a scanner that nobody owns; 0 if one may."""
        return max(0.0, self._known.grace_until - self._boot_time(), self._clock.trusted_from - self._boot_time())

    @property
    def redis_state(self) -> ServerState:
        """The state of the server: whether it answers, and since when."""
        return self._server.state

    @property
    def differences(self) -> tuple[str, ...]:
        """A sentence for each difference between the configurations of this gateway and of another one."""
        return self._sections.differences

    def find(self, scanner: str) -> Registration | None:
        """The gateway to which requests for a scanner go now: its owner, if it serves the scanner; else None.

        While the server cannot be reached, that is the last owner that is known.
        """
        owned = self._scanners.get(scanner)
        if owned is not None and owned.is_here:
            return self._registration()
        return self._known.owner(scanner)

    def serving(self) -> Serving:
        """The scanners that this gateway serves, or is about to serve without the server, as others are told.

        One that it still hands over is among them: until that is done, the scanner notifies this gateway.
        """
        busy = (State.LEAVING, State.CLAIMING, State.UNLEASED)
        return Serving(self._registration(), {
            name: owned.machine.alone_token for name, owned in self._scanners.items()
            if owned.is_here or owned.machine.state in busy})

    def questioned(self, by: Serving) -> Serving:
        """Answer the question of another gateway, which tells what it serves itself."""
        if by.gateway.identifier != self._identifier:
            self._inquiry.met(by.gateway)
            for scanner in by.tokens:
                self._composition.heard_elsewhere(scanner)
        return self.serving()

    @property
    def outage(self) -> str | None:
        """Why no scanner can get an owner: the server cannot be reached; None if it can.

        Clients are told, so it says neither the server's address nor the cause, which are for administrators.
        """
        return None if self._server.state.is_reachable is not False else (
            "The gateways share their scanners through a Redis server, which cannot be reached. Try again in a few "
            "seconds.")

    @property
    def living(self) -> tuple[Registration, ...]:
        """The gateways that were registered within the last lease, as far as this one knows."""
        return self._known.living

    def wait_for_owner(self, scanner: str, seconds: float) -> Deferred[Registration | None]:
        """Fires with what `find` returns as soon as that is not None; with None after `seconds`.

        Fires with None at once if `ownerwaits.MAX_WAITING` requests wait already.
        """
        return self._waits.wait(scanner, seconds)

    def ownerships(self) -> list[KnownOwnership]:
        """The ownership of each scanner as this gateway knows it, for people and metrics."""
        name = self._registration().name
        return [self._known.ownership(owned.machine, name) for owned in self._scanners.values()]

    def is_last(self) -> bool:
        """True if no other gateway is registered that goes on serving scanners, as far as this one knows."""
        return not self._going_on()

    def _going_on(self) -> list[Registration]:
        """The other gateways that are registered, and do not stop, as far as this one knows."""
        return [gateway for gateway in self._known.others() if gateway.sections]

    # What others of this gateway report.

    def check(self) -> None:
        """Send a tick as soon as that is allowed."""
        self._ticks.soon()

    def demote(self, scanner: str, token: int) -> None:
        """Handle the hint of another gateway that an ownership by `token` is known. It only ever ends ownerships."""
        owned = self._scanners.get(scanner)
        if owned is not None and token > owned.machine.lease.token:
            owned.carry_out(owned.machine.newer(token))
            self.check()

    def fenced(self, scanner: str) -> None:
        """Handle that the server has refused a write for a scanner."""
        self._composition.fenced()
        owned = self._scanners.get(scanner)
        if owned is not None:
            owned.carry_out(owned.machine.fenced())

    def reached(self, scanner: str, is_reached: bool) -> None:
        """Handle that an owned scanner was reached, or could not be reached."""
        owned = self._scanners.get(scanner)
        if owned is not None and owned.is_served:
            (owned.machine.reach.reached if is_reached else owned.machine.reach.failed)(self._boot_time())

    async def move(self, scanner: str, gateway: str) -> None:
        """Ask the owner of a scanner to hand it over to a gateway.

        Raises `CannotMove`, or `NotNow` if the server cannot serve.
        """
        if scanner not in self._scanners:
            raise CannotMove(f"{scanner}: there is no scanner with this name")
        gateways = self._known.gateways
        target = next((registered for registered in gateways if registered.name == gateway), None)
        if target is None:
            names = ", ".join(sorted(registered.name for registered in gateways))
            raise CannotMove(f"{gateway}: must be the name of a running gateway: {names or 'none is known'}")
        if scanner not in target.sections:
            raise CannotMove(f"{scanner}: the gateway {gateway} is not configured for this scanner")
        await self._coordination.wish(scanner, gateway)
        self.check()

    # Ticks.

    async def _tick(self, sent: float) -> None:
        own = self._own_registration()
        renewals = {name: owned.renewal for name, owned in self._scanners.items() if owned.renewal != NO_TOKEN}
        try:
            view = await self._coordination.tick(own, self._lease, renewals, list(self._scanners))
        except NameTaken:
            self._ticks.at(sent + self._period)
            reason = self._name.refused(own.name)
            if reason is not None:
                self._composition.name_taken(reason)
        except NotNow as error:
            self._handle_failure(str(error), sent, is_admitted=not isinstance(error, NotAdmitted))
        except Exception as error:  # the next tick must be sent whatever happens
            if self._server.state.is_reachable is not False:
                self.log.failure("The answer of Redis to a tick cannot be used")
            self._handle_failure(f"its answer cannot be used: {error!r}", sent)
        else:
            self._handle_view(view, own, sent)

    def _handle_failure(self, cause: str, sent: float, *, is_admitted: bool = True) -> None:
        self._ticks.at(sent + min(self._period, LONGEST_RETRY))
        if self._server.failed(cause):
            self._composition.changed()
        if not is_admitted and self.view is None:
            return  # the others, which it does not know, may well use the server: it must not serve beside their owner
        for owned in list(self._scanners.values()):
            owned.carry_out(owned.machine.unanswered(sent))
        self._tasks.run(self._ask_others())

    async def _ask_others(self) -> None:
        """Ask the other gateways what they serve, if that must be known because the server gives nothing."""
        asking = [owned for owned in self._scanners.values() if owned.machine.asks_others(self._boot_time())]
        if not asking or self._is_asking or self._phase != "running":
            return
        self._is_asking = True
        sent = self._boot_time()
        try:
            answers = await self._inquiry.ask(self._known.asked(), self.serving())
        finally:
            self._is_asking = False
        if not self._known.gives_nothing or self._phase != "running":
            return
        self._known.told(answers, () if self._alone else (owned.machine.scanner for owned in asking))
        now, reached = self._boot_time(), [self._registration(), *(answer.gateway for answer in answers)]
        heard = {gateway.identifier for gateway in reached}
        all_heard = all(gateway.identifier in heard for gateway in self._known.others())
        for owned in asking:
            name = owned.machine.scanner
            serving = [(answer.tokens[name], answer.gateway.identifier) for answer in answers if name in answer.tokens]
            owned.carry_out(owned.machine.asked(serving, place_of(reached, name, self._identifier), sent, now,
                                                all_heard=all_heard))
        self._changed()

    def _handle_view(self, view: View, own: Registration, sent: float) -> None:
        self._name.accepted()
        now = self._boot_time()
        is_news = self._server.answered()
        self._inquiry.answered()
        is_news = self._known.seen(view, now) or is_news
        self._clock.observe(view.time, sent, now)
        self._sections.compare(own, view)
        changes = [owner.remaining + AFTER_LEASE for owner in view.owners.values()
                   if owner.identifier != self._identifier]
        # An owner that is alone asks before all others when the grace is over, or the server's clock is trusted again.
        changes += [wait + AFTER_GRACE for wait in (view.grace, self._clock.trusted_from - now) if wait > 0.0]
        self._ticks.at(min([sent + self._period, *(now + change for change in changes)]))
        for owned in list(self._scanners.values()):
            owned.carry_out(owned.machine.answered(view, sent, now, self._clock.trusted_from))
        if self._known.gives_nothing:
            self._tasks.run(self._ask_others())
        if is_news:
            self._composition.changed()

    @property
    def _period(self) -> float:
        return self._lease / TICKS

    # What is known.

    def _own_registration(self) -> Registration:
        now = self._boot_time()
        unreachable = frozenset(name for name, owned in self._scanners.items()
                                if owned.machine.reach.is_unreachable(now))
        alone = {name: owned.machine.alone_token for name, owned in self._scanners.items()
                 if owned.machine.is_serving and owned.machine.lease.is_alone}
        own = attrs.evolve(self._registration(), unreachable=unreachable, alone=alone, lease=self._lease)
        return own if self._phase == "running" else attrs.evolve(own, sections={})

    # Scanners.

    def _owned_scanner(self, name: str) -> OwnedScanner:
        machine = Ownership(name, self._identifier, self._leases.of(name), seconds=self._lease, alone=self._alone)
        return OwnedScanner(
            self._reactor, self._coordination, machine, attrs.evolve(self._composition, changed=self._changed),
            self._clock, identifier=self._identifier, lease=self._lease, boot_time=self._boot_time,
            stop_timeout=lambda: self.stop_timeout, check=self.check, owner_name=self._known.owner_name,
            given_up=self._tell_given_up)

    def _tell_given_up(self, scanner: str, token: int) -> None:
        """Tell the other gateways that this one has served a scanner without a lease until now, by that token.

        The scanner has notified this gateway, so its new owner does not know the events.
        """
        self._tasks.run(self._inquiry.ask(self._known.asked(), Serving(self._registration(), {scanner: token})))

    async def _remove(self, name: str) -> None:
        owned = self._scanners[name]
        if owned in self._leaving:
            return
        self._leaving.add(owned)
        others = any(name in gateway.sections for gateway in self._known.others())
        await owned.stop(Why.HANDED_OVER if others else Why.STOPPED)
        self._leaving.discard(owned)
        del self._scanners[name]
        self._leases.forget(name)
        if self._phase == "running" and name in self._registration().sections:  # configured again meanwhile
            self._scanners[name] = self._owned_scanner(name)
            self.check()

    def _changed(self) -> None:
        self._waits.look()
        self._composition.changed()
