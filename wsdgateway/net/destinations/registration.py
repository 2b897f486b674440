"""Keeps the gateway's own destinations on the panel of one scanner.

WS-Scan, ScanDestinations, DestinationResponses. `bridge.destinations.registering` decides on the subscriptions. One
that an earlier start or another gateway has left is renewed, and its DestinationTokens stay in use. If the destinations
or the gateway's address have changed since, or the scanner does not renew it, it is ended before the next one is made,
so that the panel never shows a name twice::

    together ──refused, or not all registered──► singly: one after the other, each when the former is held or refused
"""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.destinations.registering import (
    TOGETHER,
    Entry,
    Registering,
    goes_on,
    is_single,
    kept_tokens,
    may_take_single,
    plan,
    shown_by,
    takes_list,
    tokens_of,
)
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.soap.envelope import Envelope


class Registration:
    """The registration at one scanner, through `panel`, which sends the requests in turn with those for clients.

    `on_lost` is called when the scanner may have restarted, `on_granted` when entries have been registered. `tokens`
    maps each ClientContext to the scanner's current DestinationToken.
    """

    log = Logger()

    def __init__(self, scanner: str, panel: ScanDestinations, *, on_lost: Callable[[], None],
                 on_granted: Callable[[], None]) -> None:
        self._scanner = scanner
        self._panel = panel
        self._on_lost = on_lost
        self._on_granted = on_granted
        self._entries: tuple[Entry, ...] = ()
        self._held: dict[str, tuple[Registering, DeviceSubscription]] = {}
        self._left: dict[str, Held] = {}
        self._singly = False
        self._running = False
        self.tokens: dict[str, str] = {}

    def __len__(self) -> int:
        return sum(subscription.listening for _, subscription in self._held.values())

    @property
    def state(self) -> str:
        """The state of the registration as a word: the worst of its subscriptions, "off" without any."""
        states = [subscription.state for _, subscription in self._held.values()]
        return next((state for state in states if state != "subscribed"), states[0] if states else "off")

    @property
    def held(self) -> list[tuple[Held, tuple[Entry, ...], str]]:
        """Each subscription that the scanner holds, the entries that it registers, and its state as a word."""
        return [(subscription.held, one.entries, subscription.state)
                for one, subscription in self._held.values() if subscription.listening]

    def token_for(self, context: str) -> str | None:
        """The scanner's current DestinationToken of an entry; None if it gives none."""
        return self.tokens.get(context)

    def entries_of(self, identifier: str) -> tuple[Entry, ...] | None:
        """The entries that a subscription registers; None if it is none of these."""
        found = self._held.get(identifier)
        return None if found is None else found[0].entries

    def begin(self, left: list[Held]) -> None:
        """Register, now that the scanner's address is known. `left` are the subscriptions of an earlier start.

        Some may be known only later, when a store that could not be used at the start can be read; these are ended.
        """
        if self._running:
            for one in left:
                self._panel.check().end_elsewhere(one)
            return
        self._running = True
        self._singly = any(is_single(one.identifier) for one in left)
        self._left = {one.identifier: one for one in left}
        self._apply()

    def configure(self, entries: tuple[Entry, ...]) -> None:
        """Show these entries."""
        self._entries = entries
        if self._running:
            self._apply()

    def _apply(self) -> None:
        """Make the subscriptions that are planned, and end all others."""
        planned = {one.identifier: one for one in plan(self._entries, singly=self._singly)}
        for identifier, (former, subscription) in list(self._held.items()):
            wanted = planned.get(identifier)
            if wanted is None:
                del self._held[identifier]
                self._drop(subscription)
            elif wanted != former:
                del self._held[identifier]
                held = subscription.hand_off()
                if held is not None:
                    self._left[identifier] = held
        known = {entry.context for entry in self._entries}
        self.tokens = {context: token for context, token in self.tokens.items() if context in known}
        for identifier in [one for one in self._left if one not in planned]:
            held = self._left.pop(identifier)
            self._panel.check().end_elsewhere(held)
        self._start_next()

    def _start_next(self) -> None:
        """Make the next subscription, if all former ones are held or refused."""
        for one in plan(self._entries, singly=self._singly):
            found = self._held.get(one.identifier)
            if found is None:
                self._start(one, self._left.pop(one.identifier, None))
                return
            if not found[1].listening and not found[1].refused:
                return

    def _start(self, one: Registering, left: Held | None) -> None:
        subscription = DeviceSubscription(
            self._panel.client_in_turn(), identifier=one.identifier, filters=((SCAN_AVAILABLE_ACTION,),),
            extension=one.xml, purpose=f"the panel, for {', '.join(entry.name for entry in one.entries)}",
            on_lost=self._on_lost, on_change=lambda listening: self._changed(one, listening),
            on_granted=lambda answer: self._granted(one, answer),
            read_shown=lambda answer: shown_by(one.entries, read_tokens(answer.body)))
        self._held[one.identifier] = one, subscription
        if left is None:
            subscription.start()
        elif goes_on(one, left):
            self.tokens |= kept_tokens(left)
            self._on_granted()
            subscription.resume(left)
        else:
            subscription.replace(left)

    def _current(self, one: Registering) -> DeviceSubscription | None:
        """The subscription that was made for this plan; None if another one has replaced it."""
        found = self._held.get(one.identifier)
        return found[1] if found is not None and found[0] is one else None

    def _granted(self, one: Registering, answer: Envelope) -> None:
        if self._current(one) is None:
            return
        tokens = tokens_of(one.entries, read_tokens(answer.body))
        if not takes_list(one.entries, tokens):
            self._go_singly(one, "it has registered a part of them only")
            return
        self.tokens |= tokens
        self._on_granted()

    def _changed(self, one: Registering, listening: bool) -> None:
        subscription = self._current(one)
        if subscription is None:
            return
        if listening or (subscription.refused and is_single(one.identifier)):
            self._start_next()
        elif subscription.refused and one.identifier == TOGETHER and len(one.entries) > 1 and (
                may_take_single(subscription.refusal)):
            self._go_singly(one, f"it has refused all of them together: {subscription.refusal}")

    def _go_singly(self, one: Registering, why: str) -> None:
        self.log.info("{scanner}: registering each destination by a subscription of its own, because {why}",
                      scanner=self._scanner, why=why)
        subscription = self._held.pop(one.identifier)[1]
        held = subscription.hand_off()
        self._singly = True
        if held is not None:  # the first of the new ones ends it
            self._left[one.entries[0].identifier] = held
        self._start_next()

    def _drop(self, subscription: DeviceSubscription) -> None:
        self._panel.add_ending(subscription.unsubscribing)
        subscription.stop()

    # The scanner's state.

    def doubt(self) -> None:
        """Ask for all of them, because the scanner may have forgotten them."""
        for _, subscription in self._held.values():
            subscription.doubted()

    def probe(self, *, usual: bool) -> None:
        """Ask whether the scanner still holds one of them; `usual`: the question is a routine check."""
        found = next((one for _, one in self._held.values() if one.listening), None)
        if found is not None:
            found.checked() if usual else found.doubted()

    def recovered(self, *, was_away: bool) -> None:
        """Renew or repeat registrations after the scanner has become reachable."""
        for _, subscription in list(self._held.values()):
            subscription.recovered(was_away=was_away)

    def hand_off(self) -> list[Held]:
        """Stop, so that another object can continue; returns the subscriptions held at the scanner."""
        self._running = False
        subscriptions, self._held = self._held, {}
        left, self._left = self._left, {}
        found = [subscription.hand_off() for _, subscription in subscriptions.values()]
        return [*left.values(), *(held for held in found if held is not None)]

    async def stop(self) -> None:
        """End them at the scanner."""
        self._running = False
        subscriptions, self._held = self._held, {}
        for _, one in subscriptions.values():
            one.give_up()
        for stopping in [one.stop() for _, one in subscriptions.values()]:
            await stopping
