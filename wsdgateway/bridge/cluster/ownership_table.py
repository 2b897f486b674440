"""The state machine that decides whether this gateway owns one scanner.

One gateway at a time owns a scanner, by a lease at the shared server; the others follow. `bridge.cluster.ownership`
makes the events, of what the server and the other gateways answer. A transition returns commands
(`bridge.cluster.commands`)::

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
from collections.abc import Callable

from wsdgateway.bridge.cluster.attempts import Attempts
from wsdgateway.bridge.cluster.candidates import Reach
from wsdgateway.bridge.cluster.commands import Acquire, Begin, Check, Command, End, Regained, Release, Why
from wsdgateway.bridge.cluster.lease import Lease
from wsdgateway.bridge.cluster.values import NO_TOKEN


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


class Core:
    """The data that the gateway `me` (its identifier) has of one scanner, and the actions of the transitions on it.

    `newest` is the largest token that this gateway has seen, so that tokens grow if the server loses its data. `wish`
    is the gateway to which the scanner is handed over, if that is wished for.
    """

    def __init__(self, scanner: str, me: str, lease: Lease) -> None:
        self.lease, self.reach, self.attempts = lease, Reach(), Attempts(scanner, me)
        self.newest = NO_TOKEN
        self.wish = ""
        self.settled_at = float("-inf")
        self.is_asking = False

    def settle(self, now: float) -> None:
        """Note the end of an Acquire: a tick that was sent before does not tell what it has changed."""
        self.settled_at, self.is_asking = now, False

    # Actions. Each gets the argument of the event, if it has one.

    def nothing(self, *_: object) -> list[Command]:
        return []

    def ignore_plan(self, *_: object) -> list[Command]:
        self.attempts.forget()
        return []

    def ask(self) -> list[Command]:
        if self.is_asking:
            return []
        self.is_asking = True
        if self.lease.is_valid:
            return [Acquire(self.lease.token, True)]
        return [Acquire(max(self.lease.token, self.newest), False)]

    def begin(self, token: int) -> list[Command]:
        self.reach.reached(self.settled_at)
        return [Begin()]

    def begin_alone(self) -> list[Command]:
        self.reach.reached(self.settled_at)
        return [Begin(alone=True)]

    def forget_claim(self, *_: object) -> list[Command]:
        self.lease.end()
        return []

    def go_on(self, token: int) -> list[Command]:
        return [Regained()]

    def give_back(self, token: int) -> list[Command]:
        self.attempts.forget()
        return [Release(token), Check()]

    def give_back_own(self) -> list[Command]:
        self.lease.end()
        self.reach.ended()
        wish, self.wish = self.wish, ""
        return [Release(self.lease.token, wish), Check()]

    def give_back_and_lose(self, token: int) -> list[Command]:
        return [Release(token), *self.lose()]

    def lose(self, *_: object) -> list[Command]:
        self.lease.end()
        self.reach.ended()
        return [End(Why.LOST)]

    def lose_while_ending(self) -> list[Command]:
        self.lease.end()
        self.reach.ended()
        return []

    def hand_over(self, why: Why) -> list[Command]:
        return [End(why)]

    def check(self) -> list[Command]:
        return [Check()]


# (state, event): (next state, action)
TABLE: dict[tuple[State, str], tuple[State, Callable[..., list[Command]]]] = {
    (_F, "free"): (_F, Core.nothing),
    (_F, "taken"): (_F, Core.ignore_plan),
    (_F, "unknown"): (_F, Core.give_back),
    (_F, "due"): (_T, Core.ask),
    (_F, "outdated"): (_F, Core.give_back),
    (_F, "stop"): (_S, Core.ignore_plan),
    (_T, "acquired"): (_O, Core.begin),
    (_T, "outdated"): (_F, Core.give_back),
    (_T, "refused"): (_F, Core.nothing),
    (_T, "beaten"): (_F, Core.nothing),
    (_T, "stop"): (_W, Core.nothing),
    (_W, "outdated"): (_S, Core.give_back),
    (_W, "refused"): (_S, Core.nothing),
    (_W, "beaten"): (_S, Core.nothing),
    (_S, "outdated"): (_S, Core.give_back),
    (_O, "alone"): (_A, Core.nothing),
    (_A, "renewed"): (_O, Core.nothing),
    (_A, "acquired"): (_O, Core.go_on),
    (_O, "acquired"): (_O, Core.go_on),
    (_L, "renewed"): (_L, Core.nothing),
    (_L, "outdated"): (_L, Core.give_back),
    (_L, "taken"): (_E, Core.lose_while_ending),
    (_L, "lapsed"): (_E, Core.lose_while_ending),
    (_L, "newer"): (_E, Core.lose_while_ending),
    (_L, "ended"): (_F, Core.give_back_own),
    (_E, "outdated"): (_E, Core.give_back),
    (_E, "ended"): (_F, Core.check),
    (_F, "deserted"): (_C, Core.nothing),
    (_C, "unrivalled"): (_U, Core.begin_alone),
    (_C, "beaten"): (_F, Core.forget_claim),
    (_C, "taken"): (_F, Core.forget_claim),
    (_C, "free"): (_F, Core.forget_claim),
    (_C, "unknown"): (_F, Core.give_back),
    (_C, "stop"): (_S, Core.forget_claim),
    (_U, "taken"): (_E, Core.lose),
    (_U, "free"): (_E, Core.lose),
    (_U, "lapsed"): (_E, Core.lose),
    (_U, "newer"): (_E, Core.lose),
    (_U, "beaten"): (_E, Core.lose),
    (_U, "unknown"): (_U, Core.give_back),
    (_U, "stop"): (_E, Core.lose),
    (_U, "begin_failed"): (_F, Core.forget_claim),
}
for _owner in (_O, _A):
    TABLE |= {
        (_owner, "reclaim"): (_owner, Core.ask),
        (_owner, "outdated"): (_E, Core.give_back_and_lose),
        (_owner, "beaten"): (_E, Core.lose),
        (_owner, "unknown"): (_owner, Core.give_back),
        (_owner, "taken"): (_E, Core.lose),
        (_owner, "lapsed"): (_E, Core.lose),
        (_owner, "newer"): (_E, Core.lose),
        (_owner, "fenced"): (_owner, Core.check),
        (_owner, "leave"): (_L, Core.hand_over),
        (_owner, "stop"): (_L, Core.hand_over),
        (_owner, "begin_failed"): (_F, Core.give_back_own),
    }
