"""What a bridged scanner is given: what the configuration says of it, and what it needs of the process."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.job import Job
from wsdgateway.bridge.permission import Permission
from wsdgateway.bridge.quotas import Quotas
from wsdgateway.bridge.sinks import Network
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics
from wsdgateway.net.delivery import Deliveries
from wsdgateway.net.directed import DirectedDiscovery
from wsdgateway.net.keeping import Keeping
from wsdgateway.net.sinks import SinkPolicy
from wsdgateway.net.slices import Slices
from wsdgateway.net.steady import Steady
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust


@attrs.frozen
class ScannerOptions:
    """What the configuration says of one scanner. At most one of `scan`, `device` (URLs) and `uuid` is given.

    `served` tells one set of our own addresses from another.
    """

    name: str
    scan: str | None = None
    device: str | None = None
    uuid: str | None = None
    same_identity: bool = False
    suffix: str = ""
    announced: bool = False
    served: str = ""
    subscribe: bool = True
    max_connections: int = 2
    max_rate: float | None = None
    cache: bool = True
    timeout: float = 60.0
    idle_timeout: float = 60.0
    lenient: bool = False
    trust: Trust = BY_THE_SYSTEM
    event_sources: tuple[Network, ...] = ()
    max_age: float = 30.0
    poll_interval: float = 1.0
    elements: float = 300.0
    history: int = 1000
    expires: float = 3600.0
    client_expires: float = 86400.0
    scanner_rate: float = 100.0
    client_queue: int = 256
    client_retry: float = 3600.0
    max_subscriptions: int = 1000
    scanner_silence: float = 86400.0
    check: float = 60.0
    authorities: frozenset[str] = frozenset()


@attrs.frozen
class Surroundings:
    """What a scanner needs of the process: the reactor, clocks, message ids, metrics, the exchange log, the store,
    who may be notified.

    `events_base` gives the URL of this gateway as the device at a URL, over an interface, reaches it. `on_presence` is
    told the name of a scanner that has come, gone or changed; `search` looks for an endpoint on the scanners' side;
    `on_finished` is told of a scanner's job that is over, `on_given_again` of the JobId of one that another job has
    now; `slices` has time for long work; `steady` is the clock that clients' subscriptions last by.
    """

    reactor: Any
    seconds: Callable[[], float]
    wall: Callable[[], float]
    new_id: Callable[[], str]
    metrics: Metrics
    log: ExchangeLog
    store: Keeping
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
    slices: Slices
    steady: Steady = attrs.field(default=attrs.Factory(lambda self: Steady(self.seconds, self.wall), takes_self=True))
