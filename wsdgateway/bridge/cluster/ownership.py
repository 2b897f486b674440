"""The state machine that decides whether this gateway owns one scanner.

One gateway at a time owns a scanner, by a lease at the shared server; the others follow. The machine receives what the
server answers and returns commands (`bridge.cluster.commands`)::

                      due                acquired               alone
    following ───────────────► taking ─────────────► owning ──────────────► alone
        ▲                        │                     ▲                      │
        └────────────────────────┘                     └──────────────────────┘
         refused, beaten, outdated                        renewed, acquired

    owning, alone ─── taken, lapsed, newer, beaten, outdated ───► ending ─── ended ───► following
                                                                    ▲
                                                                    │ taken, lapsed, newer
    owning, alone ─── leave, stop ─────────────────────────────► leaving ─── ended ───► following

    following ─── stop ───► stopped
    taking ─── stop ───► withdrawing ─── refused, beaten, outdated ───► stopped
    owning, alone, unleased ─── begin_failed ───► following

A follower that reaches no gateway that serves the scanner, and that the server cannot make the owner, because it is
away or in the grace after a restart, serves the scanner without a lease. It first tells the others that it is about to,
and begins if none of them has a better right at the next question::

               deserted            unrivalled
    following ──────────► claiming ──────────► unleased ─── taken, free, lapsed, newer, beaten, stop ───► ending
        ▲                    │
        └────────────────────┘
         taken, free, beaten, stop

In `leaving` the gateway owns the scanner until it has ended what runs; then it releases it. In `ending` it does not own
it any more. After `stop`, both lead to `stopped` in place of `following`.

- In `owning` and `alone` only `Lease.holds` says whether the gateway owns the scanner at this moment, because a process
  that was stopped gets its inputs late.
- An ownership that only the server knows of is never adopted: after a restart of the server from an old copy it may be
  an old one. If it has this process's identifier, an answer was lost, and it is released (`unknown`).
- An owner that the server has forgotten asks for the scanner again, by its lease that still runs (`reclaim`). It goes
  on without a break if the new token is the next after its own: then nobody owned the scanner in between.
- After a restart of the server nobody else gets the scanner in the grace. An owner that was alone goes on alone until
  that is over, and then asks first. Its registration says so, and of two that are alone the one with the older
  ownership gives up.
- `fenced` demotes nobody: an owner that the server has forgotten is fenced, too. The tick that follows decides.
- While the server is away, and in the grace, the gateways ask each other what they serve (`asked`). Of two that serve
  one scanner, that with the older ownership gives up; one without a lease gives up before one with a former lease. In
  `unleased`, only such a question, or a tick in the grace, that was sent just now lets the gateway serve on.
- In the grace a scanner is claimed only if each registered gateway has answered that it does not serve it: one that
  reaches the server, but not this gateway, may own it by a lease that still runs, and say so in its next tick.
- In `unleased` memory has nothing from the server, so the scanner is taken like any other once the server is back, and
  the grace is over.
"""

import enum
from collections.abc import Callable, Collection

from wsdgateway.bridge.cluster.candidates import Reach, alone_beside, delay, wished_for
from wsdgateway.bridge.cluster.commands import Acquire, Begin, Check, Command, End, Regained, Release, Try, Why
from wsdgateway.bridge.cluster.lease import Lease
from wsdgateway.bridge.cluster.values import CLAIM, NO_TOKEN, Acquired, Refused, View

ALONE_AFTER = 9.0  # seconds without the server, or a grace after that, until a gateway claims what it does not own
ALONE_STEP = 2.0  # seconds between one such gateway and the next
LONG_OUTAGE = 0.5  # of a lease, from the first failed tick on: an owner may be alone by then
RETURN_SECONDS = 2.0  # in which a former owner that has gone on alone notices that the server is back
BEGIN_AGAIN = 5.0  # seconds between attempts to own a scanner whose data could not be read
WORTHWHILE = 5.0  # seconds of a grace that must be left, else a scanner is taken at its end, without another break
_NEVER = float("inf")


class State(enum.Enum):
    """The states of the machine that is drawn above."""

    FOLLOWING = "following"
    TAKING = "taking"
    WITHDRAWING = "withdrawing"
    OWNING = "owning"
    ALONE = "alone"
    LEAVING = "leaving"
    ENDING = "ending"
    STOPPED = "stopped"
    CLAIMING = "claiming"
    UNLEASED = "unleased"


