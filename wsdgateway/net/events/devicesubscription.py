"""Executes the decisions of `bridge.events.upstream`: sends Subscribe, Renew and Unsubscribe, and waits.

WS-Eventing 2004/08, section 3. Each Subscribe gets a new unguessable address, so that notifications of a former
subscription are not mistaken for those of the current one. The store keeps the subscriptions held by the scanner, so
that the next start can renew them.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstream import FILTERS, Upstream
from wsdgateway.bridge.events.upstream_core import NO_MANAGER
from wsdgateway.bridge.events.upstreamanswers import UpstreamAnswer
from wsdgateway.bridge.events.upstreamcommands import (
    Command,
    Held,
    Lost,
    Renew,
    Replace,
    Shown,
    Subscribe,
    Unsubscribe,
    Wake,
)
from wsdgateway.bridge.health.causes import NO_SUCH_SERVICE, SUBSCRIPTION_LOST, Cause, subscription_refused
from wsdgateway.eventing.messages import Granted
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.events.unsubscribing import LEAVE_SECONDS, Ending, Unsubscribing
from wsdgateway.net.transport.errors import DeviceError, NotOwned, describe_error
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.seen import Seen

SECRET_BYTES = 24


class DeviceSubscription:
    """A subscription at one scanner: the gateway's own for events, or one for a client's names on the panel.

    `on_lost` is called when the scanner may have restarted, `on_change` after every step with whether the subscription
    is held, `on_granted` with the answer to a Subscribe. `extension` is XML for the Subscribe, `purpose` says in the
    log what the subscription is for. `read_shown` reads from the answer to a Subscribe what the store keeps as `shown`.
    """

    log = Logger()

    def __init__(self, client: EventingClient, *, identifier: str = "",
                 filters: tuple[tuple[str, ...], ...] = FILTERS, extension: str = "", purpose: str = "its events",
                 on_lost: Callable[[], None] = lambda: None,
                 on_change: Callable[[bool], None] = lambda listening: None,
                 on_granted: Callable[[Envelope], None] = lambda answer: None,
                 read_shown: Callable[[Envelope], tuple[Shown, ...]] = lambda answer: ()) -> None:
        self._client = client
        self.identifier = identifier
        self._extension = extension
        self._purpose = purpose
        self._on_lost = on_lost
        self._on_change = on_change
        self._on_granted = on_granted
        self._read_shown = read_shown
        self._machine = Upstream(address=client.address, expires=client.expires, random=client.random, filters=filters)
        self._timer: IDelayedCall | None = None
        self._outstanding = client.make_outstanding()
        self._number = 0  # of the last request; answers to earlier ones are not passed to the machine
        self._notify_to = ""
        self._shown: tuple[Shown, ...] = ()
        self._resuming: Held | None = None
        self._is_lost = False
        self._warning = ""  # the last one; repetitions are not logged
        self.unsubscribing = Unsubscribing(client, identifier, self._outstanding)
        self.seen = Seen()

    @property
    def state(self) -> str:
        """The state of the subscription as a word."""
        return self._machine.state

    @property
    def listening(self) -> bool:
        """True if the scanner holds the subscription, as far as is known."""
        return self._machine.listening

    @property
    def holding(self) -> bool:
        """True if the scanner may hold the subscription, including while it is being replaced."""
        return self._machine.holding

    @property
    def refused(self) -> bool:
        """True if the scanner says that it has no such events."""
        return self._machine.refusing and not self._machine.listening

    @property
    def trouble(self) -> Cause | None:
        """The cause for which the scanner sends no events; None if it does, has none, or has not been asked yet.

        A lost subscription is no cause before an attempt to replace it has failed.
        """
        if self.holding:
            return None
        if self._machine.refusal:
            return subscription_refused(self._machine.refusal)
        is_lost = self._is_lost and self._machine.is_unsettled and not self._machine.refusing
        return SUBSCRIPTION_LOST if is_lost else None

    @property
    def refusal(self) -> str:
        """The fault with which the scanner refused the last Subscribe for good; empty if it did not."""
        return self._machine.refusal

    @property
    def misses_service(self) -> bool:
        """True if it answers Subscribe like a server without a scan service. Some scanners without events do that."""
        return self._machine.refusal in map(str, NO_SUCH_SERVICE)

    @property
    def renews(self) -> bool | None:
        """True if the scanner grants Renew; None while that is unknown."""
        return self._machine.renews

    @property
    def is_resumed(self) -> bool | None:
        """True if the scanner has renewed the subscription of an earlier start, False if it did not, or there is none.

        None while that is unknown. If it is False, the scanner may have restarted.
        """
        if self.state == "subscribed" and self.renews:
            return True
        return None if self.state in ("idle", "subscribed", "renewing") else False

    @property
    def secret(self) -> str:
        """The last part of the NotifyTo address; empty while there is none."""
        return self._notify_to.rpartition("/")[2]

    @property
    def held(self) -> Held:
        """The subscription as the store keeps it."""
        client = self._client
        return Held(client.scanner, self.identifier, client.address, self._notify_to, self._machine.manager,
                    client.wall() + self._machine.expires_at - client.seconds(), self._shown)

    # Start and stop.

    def start(self) -> None:
        """Subscribes, and keeps the subscription alive."""
        self._do(self._machine.start())

    def resume(self, held: Held) -> None:
        """Renews an earlier start's subscription if its NotifyTo address still works; otherwise subscribes again."""
        self._resuming = held
        self._outstanding.run(self._resume(held))

    async def _resume(self, held: Held) -> None:
        client = self._client
        self._resuming = held
        try:
            base = await client.notify_base()
        except DeviceError:
            base = held.notify_to.rpartition("/")[0]  # the current address is unknown at the moment
        if self._resuming is None:
            return  # stopped or handed off meanwhile
        self._resuming = None
        if held.address != client.address and not client.where.follows:
            client.end_elsewhere(held)
            self.start()
            return
        now = client.seconds()
        expires_at = now + held.expires_at - client.wall()
        self._listen_at(held.notify_to)
        self._shown = held.shown
        if held.notify_to.rpartition("/")[0] == base:
            self._do(self._machine.resumed(held.manager, expires_at, now))
        else:
            self._do(self._machine.superseded(held.manager, expires_at))

    def replace(self, held: Held) -> None:
        """Ends another subscription for the same purpose, then subscribes, so that the scanner never holds both."""
        self._outstanding.run(self._replace(held))

    async def _replace(self, held: Held) -> None:
        client = self._client
        if held.manager == NO_MANAGER:
            await self._resume(held)  # it cannot be ended, so its end is awaited
            return
        if held.address != client.address and not client.where.follows:
            client.end_elsewhere(held)
            self.start()
            return
        if held.identifier != self.identifier:
            client.hold(attrs.evolve(held, identifier=self.identifier))
            client.release(held.identifier, held.notify_to)
        self._listen_at(held.notify_to)
        self._shown = held.shown
        self._do(self._machine.superseded(held.manager, client.seconds() + held.expires_at - client.wall()))

    async def begin(self) -> tuple[Granted | None, Reply]:
        """Subscribes once, for a waiting client; keeps the subscription alive if granted. Raises `DeviceError`."""
        beginning: Deferred[None] = Deferred()
        self._outstanding.add(beginning)
        try:
            reply = await self._request(self._machine.once())
            granted = self._client.read(reply).granted
            if granted is None:
                return None, reply
            if not self._client.owns():
                self.unsubscribing.end_late_grant(granted, self._notify_to)
                raise NotOwned(self._client.scanner)
            self._do(self._machine.adopted(granted, self._client.seconds()))
            if not self.listening:  # stopped meanwhile
                self.unsubscribing.end_late_grant(granted, self._notify_to)
            return granted, reply
        finally:
            if not self.listening:
                self._listen_at("")
            self._outstanding.discard(beginning)

    def hand_off(self) -> Held | None:
        """Stops without ending the subscription, and returns it (None if there is none) for another object."""
        held, self._resuming = self.held if self.holding else self._resuming, None
        self.give_up()
        self._number += 1  # answers that arrive later are ignored
        return held

    def hand_over(self, identifier: str) -> None:
        """Transfers the subscription to another subscription of a client."""
        self.identifier = self.unsubscribing.identifier = identifier

    def stop(self) -> Deferred[None]:
        """Ends the subscription at the scanner; fires when that is done or after `LEAVE_SECONDS`."""
        self._cancel_timer()
        held, self._resuming = self._resuming, None
        if held is not None:
            self.unsubscribing.end_held(held)
        self._do(self._machine.stop())
        self._stop_listening()
        return self._outstanding.settled(LEAVE_SECONDS)

    def give_up(self) -> None:
        """Stops because the process ends; the next start finds in the store the requests that have not been sent."""
        self.unsubscribing.give_up()
        self._cancel_timer()

    # Reactions to the scanner.

    def ended(self) -> None:
        """Handles a SubscriptionEnd from the scanner."""
        self.log.info("{scanner}: the scanner ended the subscription", scanner=self._client.scanner)
        self._do(self._machine.ended(self._client.seconds()))

    def notified(self) -> None:
        """Handles a notification sent to the address of this subscription."""
        if self._machine.is_uncertain:
            self._do(self._machine.notified(self._client.seconds()))
            self._client.hold(self.held)

    def doubted(self) -> None:
        """Asks whether the scanner still holds the subscription, because it behaves as if it had been away."""
        self._do(self._machine.doubted(self._client.seconds()))

    def checked(self) -> None:
        """Asks whether the scanner still holds the subscription, because the regular check is due."""
        self._do(self._machine.checked(self._client.seconds()))

    def recovered(self, *, was_away: bool) -> None:
        """Renews, or subscribes again, after the scanner has become reachable."""
        self.unsubscribing.hurry()
        self._do(self._machine.recovered(self._client.seconds(), was_away=was_away))

    # The address for notifications.

    def _listen_at(self, notify_to: str) -> None:
        """Accepts notifications at this address, and no longer at the former one."""
        self._stop_listening()
        self._notify_to = notify_to
        if notify_to:
            self._client.addresses[self.secret] = self

    def _stop_listening(self) -> None:
        """Accepts no more notifications at the address, which still identifies the subscription in the store."""
        self._client.addresses.pop(self.secret, None)

    # Commands.

    def _do(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Wake):
                if not (command.sooner and self._wakes_within(command.after)):
                    self._cancel_timer()
                    self._timer = self._client.reactor.callLater(command.after, self._due)
            elif isinstance(command, Lost):
                former = self._notify_to
                self._is_lost = self._is_lost or command.forgotten
                self._listen_at("")  # later notifications belong to a subscription that has ended
                self._shown = ()
                self._client.release(self.identifier, former)
                if command.forgotten:
                    self._on_lost()
            elif isinstance(command, Unsubscribe):
                self._cancel_timer()
                self.unsubscribing.begin(Ending(command.manager, self._client.address, self._notify_to,
                                                self._machine.expires_at))
            else:
                if isinstance(command, Replace) and self._shown:  # nobody may renew it while its end is under way
                    self._shown = ()
                    self._client.hold(self.held)
                self._cancel_timer()
                self._number += 1
                self._outstanding.run(self._send(command, self._number))
        self._is_lost = self._is_lost and not self._machine.listening
        self._on_change(self._machine.listening)

    def _wakes_within(self, seconds: float) -> bool:
        return self._timer is not None and self._timer.getTime() - self._client.reactor.seconds() <= seconds

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._do(self._machine.due())

    async def _send(self, command: Subscribe | Renew | Replace, number: int) -> None:
        """Sends a request, and passes its outcome to the machine unless that has moved on meanwhile."""
        client = self._client
        what = "Unsubscribe" if isinstance(command, Replace) else type(command).__name__
        try:
            if isinstance(command, Renew) and await client.notify_base() != self._notify_to.rpartition("/")[0]:
                if number == self._number and self.state == "renewing":
                    self.log.info("{scanner}: the gateway's address has changed; subscribing again",
                                  scanner=client.scanner)
                    self._do(self._machine.moved())
                return
            answer = client.read(await self._request(command))
        except Exception as error:  # the machine waits for an outcome, whatever the error
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: {what} failed", scanner=client.scanner, what=what)
            if getattr(error, "cause", None) is None:  # otherwise it is logged as the scanner's problem
                self._warn("{what} failed: {problem}", what, describe_error(error))
            if number == self._number:
                self._do(self._machine.unanswered(command, client.seconds(), sent=getattr(error, "sent", False)))
            return
        if self.state in ("leaving", "stopped"):
            self._stop_listening()
        if number == self._number:
            self._take(command, answer, what)
        elif isinstance(command, Subscribe) and answer.granted is not None and answer.granted.manager is not None:
            if client.owns():
                self.unsubscribing.begin(Ending(answer.granted.manager, client.address, ""))  # nothing would renew it
            else:
                self.unsubscribing.end_late_grant(answer.granted, self._notify_to)

    async def _request(self, command: Subscribe | Renew | Replace) -> Reply:
        client = self._client
        if isinstance(command, Subscribe):
            base = await client.notify_base()
            secret = urlsafe_b64encode(client.secret(SECRET_BYTES)).rstrip(b"=").decode()
            self._listen_at(f"{base}/{secret}")
            return await client.subscribe(self._notify_to, command.actions, self._extension)
        if isinstance(command, Renew):
            return await client.renew(command.manager)
        client.check()  # a subscription that cannot be replaced is kept
        return await client.unsubscribe(command.manager)

    def _take(self, command: Subscribe | Renew | Replace, answer: UpstreamAnswer, what: str) -> None:
        """Passes the scanner's answer to the machine."""
        scanner, before = self._client.scanner, self.renews
        commands = self._machine.answered(command, answer, self._client.seconds())
        if isinstance(command, Replace):
            self._do(commands)
        elif answer.granted is not None:
            if isinstance(command, Subscribe) and answer.envelope is not None:
                self._shown = self._read_shown(answer.envelope)
            # Even a subscription to be ended is stored: if this process cannot end it, the next start can.
            self._client.hold(self.held)
            self._warning = ""
            self._do(commands)
            if isinstance(command, Subscribe) and answer.envelope is not None:
                self.log.info("{scanner}: subscribed to {what}", scanner=scanner, what=self._purpose)
                self._on_granted(answer.envelope)
        else:
            self._warn("the scanner refused {what}: {problem}" if answer.refusal else
                       "the scanner accepted {what} with an answer that cannot be read", what, answer.refusal)
            self._do(commands)
        if self.renews is False and before is not False:
            self.log.warn("{scanner}: the scanner does not renew subscriptions; the gateway replaces them before "
                          "they expire",
                          scanner=scanner)

    def _warn(self, text: str, what: str, problem: str) -> None:
        """Logs a warning, unless it repeats the last one since a request was granted."""
        warning = text.format(what=what, problem=problem)
        if warning != self._warning:
            self._warning = warning
            self.log.warn("{scanner}: {warning}", scanner=self._client.scanner, warning=warning)
