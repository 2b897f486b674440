"""The data of the admin site as plain values: scanners, jobs, subscriptions, exchanges and readiness."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.admin.cluster import (
    WARNING,
    cannot_serve,
    describe_cluster,
    describe_followed,
    describe_ownership,
    readiness,
)
from wsdgateway.admin.cluster import time_text as _time
from wsdgateway.admin.history import History
from wsdgateway.admin.joblist import JobList
from wsdgateway.admin.spools import describe_spools
from wsdgateway.admin.subscriptions import describe_subscriptions
from wsdgateway.bridge.cluster.state import ClusterState
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.exchangelog.entry import describe
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metadata.messages import Labels
from wsdgateway.metrics import Metrics, Totals
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.transport.listener import Listener


class EsclAddresses(Protocol):
    """The ports of eSCL scanners."""

    @property
    def listeners(self) -> list[Listener]:
        """Every listener, open or not."""

    def url(self, name: str, *, secure: bool = False) -> str | None:
        """The root of a scanner's eSCL service for clients, with or without TLS; None while no such port is open."""


class EsclPlace(Protocol):
    """The announcement of a scanner to eSCL clients on one interface."""

    @property
    def interface(self) -> str:
        """The name of the interface."""

    @property
    def name(self) -> str | None:
        """The instance name there; None if the scanner is not announced there."""

    @property
    def reason(self) -> str | None:
        """Why it is not announced there."""


class NoEscl:
    """The ports of a gateway without `[escl]`: none."""

    listeners: list[Listener] = []  # noqa: RUF012

    def url(self, name: str, *, secure: bool = False) -> str | None:
        """None: no scanner has a port."""
        return None


