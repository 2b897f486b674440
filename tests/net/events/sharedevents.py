"""The shared server of several gateways in memory, for events, cursors, intents and jobs; it acts when told to."""

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from wsdgateway.bridge.cluster.intents import Record
from wsdgateway.bridge.events.eventlog import MAX_EVENTS, EventID, Past
from wsdgateway.storage.coordination import Fenced, NotNow, Unowned
from wsdgateway.storage.sharedevents import IIntents, IJobCounts, ISharedEvents, TooManyJobs


@implementer(ISharedEvents, IIntents, IJobCounts)
class SharedEvents:
    """The server. `clock` returns its time; `token` is that of the present owner.

    `mode` is "answers", "waits" (until `answer` is called), or "fails" (without an effect). `calls` counts commands.
    `jobs` has the names of jobs that count by client, without an end.
    """

    def __init__(self, clock=lambda: 1000.0):
        self.clock, self.token, self.mode, self.calls = clock, 1, "answers", 0
        self.events, self.cursors, self.intents, self.waiting = [], {}, {}, []
        self.jobs = {}

    def past(self, scanner):
        return succeed(Past(tuple(self.events), dict(self.cursors), self.clock()))

    def write(self, scanner, token, write):
        return self._do(token, lambda: self._write(write))

    def intend(self, scanner, token, key, claim=None):
        return self._do(token, lambda: self._intend(token, key, claim))

    def count(self, scanner, token, claim):
        return self._do(token, lambda: self._count(claim))

    def change(self, changes):
        return self._do(self.token, lambda: self._change(changes))

    def conclude(self, scanner, token, key, record):
        return self._do(token, lambda: self._conclude(key, record))

    def _do(self, token, change):
        self.calls += 1
        if self.mode == "fails":
            return fail(NotNow("it is away"))
        done = Deferred()
        self.waiting.append((done, token, change))
        if self.mode == "answers":
            self.answer()
        return done

    def answer(self, *, arrives=True):
        """Carries out the oldest command; if its answer does not arrive, it fails all the same."""
        done, token, change = self.waiting.pop(0)
        if token != self.token:
            done.errback(Fenced("another gateway owns the scanner") if self.token else Unowned("nobody does"))
            return
        try:
            result = change()
        except TooManyJobs as error:
            done.errback(error)
            return
        if arrives:
            done.callback(result)
        else:
            done.errback(NotNow("no answer"))

    def refuse(self):
        """Fails the oldest command without an effect."""
        self.waiting.pop(0)[0].errback(NotNow("it is away"))

    def _write(self, write):
        last = self.events[-1].identifier if self.events else EventID(0, 0)
        self.events += [attrs.evolve(one, at=self.clock()) for one in write.events if one.identifier > last]
        del self.events[:-MAX_EVENTS]
        for subscription, cursor in write.cursors.items():
            if cursor is None:
                self.cursors.pop(subscription, None)
            else:
                self.cursors[subscription] = cursor

    def _intend(self, token, key, claim):
        known = self.intents.get(key)
        if known is not None and (known.reply is not None or known.token != token):
            return known
        if claim is not None:
            self._count(claim)
        self.intents[key] = Record(token)
        return None

    def _count(self, claim):
        jobs = self.jobs.setdefault(claim.client, set())
        if len(jobs - {claim.name}) >= claim.most:
            raise TooManyJobs
        jobs.add(claim.name)

    def _change(self, changes):
        for one in changes:
            jobs = self.jobs.setdefault(one.client, set())
            (jobs.add if one.seconds else jobs.discard)(one.name)

    def _conclude(self, key, record):
        if record is None:
            self.intents.pop(key, None)
        else:
            self.intents[key] = record
