"""Decides where a request goes for which this gateway is not the owner: to the owner, to a wait, or to a fault.

The course of one request::

                 no owner is known                        an owner is known
    (begin) ───────────────────────► holding ─────────────────────────────────► passed ──answer──► (answered)
       │                              ▲ │ ▲                                     │ │ │
       │ an owner is known            │ │ └── not sent, or 421 without an owner ─┘ │ │
       ├──────────────────────────────┼─┼───────────────────► passed              │ │
       │                              │ │                        ▲                │ │
       │ MAX_HELD others are held     │ │ HOLD_SECONDS are over  └─ 421 names one ┘ │
       ▼                              │ ▼                                           │
      fault ◄─────────────────────────┼─┴── broken off after it was sent: not a read, or the second time
                                      └──── broken off after it was sent: a read, the first time

A request that was sent and may have changed something at the scanner (CreateScanJob, CancelJob, RetrieveImage,
Subscribe, every eSCL request other than a GET of something that is not a page) is never sent twice.
"""

from collections.abc import Callable
from enum import Enum

import attrs

from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.frontends.frontend import ClientRequest, DeviceRequest, Rejected
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.scan.operations import (
    GET_ACTIVE_JOBS,
    GET_JOB_ELEMENTS,
    GET_JOB_HISTORY,
    GET_SCANNER_ELEMENTS,
    GET_STATUS,
    VALIDATE_SCAN_TICKET,
)

HOLD_SECONDS = 6.0  # for which a request waits for an owner
MAX_HELD = 200  # requests that wait for an owner, of all scanners
MAX_REDIRECTIONS = 2  # answers 421 that are followed in one course, apart from waits
AGAIN_SECONDS = 1.0  # until the same gateway is tried again after no connection to it could be made
LOOK_SECONDS = 0.2  # between looks for another owner than one that cannot be reached

_NOBODY = "No gateway owns the scanner at the moment. Try again in a few seconds."
_READS = frozenset((GET_JOB_ELEMENTS, GET_ACTIVE_JOBS, GET_JOB_HISTORY, GET_SCANNER_ELEMENTS, GET_STATUS,
                    VALIDATE_SCAN_TICKET))


def only_reads(request: ClientRequest | Rejected | HTTPAnswer) -> bool:
    """True if a request changes nothing at the scanner or the gateway, so that it may be sent again."""
    if isinstance(request, DeviceRequest | Rejected | HTTPAnswer):
        return True  # Get, Probe and Resolve; what the owner refuses, it has not carried out
    return request.operation in _READS


class Trouble(Enum):
    """The ways in which a passed request can fail."""

    NOT_SENT = "no connection to the owner could be made, or it had no room"
    BROKEN = "the connection broke, or nothing came, after the request was sent"
    MISDIRECTED = "the other gateway is not the owner"
    UNUSABLE = "the other gateway's answer cannot be read, or it refused this one"


@attrs.frozen
class Hold:
    """The request waits up to `seconds` for an owner; `other_than` is one that could not be reached."""

    seconds: float
    other_than: Registration | None = None


@attrs.frozen
class PassTo:
    """The request is passed to that gateway."""

    owner: Registration


@attrs.frozen
class GiveUp:
    """The request is answered with a fault, for that reason in English. `sent`: it may have been carried out."""

    reason: str
    sent: bool = False


class Held:
    """The number of requests that wait for an owner, of all scanners, at most `limit`."""

    def __init__(self, limit: int = MAX_HELD) -> None:
        self.limit = limit
        self.count = 0

    @property
    def is_full(self) -> bool:
        """True if no further request may wait."""
        return self.count >= self.limit


class Course:
    """The course of one request from `now` on, in seconds.

    `reads` tells whether it may be sent a second time. `last` is the gateway to which it has been passed already.
    `outage` returns why no scanner can get an owner now, None if one can.
    """

    __slots__ = ("_broken", "_held", "_last", "_outage", "_redirections", "_until", "reads", "why")

    def __init__(self, held: Held, reads: Callable[[], bool], now: float, last: Registration | None = None,
                 outage: Callable[[], str | None] = lambda: None) -> None:
        self._held = held
        self._until = now + HOLD_SECONDS
        self._broken = False
        self._redirections = 0
        self._last = last
        self._outage = outage
        self.reads = reads
        self.why = ""

    def begin(self, owner: Registration | None, now: float) -> Hold | PassTo | GiveUp:
        """Decide what to do first; `owner` is the one that is known."""
        return self._hold(now) if owner is None else self._pass_to(owner)

    def found(self, owner: Registration | None) -> PassTo | GiveUp:
        """Decide what to do after a wait, in which that owner was found, or none."""
        return GiveUp(self._nobody) if owner is None else self._pass_to(owner)

    @property
    def _nobody(self) -> str:
        return " ".join(filter(None, (self.why, self._outage()))) or _NOBODY

    def failed(self, trouble: Trouble, what: str, now: float,
               named: Registration | None = None) -> Hold | PassTo | GiveUp:
        """Decide what to do after a failure, which `what` describes; `named` is the owner according to a 421."""
        last = self._last
        assert last is not None
        if trouble is Trouble.MISDIRECTED:
            if named is not None and named.identifier != last.identifier and self._redirections < MAX_REDIRECTIONS:
                self._redirections += 1
                return self._pass_to(named)
            self.why = (f"The gateway {last.name} does not own the scanner any more, and another one has not taken it "
                        "over yet. Try again in a few seconds.")
            return self._hold(now, last)
        if trouble is Trouble.NOT_SENT:
            self.why = (f"The gateway {last.name}, which owns the scanner, cannot be reached: {what}. Try again in a "
                        "few seconds.")
            return self._hold(now, last)
        if trouble is Trouble.UNUSABLE:
            return GiveUp(f"The answer of the gateway {last.name}, which owns the scanner, cannot be used: {what}. "
                          "See the log of this gateway.")
        if not self.reads():
            return GiveUp(f"The gateway {last.name}, which owns the scanner, broke off before it answered: {what}. "
                          "The request may have been carried out: look at the scanner, and try again in a minute.",
                          sent=True)
        self.why = (f"The gateway {last.name}, which owns the scanner, broke off before it answered: {what}. Try again "
                    "in a few seconds.")
        if self._broken:
            return GiveUp(self.why)
        self._broken = True
        return self._hold(now)

    def _hold(self, now: float, other_than: Registration | None = None) -> Hold | GiveUp:
        left = self._until - now
        if left <= 0.0:
            return GiveUp(self._nobody)
        if self._held.is_full:
            return GiveUp(f"{self._nobody} {self._held.limit} requests are waiting for an owner already.")
        return Hold(left, other_than)

    def _pass_to(self, owner: Registration) -> PassTo | GiveUp:
        self._last = owner
        if not owner.address:
            return GiveUp(f"The gateway {owner.name} owns the scanner and has no link to the others. Send the request "
                          "to that gateway, or set [cluster] endpoint there.")
        return PassTo(owner)
