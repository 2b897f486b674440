"""The shared server of several gateways in memory, with restarts, failovers and outages.

`ClusterServer` has the methods of `ICoordination` as plain functions, with the semantics of its docstrings.
`ClusterConnection` is the connection of one gateway to it, and implements `ICoordination`.
"""

from collections import deque

import attrs
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from wsdgateway.bridge.cluster.values import Acquired, Owner, Refused, View
from wsdgateway.storage.coordination import DEADLINE, ICoordination, NameTaken, NotNow

WISH_SECONDS = 10.0
KEPT_STATES = 60.0  # seconds for which earlier states are kept, for restarts and failovers that lose writes
_OWNER, _WISH, _GATEWAY, _TOKEN, _ERA, _SECRET, _JOBS = "owner", "wish", "gateway", "token", "era", "secret", "jobs"
_NEVER = float("inf")


@attrs.frozen
class _Era:
    number: int
    run_id: str
    grace_until: float


@attrs.frozen
class _Owned:
    token: int
    identifier: str
    era: int


class ClusterServer:
    """The server. `clock` returns its seconds since 1970, and may be replaced by one that jumps.

    `grace` is in seconds. With `eras=False` it is the plain lock that `SET NX PX` makes, for proof that a test notices.
    """

    def __init__(self, clock, *, grace=5.0, eras=True, run_id="run-1"):
        self.clock, self.grace, self.eras, self.run_id = clock, grace, eras, run_id
        self.bells = []  # functions of (ringing identifier)
        self._values = {}  # key -> (value, end in seconds since 1970)
        self._earlier = deque([(float("-inf"), {})])  # (time of the write, values after it)
        self._runs = 1

    # What gateways do.

    def tick(self, registration, lease, renewals, scanners):
        """Returns a `View`, or raises `NameTaken`."""
        era = self._present_era()
        others = (other for other in self._gateways() if other.identifier != registration.identifier)
        if any(other.name == registration.name for other in others):
            raise NameTaken(registration.name)
        self._put((_GATEWAY, registration.identifier), registration, lease)
        renewed = set()
        for scanner, token in renewals.items():
            owned = self._owned(scanner)
            if owned is not None and (owned.identifier, owned.token) == (registration.identifier, token):
                self._put((_OWNER, scanner), owned, lease)
                renewed.add(scanner)
        names = tuple(scanners)
        owners = {scanner: owner for scanner in names if (owner := self._owner(scanner)) is not None}
        wishes = {scanner: wish for scanner in names if (wish := self._get((_WISH, scanner))) is not None}
        return View(self.clock(), era.number, self._grace_left(era), tuple(self._gateways()), owners,
                    frozenset(renewed), wishes)

    def acquire(self, scanner, identifier, lease, mine, still_valid):
        """Returns `Acquired` or `Refused`."""
        era = self._present_era()
        owner, grace = self._owner(scanner), self._grace_left(era)
        newest = owner.token if owner is not None else 0
        if not (still_valid and mine > newest if grace > 0.0 else owner is None):
            return Refused(owner, grace, self.clock())
        token = max(self._get((_TOKEN, scanner)) or 0, mine) + 1
        self._put((_TOKEN, scanner), token)
        self._put((_OWNER, scanner), _Owned(token, identifier, era.number), lease)
        self._ring(identifier)
        return Acquired(token, self.clock())

    def release(self, scanner, identifier, token):
        """Returns whether the gateway owned the scanner by that token."""
        if not self.fenced(scanner, identifier, token):
            return False
        self._drop((_OWNER, scanner))
        self._ring(identifier)
        return True

    def fenced(self, scanner, identifier, token):
        """Whether a write of that gateway by that token would be made."""
        return self.refusal(scanner, identifier, token) is None

    def refusal(self, scanner, identifier, token):
        """Why a write of that gateway by that token is refused, as in `scripts/common.lua`; None if it is made."""
        era = self._get((_ERA,))
        if era is None or not self._is_present(era):
            return "era"
        owned = self._owned(scanner)
        if owned is None:
            return "era" if self._grace_left(era) > 0.0 else "free"
        return None if (owned.identifier, owned.token) == (identifier, token) else "fenced"

    def count(self, scanner, identifier, token, client, job, seconds, most):
        """Counts a job for a client. Returns "done", "many" if `most` others count already, or why it is refused."""
        refusal = self.refusal(scanner, identifier, token)
        if refusal is not None:
            return refusal
        jobs = self.jobs(client)
        if job not in jobs and len(jobs) >= most:
            return "many"
        self.change_job(client, job, seconds)
        return "done"

    def change_job(self, client, job, seconds):
        """Changes for how long a job counts; 0 if it has ended."""
        jobs = self.jobs(client)
        jobs.pop(job, None)
        self._put((_JOBS, client), jobs | {job: self.clock() + seconds} if seconds > 0 else jobs)

    def wish(self, scanner, gateway, identifier=""):
        """Records the wish for `WISH_SECONDS`; `identifier` is that of the gateway that rings."""
        self._put((_WISH, scanner), gateway, WISH_SECONDS)
        self._ring(identifier)

    def leave(self, identifier):
        """Ends a registration."""
        self._drop((_GATEWAY, identifier))
        self._ring(identifier)

    def peer_secret(self):
        """Returns the secret, which is drawn once."""
        if self._get((_SECRET,)) is None:
            self._put((_SECRET,), b"secret of " + self.run_id.encode())
        return self._get((_SECRET,))

    # What happens to the server.

    def restart(self, data="kept", age=5.0):
        """Starts the server again, its data "kept", "older" by `age` seconds, or "empty"."""
        values = {"kept": self._values, "older": self._values_at(self.clock() - age), "empty": {}}[data]
        self._begin(values)

    def failover(self, lag=0.0):
        """Makes another server the master, which lacks the writes of the last `lag` seconds."""
        self._begin(self._values_at(self.clock() - lag))

    def isolated(self):
        """Returns this master as the gateways that are cut off with it see it.

        What happens to either afterwards does not change the other; `failover` this one to complete the split.
        """
        other = ClusterServer(self.clock, grace=self.grace, eras=self.eras, run_id=self.run_id)
        other._values, other._earlier = dict(self._values), deque(self._earlier)
        return other

    # What is stored.

    def owner(self, scanner):
        """The `Owner` of a scanner, or None."""
        return self._owner(scanner)

    def jobs(self, client):
        """The jobs that count for a client, each with its end."""
        return {job: end for job, end in (self._get((_JOBS, client)) or {}).items() if end > self.clock()}

    def _begin(self, values):
        self._runs += 1
        self.run_id = f"{self.run_id.partition('/')[0]}/{self._runs}"
        self._values = dict(values)
        self._remember()

    @property
    def era_number(self):
        """The number of the era that is written; None if there is none."""
        era = self._get((_ERA,))
        return None if era is None else era.number

    def _present_era(self):
        era = self._get((_ERA,))
        if era is None or (self.eras and era.run_id != self.run_id):
            grace_until = self.clock() + self.grace if self.eras else 0.0
            number = max(era.number + 1 if era else 1, int(self.clock() * 1000))  # an empty server counts on
            era = _Era(number, self.run_id, grace_until)
            self._put((_ERA,), era)
        return era

    def _grace_left(self, era):
        # A clock that was set back must not make the grace longer.
        return min(max(0.0, era.grace_until - self.clock()), self.grace)

    def _gateways(self):
        return sorted((value for key in list(self._values) if key[0] == _GATEWAY
                       and (value := self._get(key)) is not None), key=lambda gateway: gateway.identifier)

    def _owned(self, scanner):
        owned, era = self._get((_OWNER, scanner)), self._get((_ERA,))
        if owned is None or era is None or not self._is_present(era):
            return None
        return owned if owned.era == era.number else None

    def _is_present(self, era):
        return not self.eras or era.run_id == self.run_id

    def _owner(self, scanner):
        owned = self._owned(scanner)
        if owned is None:
            return None
        return Owner(owned.token, owned.identifier, self._values[_OWNER, scanner][1] - self.clock())

    def _get(self, key):
        value, end = self._values.get(key, (None, _NEVER))
        return value if end > self.clock() else None

    def _put(self, key, value, seconds=_NEVER):
        self._values[key] = (value, self.clock() + seconds)
        self._remember()

    def _drop(self, key):
        self._values.pop(key, None)
        self._remember()

    def _remember(self):
        now = self.clock()
        self._earlier.append((now, dict(self._values)))
        while len(self._earlier) > 1 and self._earlier[1][0] < now - KEPT_STATES:
            self._earlier.popleft()

    def _values_at(self, time):
        return next((values for written, values in reversed(self._earlier) if written <= time), {})

    def _ring(self, identifier):
        for bell in list(self.bells):
            bell(identifier)