@attrs.define(eq=False)
class Overview:
    """The gateway as the admin site sees it.

    `stored` gives a scanner's finished jobs from before this start, all or at most so many of the latest. `warnings`
    lists problems that do not keep clients from being served. `client_base` gives the URL of the gateway for clients,
    `escl` has the ports of eSCL scanners, `escl_places` tells where one is announced; `room` is the room in the spool,
    None without `[escl]`. `destinations` describes the destinations on panels, `panel_url` is the address of a page
    with the panel of a virtual scanner. `cluster` is that of the gateway, None if it works without others.
    `wall` is in seconds since 1970; `seconds` is the clock of the job tables.
    """

    name: str
    scanners: list[BridgedScanner]
    listeners: list[Listener]
    metrics: Metrics
    log: ExchangeLog
    stored: Callable[[str, int | None], Deferred[list[Any]]]
    wall: Callable[[], float]
    seconds: Callable[[], float]
    warnings: Callable[[], list[str]] = list
    client_base: Callable[[], str | None] = lambda: None
    escl: EsclAddresses = attrs.Factory(NoEscl)
    escl_places: Callable[[str], Sequence[EsclPlace]] = lambda name: ()
    room: Room | None = None
    destinations: Callable[[], list[dict[str, Any]]] = list
    panel_url: str | None = None
    cluster: ClusterState | None = None
    history: History = attrs.Factory(History)
    started: float = attrs.Factory(lambda self: self.seconds(), takes_self=True)

    def uptime(self) -> float:
        """The seconds since the start."""
        return self.seconds() - self.started

    def sample(self) -> None:
        """Take a sample of the counters for the history; to be called once a minute."""
        self.history.sample(self.seconds(), self.metrics.totals())

    def last_hour(self, scanner: str | None = None) -> list[Totals]:
        """The counts of each minute of the last hour, oldest first, for one scanner or all."""
        return self.history.minutes(self.seconds(), self.metrics.totals(), scanner)

    def counted_in(self, seconds: float) -> Totals:
        """The counts for all scanners in the last `seconds`, at most since the start."""
        return self.history.since(seconds, self.seconds(), self.metrics.totals())

    def problems(self) -> list[str]:
        """The reasons why the gateway is not ready; empty if it is."""
        found = [f"{listener.endpoint}: {listener.problem or 'closed, the gateway is stopping'}"
                 for listener in (*self.listeners, *self.escl.listeners) if listener.port is None]
        unserved = None if self.cluster is None else cannot_serve(self.cluster)
        return found if unserved is None else [*found, unserved]

    def readiness(self) -> list[str]:
        """Lines that tell how each scanner of a cluster is served, and warnings about Redis; empty without a cluster.

        A warning is left out if `problems` or `warnings` has it, as that of a store on the same server does.
        """
        if self.cluster is None:
            return []
        said = " ".join((*self.problems(), *self.warnings()))
        return [line for line in readiness(self.cluster)
                if not line.startswith(WARNING) or line.removeprefix(WARNING) not in said]

    def describe_cluster(self) -> dict[str, Any] | None:
        """Describe the gateways and their Redis server; None without a cluster."""
        return None if self.cluster is None else describe_cluster(self.cluster)

    def describe_scanners(self) -> list[dict[str, Any]]:
        """Describe each scanner, those of other gateways last."""
        reads = self.metrics.status_reads()
        base = self.client_base()
        owned = {} if self.cluster is None else {one.scanner: one for one in self.cluster.ownerships()}
        found = [{**self._describe(scanner, base, *reads.get(scanner.name, (0, 0))),
                  **describe_ownership(owned.pop(scanner.name, None))} for scanner in self.scanners]
        return found + [describe_followed(
            one, base, *reads.get(one.scanner, (0, 0)), escl_url=self.escl.url(one.scanner),
            escl_tls_url=self.escl.url(one.scanner, secure=True)) for one in owned.values()]

    def _describe(self, scanner: BridgedScanner, base: str | None, here: int, there: int) -> dict[str, Any]:
        """Describe one scanner. `base` is the gateway's URL for clients.

        `here` and `there` count status reads answered by the gateway and by the scanner.
        """
        table, labels, health = scanner.bridge.table, scanner.monitor.labels, scanner.health
        problem = health.problem
        return {
            "name": scanner.name,
            "path": f"/{scanner.name}/scan",
            "scan": scanner.bridge.device,
            "uuid": scanner.monitor.endpoint,
            "stand_in": scanner.stand_in.endpoint,
            "announced": scanner.options.announced and scanner.stand_in.service is not None,
            "client_url": None if base is None else f"{base.rstrip('/')}/{scanner.name}/scan",
            "escl_url": self.escl.url(scanner.name),
            "escl_tls_url": self.escl.url(scanner.name, secure=True),
            "escl_announced": [{"interface": one.interface, "name": one.name, "reason": one.reason}
                               for one in self.escl_places(scanner.name)],
            "reachable": health.reachable,
            "reachable_since": None if health.reachable_since is None else _time(health.reachable_since),
            "conditions": list(health.conditions),
            "problem": None if problem is None else problem.cause,
            "problem_since": None if problem is None else _time(problem.since),
            "searched": scanner.monitor.is_missing,
            "subscription": scanner.subscription_state,
            "events_seen": table.events_seen,
            "friendly_name": (labels.name or scanner.name) if labels != Labels() else None,
            "model": labels.full_model or None,
            "firmware": labels.firmware or None,
            "state": health.state,
            "status_reads": {"here": here, "there": there},
            "jobs": len(table.jobs()),
            "active_jobs": sum(
                1 for job in table.jobs() if not job.final and not job.closing and not table.is_lost(job)),
        }

    def describe_spools(self, scanner: str = "") -> list[dict[str, Any]]:
        """Describe the scan jobs of the gateway's own that have not ended for their clients; with `scanner` only its.

        `admin.spools` says which are listed.
        """
        return describe_spools((one.name, job) for one in self.scanners if scanner in ("", one.name)
                               for job in one.own_jobs.listed)

    def describe_subscriptions(self) -> list[dict[str, Any]]:
        """Describe each subscription: the gateway's own at each scanner (`side` is `device`), then its clients'.

        `expires` is a time; `waiting` counts events, and `failures` the failed attempts since the last success. `panel`
        is the state of the registration that puts the subscriber's names on the scanner's panel, None if there is none.
        The gateway's own names are those of its destinations.
        """
        return [described for scanner in self.scanners for described in describe_subscriptions(scanner)]

    async def describe_jobs(self, *, scanner: str = "", most: int | None = None) -> list[dict[str, Any]]:
        """Describe each job of this start, and each finished job of earlier starts; see `JobList.describe`."""
        return await JobList(self.scanners, self.stored, self.wall, self.seconds).describe(scanner=scanner, most=most)

    def describe_exchanges(self, *, scanner: str = "", operation: str = "", failed: bool = False,
                           most: int = 100) -> list[dict[str, Any]]:
        """Describe the last exchanges that match, newest first: entries of the exchange log, each with its `number`."""
        found = (one for one in reversed(self.log.since(0))
                 if scanner in ("", one.entry.scanner) and operation in ("", one.entry.operation)
                 and (one.entry.failed or not failed))
        return [{"number": one.number, **describe(one.entry)} for one in islice(found, most)]
