"""Faults that the schedules must find: each takes away something that keeps a promise.

Run by itself it tells by which schedule each is found, and fails if one is not::

    python -m tests.cluster.inmemory.mutations SCHEDULES [NAME]
"""

import sys
from unittest.mock import patch

import attrs
from twisted.internet.defer import succeed

from tests.cluster.inmemory.schedules import Run, draw
from wsdgateway.app.cluster import Cluster
from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.events.eventlog import EventLog
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.net.events.replaying import Replay
from wsdgateway.storage.redis.events import RedisEvents


def _taken_over(original):
    def taken_over(self, now):
        with patch.object(JobTable, "doubt", lambda self: None):
            original(self, now)

    return taken_over


def _past(original):
    def past(self, scanner):
        return original(self, scanner).addCallback(lambda past: attrs.evolve(past, is_first=True))

    return past


def _join(original):
    def join(self):
        original(self)
        self._bridged.context = attrs.evolve(self._bridged.context, holds=lambda name: always)

    return join


MUTATIONS = {  # the class, its method, and what makes another method of it
    "no doubt after a takeover": (JobTable, "taken_over", _taken_over),
    "202 before the event is written": (EventLog, "is_safe", lambda original: lambda self, event: True),
    "no intent of a CreateScanJob": (
        RedisEvents, "intend", lambda original: lambda self, scanner, token, key: succeed(None)),
    "nothing replayed after a takeover": (RedisEvents, "past", _past),
    "nothing delivered after a takeover": (Replay, "deliver", lambda original: lambda self, subscribers: None),
    "a press sent before its cursor": (EventRecord, "permit", lambda original: lambda self, subscription, event: None),
    "the lease not looked at": (Cluster, "join", _join),
}


def finding(name, schedules):
    """Returns the seed of the first schedule that finds a mutation, and what it found; None if there is none."""
    target, attribute, mutate = MUTATIONS[name]
    with patch.object(target, attribute, mutate(getattr(target, attribute))):
        for seed in range(schedules):
            broken = Run(seed).take(draw(seed))
            if broken:
                return seed, broken[0]
    return None


def main(schedules, *names):
    """Runs the program."""
    is_good = True
    for name in names or MUTATIONS:
        found = finding(name, schedules)
        is_good = is_good and found is not None
        print(f"{name}: " + (f"not found by {schedules} schedules" if found is None else
                             f"seed {found[0]}: {found[1]}"), flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
