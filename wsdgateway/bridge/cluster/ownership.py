"""Turns the inputs about the ownership of one scanner into events of its state machine.

Inputs are the answers of the server, those of other gateways, and the outcomes of the machine's own commands. The
states and transitions are in `bridge.cluster.ownership_table`.
"""

from collections.abc import Collection

from wsdgateway.bridge.cluster.candidates import alone_beside, wished_for
from wsdgateway.bridge.cluster.commands import Command, Try, Why
from wsdgateway.bridge.cluster.lease import Lease
from wsdgateway.bridge.cluster.outage import Outage
from wsdgateway.bridge.cluster.ownership_table import TABLE, Core, State
from wsdgateway.bridge.cluster.values import CLAIM, NO_TOKEN, Acquired, Refused, View

ALONE_AFTER = 9.0  # seconds without the server, or a grace after that, until a gateway claims what it does not own
ALONE_STEP = 2.0  # seconds between one such gateway and the next

_F, _T, _O, _A, _L = State.FOLLOWING, State.TAKING, State.OWNING, State.ALONE, State.LEAVING
_S, _C, _U = State.STOPPED, State.CLAIMING, State.UNLEASED


class Ownership:
    """The ownership of one scanner as the gateway `me` (its identifier) sees it.

    `seconds` is the length of a lease, `alone` whether the gateway may go on without the server. All times are boot
    times in seconds; `sent` is when the request was sent whose answer an input is.
    """

    def __init__(self, scanner: str, me: str, lease: Lease, *, seconds: float, alone: bool) -> None:
        core = self._core = Core(scanner, me, lease)
        self.scanner, self.state, self.lease, self.reach = scanner, State.FOLLOWING, lease, core.reach
        self._me, self._seconds, self._may_be_alone = me, seconds, alone
        self._attempts, self._outage = core.attempts, Outage(seconds)
        self._is_stopping = False

    # Inputs.

    def answered(self, view: View, sent: float, now: float, trusted_from: float = float("-inf")) -> list[Command]:
        """Handle the answer to a tick. Until `trusted_from` the server's clock is not to be trusted."""
        self._outage.answered(view.grace, now, is_owned=self.scanner in view.owners)
        if self.scanner in view.owners:
            self._core.newest = max(self._core.newest, view.owners[self.scanner].token)
        if sent < self._core.settled_at:
            return []
        event = self._seen(view, now, trusted_from)
        if event == "renewed":
            self.lease.grant(self.lease.token, sent, self._seconds)
            if self.state in (_O, _A) and self._is_wanted_elsewhere(view, now):
                return self._input("renewed") + self._input("leave", Why.HANDED_OVER)
        elif event in ("grace", "reclaim") and self._may_be_alone and (view.grace > 0.0 or now < trusted_from):
            self.lease.go_on_alone(sent)
        elif event == "unknown":
            return self._input(event, view.owners[self.scanner].token)
        elif event == "free":
            return self._input(event) + self._plan(view, now, trusted_from)
        elif event == "taken":
            self._attempts.former = view.owners[self.scanner].identifier
        return self._input(event)

    def unanswered(self, sent: float) -> list[Command]:
        """Handle that a tick failed, because the server cannot serve."""
        self._attempts.forget()
        self._outage.failed(sent)
        if sent < self._core.settled_at or self.state not in (_O, _A, _L):
            return []
        if self._may_be_alone:
            self.lease.go_on_alone(sent)
        return self._input("alone") if self.lease.is_alone else []

    @property
    def is_silenced(self) -> bool:
        """True if this gateway may not go on alone, and its lease has run out while the server is away."""
        return self.state is _O and self._outage.is_away and not self._may_be_alone and not self.lease.holds()

    def asks_others(self, now: float) -> bool:
        """True if the other gateways must be asked what they serve, because the server gives the scanner to nobody.

        A gateway that may not be alone asks at once, only to know whether requests can be passed on.
        """
        if self.state is _F:
            waited = self._outage.deserted_for(now)
            return waited is not None and (waited >= ALONE_AFTER or not self._may_be_alone)
        return self.state in (_A, _C, _U) or self.is_silenced

    def asked(self, serving: Collection[tuple[int, str]], place: int, sent: float, now: float, *,
              all_heard: bool = True) -> list[Command]:
        """Handle what other gateways have answered that were asked at `sent`, while the server is away or in the grace.

        `serving` are those that serve the scanner, or are about to: the token of each, as `alone_token`, and its
        identifier. `place` is that of this gateway among those that have answered, from 0 on. `all_heard` is true if
        each gateway that is registered has answered; it counts in the grace only.
        """
        waited = self._outage.deserted_for(now)
        if sent < self._core.settled_at or waited is None:
            return []
        if self.state is _F:
            if not self._may_be_alone or serving or waited < ALONE_AFTER + place * ALONE_STEP \
                    or self._attempts.is_barred(now) \
                    or not (self._outage.is_away or (all_heard and self._outage.is_long_grace(now))):
                return []
            self._core.settle(now)  # the answers to an earlier question do not count
            return self._input("deserted")
        if max(serving, default=(CLAIM, "")) > (self.alone_token, self._me):
            return self._input("beaten")
        if self.state in (_C, _U):
            self.lease.go_on_alone(sent)
            return self._input("unrivalled") if self.lease.is_alone else []
        return []

    @property
    def alone_token(self) -> int:
        """The right to serve the scanner alone, which is larger for a gateway with a better one."""
        return {_C: CLAIM, _U: NO_TOKEN}.get(self.state, self.lease.token)

    @property
    def is_serving(self) -> bool:
        """True in the states in which this gateway serves the scanner while `Lease.holds`."""
        return self.state in (_O, _A, _U)

    @property
    def try_at(self) -> float:
        """The time of the last `Try` that still counts, else infinite."""
        return self._attempts.at

    def due(self, now: float) -> list[Command]:
        """Handle that the time of `Try` has come."""
        if now < self._attempts.at:
            return []
        self._attempts.forget()
        return self._input("due")

    def acquired(self, outcome: Acquired, sent: float, now: float,
                 trusted_from: float = float("-inf")) -> list[Command]:
        """Handle that the server has made this gateway the owner."""
        self._core.settle(now)
        if now < trusted_from and not self.lease.is_valid:
            return self._input("outdated", outcome.token)
        is_next = outcome.token == self.lease.token + 1 and self.lease.holds()
        if self.state is _T or (self.state in (_O, _A) and is_next):
            self.lease.grant(outcome.token, sent, self._seconds)
            self._attempts.former = self._me
            if self.lease.holds():
                return self._input("acquired", outcome.token)
        return self._input("outdated", outcome.token)

    def refused(self, outcome: Refused, now: float) -> list[Command]:
        """Handle that the server has not made this gateway the owner."""
        self._core.settle(now)
        if outcome.owner is None or outcome.owner.identifier == self._me:
            return self._input("refused")
        self._attempts.former = outcome.owner.identifier
        return self._input("beaten")

    def not_acquired(self, now: float) -> list[Command]:
        """Handle that the server did not answer `Acquire`."""
        self._core.settle(now)
        return self._input("refused")

    def fenced(self) -> list[Command]:
        """Handle that the server has refused a write."""
        return self._input("fenced")

    def newer(self, token: int) -> list[Command]:
        """Handle that another gateway says that it owns, or knows an owner, by this token."""
        self._core.newest = max(self._core.newest, token)
        return self._input("newer") if token > self.alone_token else []

    def ended(self) -> list[Command]:
        """Handle that the scanner is no longer served, after `End`."""
        return self._input("ended")

    def begin_failed(self, now: float) -> list[Command]:
        """Handle that the scanner could not be served after `Begin`; then nothing is to be ended."""
        self._attempts.begin_failed(now)
        return self._input("begin_failed")

    def stop(self, why: Why) -> list[Command]:
        """End the ownership for good."""
        self._is_stopping = True
        return self._input("stop", why)

    # What the inputs mean.

    def _seen(self, view: View, now: float, trusted_from: float) -> str:
        """The event that a view is, as seen from the present state."""
        owner, is_mine = view.owners.get(self.scanner), self.state in (_O, _A, _L)
        if self.state in (_C, _U) and owner is None:
            return self._seen_unleased(view, now, trusted_from)
        if is_mine and self.scanner in view.renewed:
            return "renewed"
        if owner is not None and owner.identifier == self._me:
            return "idle" if is_mine and owner.token == self.lease.token else "unknown"
        if owner is not None:
            return "taken"
        if not is_mine:
            return "free"
        if not self.lease.holds():
            return "lapsed"
        if not self.lease.is_valid and self._is_beaten_alone(view):
            return "lapsed"
        if self.lease.is_valid or (view.grace <= 0.0 and now >= trusted_from):
            return "reclaim"
        return "grace"

    def _seen_unleased(self, view: View, now: float, trusted_from: float) -> str:
        if self.state is _C:
            return "beaten" if self._is_beaten_alone(view) else "idle" if view.grace > 0.0 else "free"
        if not self.lease.holds() or self._is_beaten_alone(view):
            return "lapsed"
        return "grace" if view.grace > 0.0 or now < trusted_from else "free"

    def _is_beaten_alone(self, view: View) -> bool:
        """True if another gateway that goes on alone has had the scanner after this one."""
        return max(alone_beside(view, self.scanner, self._me), default=(CLAIM, "")) > (self.alone_token, self._me)

    def _is_wanted_elsewhere(self, view: View, now: float) -> bool:
        wished = wished_for(view, self.scanner)
        if wished is not None:
            is_other = wished.identifier != self._me
            self._core.wish = wished.name if is_other else ""
            return is_other
        return self.reach.gives_up(view, self.scanner, self._me, now)

    def _plan(self, view: View, now: float, trusted_from: float) -> list[Command]:
        """Plan the attempt to own a scanner that nobody owns."""
        if self.state is not _F:
            return []
        self._attempts.plan(view, now, trusted_from, self._outage.returned_at)
        return self.due(now) or [Try(self._attempts.at)]

    def _input(self, event: str, *argument: object) -> list[Command]:
        entry = TABLE.get((self.state, event))
        if entry is None:
            return []
        self.state, act = entry
        if self.state is _F and self._is_stopping:
            self.state = _S
        return act(self._core, *argument)
