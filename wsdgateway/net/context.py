"""The context of a bridged scanner: the parts of the process that all scanners share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.events.upstreamcommands import LeftBehind
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.jobs.job import Job
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics
from wsdgateway.net.conversion import Converter
from wsdgateway.net.discovery.directed import DirectedDiscovery
from wsdgateway.net.events.delivery import Deliveries
from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.net.events.orphans import Orphans
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.events.unsubscribing import Unsubscribing
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.scanners.jobintents import JobIntents
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.storage.spool import Spool
from wsdgateway.storage.store import IStore


@attrs.frozen
class EsclContext:
    """Resources that the eSCL services of all scanners share.

    `names` are the host names of this gateway in lower case, which a reload may change. `new_job_id` makes ids that
    cannot be guessed. `kept` holds what scanners offered when they were last read, by name, as in the store.
    """

    spool: Spool
    room: Room
    converter: Converter
    names: set[str]
    new_job_id: Callable[[], str]
    kept: dict[str, KeptOffer] = attrs.Factory(dict)


@attrs.frozen
class Context:
    """The reactor, clocks, message ids, metrics, exchange log, store, and policies that scanners share.

    `seconds` is a clock unaffected by changes to the system time, `wall` gives seconds since 1970. `events_base` gives
    the URL of this gateway as the scanner at a URL reaches it over an interface. `on_presence` is called with the name
    of a scanner that has come, gone or changed; `search` searches for an endpoint in the scanners' networks.
    `on_finished` is called with a scanner's name and a job of it that has ended, `on_given_again` with a scanner's name
    and a JobId that it has given to another job. `repeats` answers repeated reads; `slices` divides long work; `random`
    gives numbers from 0 to 1, `secret` as many random bytes as requested; `steady_clock` measures how long clients'
    subscriptions and problems of scanners last. With `escl` scanners are also offered by eSCL. Connections to scanners
    belong to `sockets`, which takes the place of the reactor for them; `writes` sends what is written to them.

    Among several gateways, `holds` gives the check whether this one still owns a scanner, and `pass_on` passes a
    client's request for a scanner that it owns no more to the owner; it returns False if that is not possible.
    `record_of` and `intents_of` give the records of its events and CreateScanJobs for the next owner. `may_subscribe`
    gives the check whether the gateway may make subscriptions at a scanner. `on_left` is called with a scanner's name,
    what it holds for this gateway that has stopped bridging it, an object to end that, and a list with what is being
    ended so.
    """

    reactor: Any
    seconds: Callable[[], float]
    wall: Callable[[], float]
    new_id: Callable[[], str]
    metrics: Metrics
    log: ExchangeLog
    store: IStore
    permission: Permission
    quotas: Quotas
    policy: SinkPolicy
    deliveries: Deliveries
    directed: DirectedDiscovery
    on_presence: Callable[[str], None]
    search: Callable[[str], None]
    events_base: Callable[[str, str], Awaitable[str]]
    on_finished: Callable[[str, Job], None]
    on_given_again: Callable[[str, str], Deferred[None]]
    slices: TimeSlices
    random: Callable[[], float]
    secret: Callable[[int], bytes]
    escl: EsclContext | None = None
    holds: Callable[[str], Callable[[], bool]] = lambda scanner: always
    pass_on: Callable[[str, Exchange], bool] = lambda scanner, exchange: False
    record_of: Callable[[str], EventRecord | None] = lambda scanner: None
    intents_of: Callable[[str], JobIntents | None] = lambda scanner: None
    may_subscribe: Callable[[str], Callable[[], bool]] = lambda scanner: always
    on_left: Callable[[str, Sequence[LeftBehind], Orphans, list[Unsubscribing]], None] = lambda *left: None
    steady_clock: SteadyClock = attrs.field(default=attrs.Factory(
        lambda self: SteadyClock(self.seconds, self.wall), takes_self=True))
    sockets: Any = attrs.field(default=attrs.Factory(lambda self: self.reactor, takes_self=True))
    writes: WriteScheduler = attrs.field(default=attrs.Factory(
        lambda self: WriteScheduler(self.reactor), takes_self=True))
    repeats: RepeatedRequests = attrs.field(default=attrs.Factory(lambda self: RepeatedRequests(
        self.permission, self.quotas, self.metrics, self.log, seconds=self.seconds), takes_self=True))