_F, _T, _W, _O, _A, _L, _E, _S, _C, _U = State


class Ownership:
    """The ownership of one scanner as the gateway `me` (its identifier) sees it.

    `seconds` is the length of a lease, `alone` whether the gateway may go on without the server. All times are boot
    times in seconds; `sent` is when the request was sent whose answer an input is. `try_at` is the time of the last
    `Try` that still counts, else infinite.
    """

    def __init__(self, scanner: str, me: str, lease: Lease, *, seconds: float, alone: bool) -> None:
        self.scanner, self.state, self.lease, self.reach = scanner, State.FOLLOWING, lease, Reach()
        self._me, self._seconds, self._may_be_alone = me, seconds, alone
        self._former: str | None = None
        self._wish = ""
        self._newest = NO_TOKEN  # of all that this gateway has seen, so that tokens grow if the server loses its data
        self._free_since: float | None = None
        self._away_since: float | None = None  # the sending of the first tick that failed since one was answered
        self._deserted_since: float | None = None  # as before, and the server has made nobody the owner since
        self._not_before = self._returned_at = self._grace_until = float("-inf")
        self.try_at = _NEVER
        self._settled_at = float("-inf")
        self._is_asking = False
        self._is_stopping = False

    # Inputs.

    def answered(self, view: View, sent: float, now: float, trusted_from: float = float("-inf")) -> list[Command]:
        """Handle the answer to a tick. Until `trusted_from` the server's clock is not to be trusted."""
        if self._away_since is not None and now - self._away_since > LONG_OUTAGE * self._seconds:
            self._returned_at = now
        self._away_since, self._grace_until = None, now + view.grace
        if self.scanner in view.owners:
            self._newest = max(self._newest, view.owners[self.scanner].token)
        if self.scanner in view.owners or view.grace <= 0.0:
            self._deserted_since = None
        if sent < self._settled_at:
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
            self._former = view.owners[self.scanner].identifier
        return self._input(event)

    def unanswered(self, sent: float) -> list[Command]:
        """Handle that a tick failed, because the server cannot serve."""
        self._forget_plan()
        if self._away_since is None:
            self._away_since = sent
        if self._deserted_since is None:
            self._deserted_since = sent
        if sent < self._settled_at or self.state not in (_O, _A, _L):
            return []
        if self._may_be_alone:
            self.lease.go_on_alone(sent)
        return self._input("alone") if self.lease.is_alone else []

    @property
    def is_silenced(self) -> bool:
        """True if this gateway may not go on alone, and its lease has run out while the server is away."""
        return self.state is _O and self._away_since is not None and not self._may_be_alone and not self.lease.holds()

    def asks_others(self, now: float) -> bool:
        """True if the other gateways must be asked what they serve, because the server gives the scanner to nobody.

        A gateway that may not be alone asks at once, only to know whether requests can be passed on.
        """
        if self.state is _F:
            waits = ALONE_AFTER if self._may_be_alone else 0.0
            return self._deserted_since is not None and now - self._deserted_since >= waits
        return self.state in (_A, _C, _U) or self.is_silenced

    def asked(self, serving: Collection[tuple[int, str]], place: int, sent: float, now: float, *,
              all_heard: bool = True) -> list[Command]:
        """Handle what other gateways have answered that were asked at `sent`, while the server is away or in the grace.

        `serving` are those that serve the scanner, or are about to: the token of each, as `alone_token`, and its
        identifier. `place` is that of this gateway among those that have answered, from 0 on. `all_heard` is true if
        each gateway that is registered has answered; it counts in the grace only.
        """
        if sent < self._settled_at or self._deserted_since is None:
            return []
        if self.state is _F:
            waited = now - self._deserted_since
            if not self._may_be_alone or serving or waited < ALONE_AFTER + place * ALONE_STEP \
                    or now < self._not_before \
                    or not (self._away_since is not None or (all_heard and self._is_long_grace(now))):
                return []
            self._settle(now)  # the answers to an earlier question do not count
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

    def due(self, now: float) -> list[Command]:
        """Handle that the time of `Try` has come."""
        if now < self.try_at:
            return []
        self._forget_plan()
        return self._input("due")

    def acquired(self, outcome: Acquired, sent: float, now: float,
                 trusted_from: float = float("-inf")) -> list[Command]:
        """Handle that the server has made this gateway the owner."""
        self._settle(now)
        if now < trusted_from and not self.lease.is_valid:
            return self._input("outdated", outcome.token)
        is_next = outcome.token == self.lease.token + 1 and self.lease.holds()
        if self.state is _T or (self.state in (_O, _A) and is_next):
            self.lease.grant(outcome.token, sent, self._seconds)
            self._former = self._me
            if self.lease.holds():
                return self._input("acquired", outcome.token)
        return self._input("outdated", outcome.token)

    def refused(self, outcome: Refused, now: float) -> list[Command]:
        """Handle that the server has not made this gateway the owner."""
        self._settle(now)
        if outcome.owner is None or outcome.owner.identifier == self._me:
            return self._input("refused")
        self._former = outcome.owner.identifier
        return self._input("beaten")

    def not_acquired(self, now: float) -> list[Command]:
        """Handle that the server did not answer `Acquire`."""
        self._settle(now)
        return self._input("refused")

    def fenced(self) -> list[Command]:
        """Handle that the server has refused a write."""
        return self._input("fenced")

    def newer(self, token: int) -> list[Command]:
        """Handle that another gateway says that it owns, or knows an owner, by this token."""
        self._newest = max(self._newest, token)
        return self._input("newer") if token > self.alone_token else []

    def ended(self) -> list[Command]:
        """Handle that the scanner is no longer served, after `End`."""
        return self._input("ended")

    def begin_failed(self, now: float) -> list[Command]:
        """Handle that the scanner could not be served after `Begin`; then nothing is to be ended."""
        self._not_before = now + BEGIN_AGAIN
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

    def _is_long_grace(self, now: float) -> bool:
        """True if it is worth while to serve without a lease until the grace is over.

        A former owner that has gone on alone must have noticed that the server is back, and have registered.
        """
        return now - self._returned_at >= RETURN_SECONDS and self._grace_until - now >= WORTHWHILE

    def _is_beaten_alone(self, view: View) -> bool:
        """True if another gateway that goes on alone has had the scanner after this one."""
        return max(alone_beside(view, self.scanner, self._me), default=(CLAIM, "")) > (self.alone_token, self._me)

    def _is_wanted_elsewhere(self, view: View, now: float) -> bool:
        wished = wished_for(view, self.scanner)
        if wished is not None:
            is_other = wished.identifier != self._me
            self._wish = wished.name if is_other else ""
            return is_other
        return self.reach.gives_up(view, self.scanner, self._me, now)

    def _plan(self, view: View, now: float, trusted_from: float) -> list[Command]:
        """Plan the attempt to own a scanner that nobody owns, in its place among those of the other gateways."""
        if self.state is not _F:
            return []
        if self._free_since is None or view.grace > 0.0:
            self._free_since = now + view.grace
        wait = delay(view, self.scanner, self._me, self._former)
        self.try_at = max(max(self._free_since, trusted_from) + wait, self._not_before)
        if self._former not in (None, self._me):
            # It may have gone on alone, and have what has changed since then. Its registration may be one that the
            # server has received before, and carried out only now.
            self.try_at = max(self.try_at, self._returned_at + RETURN_SECONDS)
        return self.due(now) or [Try(self.try_at)]

    def _forget_plan(self) -> None:
        self._free_since, self.try_at = None, _NEVER

    def _settle(self, now: float) -> None:
        """Note the end of an Acquire: a tick that was sent before does not tell what it has changed."""
        self._settled_at, self._is_asking = now, False

    def _input(self, event: str, *argument: object) -> list[Command]:
        entry = _TABLE.get((self.state, event))
        if entry is None:
            return []
        self.state, act = entry
        if self.state is _F and self._is_stopping:
            self.state = _S
        return act(self, *argument)

    # Actions.

    def _nothing(self, *_: object) -> list[Command]:
        return []

    def _ignore_plan(self, *_: object) -> list[Command]:
        self._forget_plan()
        return []

    def _ask(self) -> list[Command]:
        if self._is_asking:
            return []
        self._is_asking = True
        if self.lease.is_valid:
            return [Acquire(self.lease.token, True)]
        return [Acquire(max(self.lease.token, self._newest), False)]

    def _begin(self, token: int) -> list[Command]:
        self.reach.reached(self._settled_at)
        return [Begin()]

    def _begin_alone(self) -> list[Command]:
        self.reach.reached(self._settled_at)
        return [Begin(alone=True)]

    def _forget_claim(self, *_: object) -> list[Command]:
        self.lease.end()
        return []

    def _go_on(self, token: int) -> list[Command]:
        return [Regained()]

    def _give_back(self, token: int) -> list[Command]:
        self._forget_plan()
        return [Release(token), Check()]

    def _give_back_own(self) -> list[Command]:
        self.lease.end()
        self.reach.ended()
        wish, self._wish = self._wish, ""
        return [Release(self.lease.token, wish), Check()]

    def _give_back_and_lose(self, token: int) -> list[Command]:
        return [Release(token), *self._lose()]

    def _lose(self, *_: object) -> list[Command]:
        self.lease.end()
        self.reach.ended()
        return [End(Why.LOST)]

    def _lose_while_ending(self) -> list[Command]:
        self.lease.end()
        self.reach.ended()
        return []

    def _hand_over(self, why: Why) -> list[Command]:
        return [End(why)]

    def _check(self) -> list[Command]:
        return [Check()]