@implementer(ICoordination)
class ClusterConnection:
    """The connection of one gateway, which answers at once, or after `latency` seconds of the reactor.

    `state`: "up"; "silent" (commands are lost, and fail after the deadline), "deaf" (commands are carried out, their
    answers are lost), "refusing" (commands fail at once). `commands` has the name of each command that was sent.
    """

    def __init__(self, server, reactor, identifier="", latency=None):
        self.server, self.state, self.commands = server, "up", []
        self._reactor, self._identifier, self._latency = reactor, identifier, latency

    def tick(self, registration, lease, renewals, scanners):
        self._identifier = self._identifier or registration.identifier
        return self._send("tick", registration, lease, dict(renewals), tuple(scanners))

    def acquire(self, scanner, identifier, lease, mine, still_valid):
        return self._send("acquire", scanner, identifier, lease, mine, still_valid)

    def release(self, scanner, identifier, token):
        return self._send("release", scanner, identifier, token)

    def wish(self, scanner, gateway):
        return self._send("wish", scanner, gateway, self._identifier)

    def leave(self, identifier):
        return self._send("leave", identifier)

    def peer_secret(self):
        return self._send("peer_secret")

    def listen(self, bell):
        def ring(identifier):
            if self.state == "up" and identifier != self._identifier:
                bell()

        self.server.bells.append(ring)

    def _send(self, command, *arguments):
        self.commands.append(command)
        if self.state == "refusing":
            return fail(NotNow("the server refuses connections"))
        if self.state == "silent":
            return self._after(DEADLINE, lambda: NotNow("the server does not answer"))
        if self.state == "deaf":
            self._carry_out(command, arguments)
            return self._after(DEADLINE, lambda: NotNow("the server does not answer"))
        if self._latency is None:
            return self._fire(Deferred(), self._carry_out(command, arguments))
        return self._after(self._latency, lambda: self._carry_out(command, arguments))

    def _carry_out(self, command, arguments):
        try:
            return getattr(self.server, command)(*arguments)
        except NameTaken as taken:
            return taken

    def _after(self, seconds, outcome):
        waiting = Deferred()
        self._reactor.callLater(seconds, lambda: self._fire(waiting, outcome()))
        return waiting

    @staticmethod
    def _fire(waiting, outcome):
        if isinstance(outcome, Exception):
            waiting.errback(outcome)
        else:
            waiting.callback(outcome)
        return waiting