# (state, event): (next state, action)
_TABLE: dict[tuple[State, str], tuple[State, Callable[..., list[Command]]]] = {
    (_F, "free"): (_F, Ownership._nothing),
    (_F, "taken"): (_F, Ownership._ignore_plan),
    (_F, "unknown"): (_F, Ownership._give_back),
    (_F, "due"): (_T, Ownership._ask),
    (_F, "outdated"): (_F, Ownership._give_back),
    (_F, "stop"): (_S, Ownership._ignore_plan),
    (_T, "acquired"): (_O, Ownership._begin),
    (_T, "outdated"): (_F, Ownership._give_back),
    (_T, "refused"): (_F, Ownership._nothing),
    (_T, "beaten"): (_F, Ownership._nothing),
    (_T, "stop"): (_W, Ownership._nothing),
    (_W, "outdated"): (_S, Ownership._give_back),
    (_W, "refused"): (_S, Ownership._nothing),
    (_W, "beaten"): (_S, Ownership._nothing),
    (_S, "outdated"): (_S, Ownership._give_back),
    (_O, "alone"): (_A, Ownership._nothing),
    (_A, "renewed"): (_O, Ownership._nothing),
    (_A, "acquired"): (_O, Ownership._go_on),
    (_O, "acquired"): (_O, Ownership._go_on),
    (_L, "renewed"): (_L, Ownership._nothing),
    (_L, "outdated"): (_L, Ownership._give_back),
    (_L, "taken"): (_E, Ownership._lose_while_ending),
    (_L, "lapsed"): (_E, Ownership._lose_while_ending),
    (_L, "newer"): (_E, Ownership._lose_while_ending),
    (_L, "ended"): (_F, Ownership._give_back_own),
    (_E, "outdated"): (_E, Ownership._give_back),
    (_E, "ended"): (_F, Ownership._check),
    (_F, "deserted"): (_C, Ownership._nothing),
    (_C, "unrivalled"): (_U, Ownership._begin_alone),
    (_C, "beaten"): (_F, Ownership._forget_claim),
    (_C, "taken"): (_F, Ownership._forget_claim),
    (_C, "free"): (_F, Ownership._forget_claim),
    (_C, "unknown"): (_F, Ownership._give_back),
    (_C, "stop"): (_S, Ownership._forget_claim),
    (_U, "taken"): (_E, Ownership._lose),
    (_U, "free"): (_E, Ownership._lose),
    (_U, "lapsed"): (_E, Ownership._lose),
    (_U, "newer"): (_E, Ownership._lose),
    (_U, "beaten"): (_E, Ownership._lose),
    (_U, "unknown"): (_U, Ownership._give_back),
    (_U, "stop"): (_E, Ownership._lose),
    (_U, "begin_failed"): (_F, Ownership._forget_claim),
}
for _owner in (_O, _A):
    _TABLE |= {
        (_owner, "reclaim"): (_owner, Ownership._ask),
        (_owner, "outdated"): (_E, Ownership._give_back_and_lose),
        (_owner, "beaten"): (_E, Ownership._lose),
        (_owner, "unknown"): (_owner, Ownership._give_back),
        (_owner, "taken"): (_E, Ownership._lose),
        (_owner, "lapsed"): (_E, Ownership._lose),
        (_owner, "newer"): (_E, Ownership._lose),
        (_owner, "fenced"): (_owner, Ownership._check),
        (_owner, "leave"): (_L, Ownership._hand_over),
        (_owner, "stop"): (_L, Ownership._hand_over),
        (_owner, "begin_failed"): (_F, Ownership._give_back_own),
    }
