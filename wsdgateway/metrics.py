"""Defines the gateway's metrics for Prometheus.

Label values come from closed lists, so that clients cannot create new series. The dashboard in
`config/grafana-dashboard.json` must show each metric.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate
from operator import add, sub
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from wsdgateway.bridge.cluster.state import Ownership
from wsdgateway.clustermetrics import ClusterMetrics
from wsdgateway.gauges import Certificates, Gauged, Gauges
from wsdgateway.scan.operations import GET_ACTIVE_JOBS, GET_JOB_ELEMENTS, GET_JOB_HISTORY, GET_SCANNER_ELEMENTS

LOCAL, DEVICE, REFUSED = "local", "device", "refused"
OK, FAULT, ERROR = "ok", "fault", "error"
RULE, RATE, JOBS, CONNECTIONS, TLS = "rule", "rate", "jobs", "connections", "tls"  # reasons for refusing a client
FAILED = "failed"
KEPT, SHARED, ASKED = "kept", "shared", "asked"
HELD = "held"

_READS = frozenset(one.name for one in (GET_JOB_ELEMENTS, GET_ACTIVE_JOBS, GET_JOB_HISTORY, GET_SCANNER_ELEMENTS))

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BOUNDS = (*(str(float(bound)) for bound in BUCKETS), "+Inf")


disable_created_metrics()  # they would add a second series for each counter


class Totals(NamedTuple):
    """The counts for one scanner since the start.

    `here` and `there` count clients' requests that the gateway answered and that it forwarded to the scanner,
    `reads_here` and `reads_there` the reads among them. `errors` counts requests for the scanner without an answer.
    """

    here: int = 0
    there: int = 0
    reads_here: int = 0
    reads_there: int = 0
    errors: int = 0

    def plus(self, other: "Totals") -> "Totals":
        """The sum of both."""
        return Totals(*map(add, self, other))

    def minus(self, other: "Totals") -> "Totals":
        """The increase since `other`, which was counted earlier."""
        return Totals(*map(sub, self, other))


class _Counts(Collector):
    """A counter for every request, which is written when Prometheus asks. The library's own takes a lock each time."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...]) -> None:
        self._described = name, documentation, labels
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str) -> None:
        """Count one with these values of the labels."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def counts(self) -> dict[tuple[str, ...], int]:
        """The count for each combination of labels."""
        return self._counts

    def collect(self) -> Iterable[Metric]:
        name, documentation, labels = self._described
        family = CounterMetricFamily(name, documentation, labels=labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class _Requests(Collector):
    """The counts and durations of clients' requests, which are added up when Prometheus asks.

    Every status read is counted. The library's Counter and Histogram take a lock each, and three times as long.
    """

    def __init__(self) -> None:
        # By scanner, operation and source: the seconds, and the number of requests in each bucket.
        self._counted: dict[tuple[str, str, str], tuple[list[float], list[int]]] = {}

    def add(self, scanner: str, operation: str, source: str, seconds: float) -> None:
        """Count a request."""
        key = (scanner, operation, source)
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = ([0.0], [0] * (len(BUCKETS) + 1))
        counted[0][0] += seconds
        counted[1][bisect_left(BUCKETS, seconds)] += 1

    def counts(self) -> dict[tuple[str, str, str], int]:
        """The number of requests by scanner, operation and source."""
        return {key: sum(numbers) for key, (_, numbers) in self._counted.items()}

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily("wsdgateway_requests", "Requests from clients",
                                       labels=("scanner", "operation", "source"))
        for key, count in self.counts().items():
            requests.add_metric(key, count)
        yield requests
        seconds = HistogramMetricFamily(
            "wsdgateway_request_seconds", "Time from the complete request to the complete answer",
            labels=("operation", "source"))
        totals: dict[tuple[str, str], tuple[float, list[int]]] = {}
        for (_, operation, source), (sums, numbers) in self._counted.items():
            former, others = totals.get((operation, source), (0.0, [0] * len(numbers)))
            totals[operation, source] = former + sums[0], list(map(add, others, numbers))
        for labels, (total, numbers) in totals.items():
            seconds.add_metric(labels, list(zip(_BOUNDS, accumulate(numbers), strict=True)), total)
        yield seconds


class Metrics:
    """The registry with all metrics of the gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.scanners: list[Gauged] = []
        self._requests = _Requests()
        device_requests = self._device_requests = _Counts(
            "wsdgateway_device_requests", "Requests to scanners", ("scanner", "operation", "outcome"))
        kept_answers = _Counts("wsdgateway_kept_answers", "Reads whose answer may be shared by several clients",
                               ("scanner", "operation", "outcome"))
        escl_requests = _Counts("wsdgateway_escl_requests", "Requests of eSCL clients",
                                ("scanner", "resource", "status"))
        self._passed = _Counts("wsdgateway_passed",
                               "Requests and notifications passed to the gateway that owns the scanner",
                               ("scanner", "outcome"))
        for collector in (self._requests, device_requests, kept_answers, escl_requests):
            self.registry.register(collector)
        # By scanner, operation, source and seconds: a client's request that has been answered.
        self.request = self._requests.add
        # By scanner, operation and outcome: a request to a scanner that has ended.
        self.device_request = device_requests.add
        # By scanner, operation and outcome: a read that was answered from the cache (`kept`), by another client's
        # request (`shared`), or by the scanner (`asked`).
        self.kept_answer = kept_answers.add
        # By scanner, resource and HTTP status: an eSCL client's request, `none` if it left before the answer.
        self.escl_request = escl_requests.add
        # By scanner and outcome: a request that was passed to another gateway. The owner answered it (`OK`), with a
        # fault (`FAULT`), or not at all, also because the client left (`ERROR`). `HELD` counts each wait besides.
        self.passed = self._passed.add
        self._delayed = Counter("wsdgateway_device_delayed", "Requests that waited because of the scanner's rate "
                                                             "limit",
                                ("scanner",), registry=self.registry)
        self._image_bytes = Counter("wsdgateway_image_bytes", "Bytes of images relayed",
                                    ("scanner",), registry=self.registry)
        self._events = Counter("wsdgateway_events", "Notifications received from scanners",
                               ("scanner", "event"), registry=self.registry)
        self._made_events = Counter("wsdgateway_made_events", "Events made by the gateway for scanners without events",
                                    ("scanner", "event"), registry=self.registry)
        self._deliveries = Counter("wsdgateway_deliveries", "Notifications delivered to clients",
                                   ("scanner", "outcome"), registry=self.registry)
        self._left_out = Counter("wsdgateway_events_left_out", "Notifications dropped because the scanner sent too "
                                                               "many", ("scanner",), registry=self.registry)
        self._discovery = Counter("wsdgateway_discovery_messages", "Discovery messages received",
                                  ("side", "message"), registry=self.registry)
        self._discovery_dropped = Counter("wsdgateway_discovery_dropped", "Discovery messages that were useless or "
                                                                          "not answered",
                                          ("reason",), registry=self.registry)
        self._lines = Counter("wsdgateway_exchange_log_lines", "Lines written to the exchange log, or dropped",
                              ("outcome",), registry=self.registry)
        self._refused = Counter("wsdgateway_refused", "Clients' requests and connections refused by a rule or limit",
                                                      ("scanner", "reason"), registry=self.registry)
        self._captures = Counter("wsdgateway_captures", "Exchanges captured, or dropped",
                                 ("outcome",), registry=self.registry)
        self._destination_files = Counter(
            "wsdgateway_destination_files", "Files of destinations that were written, and scans, uploads and commands "
            "that failed", ("destination", "outcome"), registry=self.registry)
        self._build = Gauge("wsdgateway_build_info", "The version of the gateway, as a label", ("version",),
                            registry=self.registry)
        self._reload_succeeded = Gauge(
            "wsdgateway_config_last_reload_successful", "1 if the configuration was valid when it was last read, at "
            "the start or on a reload, else 0", registry=self.registry)
        self._reloaded_at = Gauge(
            "wsdgateway_config_last_reload_success_timestamp_seconds", "When a valid configuration was last read, in "
            "seconds since 1970", registry=self.registry)
        for counter in (self._lines, self._captures):
            for outcome in ("written", "dropped"):
                counter.labels(outcome)
        for reason in (RULE, RATE, JOBS, CONNECTIONS, TLS):
            self._refused.labels("", reason)
        self.registry.register(Gauges(self.scanners))

    def built(self, version: str) -> None:
        """Record the version of the gateway."""
        self._build.labels(version).set(1)

    def config_read(self, now: float) -> None:
        """Record that a valid configuration is in use since `now`, in seconds since 1970."""
        self._reload_succeeded.set(1)
        self._reloaded_at.set(now)

    def config_refused(self) -> None:
        """Record that a configuration could not be used, and the former one stays in use."""
        self._reload_succeeded.set(0)

    def watch_spool(self, read: Callable[[], float], size: Callable[[], float]) -> None:
        """Report the bytes in the spool that no client has fetched yet, and the size that the spool may have."""
        waiting = Gauge("wsdgateway_spool_bytes", "Bytes of pages in the spool that no client has fetched yet",
                        registry=self.registry)
        waiting.set_function(read)
        most = Gauge("wsdgateway_spool_size_bytes", "Bytes that all pages in the spool together may have",
                     registry=self.registry)
        most.set_function(size)

    def watch_store(self, is_in_memory: Callable[[], bool]) -> None:
        """Report whether the state is in memory only, because its file cannot be used."""
        gauge = Gauge("wsdgateway_store_in_memory", "1 while the state is kept in memory only, because the state file "
                      "cannot be used, else 0", registry=self.registry)
        gauge.set_function(is_in_memory)

    def watch_cluster(self, ownerships: Callable[[], Iterable[Ownership]]) -> ClusterMetrics:
        """Report the scanners of a gateway in a cluster, and the requests that it passes on.

        Returns the other metrics of the cluster.
        """
        self.registry.register(self._passed)
        return ClusterMetrics(self.registry, ownerships)

    def watch_certificates(self, read: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """Report the certificates that `read` returns: endpoint and expiry, in seconds since 1970."""
        self.registry.register(Certificates(read))

    def refused(self, scanner: str | None, reason: str) -> None:
        """Count a refused client, by a reason such as `RULE`. `scanner` is None if the client named none."""
        self._refused.labels(scanner or "", reason).inc()

    def delayed(self, scanner: str) -> Callable[[], None]:
        """The counter of a scanner's requests that wait for its rate limit."""
        return self._delayed.labels(scanner).inc

    def image_bytes(self, scanner: str, size: int) -> None:
        """Count the bytes of a relayed image."""
        self._image_bytes.labels(scanner).inc(size)

    def event(self, scanner: str, event: str) -> None:
        """Count a notification that was received."""
        self._events.labels(scanner, event).inc()

    def made_events(self, scanner: str, events: Iterable[str]) -> Callable[[str], None]:
        """The counter of the events that the gateway makes for a scanner; counts an event of that name."""
        counters = {event: self._made_events.labels(scanner, event) for event in events}
        return lambda event: counters[event].inc()

    def left_out(self, scanner: str) -> Callable[[int], None]:
        """The counter of a scanner's events that are not passed on to any subscriber."""
        return self._left_out.labels(scanner).inc

    def discovery(self, side: str, message: str) -> None:
        """Count a discovery message that was received on the side of clients or of devices."""
        self._discovery.labels(side, message).inc()

    def discovery_dropped(self, reason: str) -> None:
        """Count a discovery message that was unusable, or could not be answered."""
        self._discovery_dropped.labels(reason).inc()

    def log_lines(self, outcome: str, count: int) -> None:
        """Count lines of the exchange log that were `written` or `dropped`."""
        self._lines.labels(outcome).inc(count)

    def captures(self, outcome: str, count: int) -> None:
        """Count exchanges whose captures were `written` or `dropped`."""
        self._captures.labels(outcome).inc(count)

    def destination_files(self, destination: str, outcome: str) -> None:
        """Count a file that was written (`OK`), or a scan, an upload or a command that failed (`FAILED`)."""
        self._destination_files.labels(destination, outcome).inc()

    def begin_destination(self, destination: str) -> None:
        """Show the counters of a destination before anything has been counted."""
        for outcome in (OK, FAILED):
            self._destination_files.labels(destination, outcome)

    def deliveries(self, scanner: str) -> "Deliveries":
        """The counters of one scanner's deliveries to clients."""
        return Deliveries(self._deliveries, scanner)

    def status_reads(self) -> dict[str, tuple[int, int]]:
        """Status reads of each scanner's clients: the numbers answered by the gateway, and by the scanner."""
        reads: dict[str, tuple[int, int]] = {}
        for (scanner, operation, source), count in self._requests.counts().items():
            if operation == GET_JOB_ELEMENTS.name and source in (LOCAL, DEVICE):
                here, there = reads.get(scanner, (0, 0))
                reads[scanner] = (here + count, there) if source == LOCAL else (here, there + count)
        return reads

    def totals(self) -> dict[str, Totals]:
        """The counts for each scanner since the start."""
        found: dict[str, Totals] = {}
        for (scanner, operation, source), count in self._requests.counts().items():
            if scanner and source in (LOCAL, DEVICE):
                here, there = (count, 0) if source == LOCAL else (0, count)
                reads = (here, there) if operation in _READS else (0, 0)
                found[scanner] = found.get(scanner, Totals()).plus(Totals(here, there, *reads))
        for (scanner, _, outcome), count in self._device_requests.counts().items():
            if outcome == ERROR:
                found[scanner] = found.get(scanner, Totals()).plus(Totals(errors=count))
        return found

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Deliveries:
    """Counts notifications to clients: each attempt ends as `ok` or `retried`, each lost event as `dropped`."""

    def __init__(self, counter: Counter, scanner: str) -> None:
        self._ok, self._retried, self._dropped = (
            counter.labels(scanner, outcome) for outcome in ("ok", "retried", "dropped"))

    def delivered(self) -> None:
        """Count a notification that was delivered."""
        self._ok.inc()

    def retried(self) -> None:
        """Count a notification that failed and will be retried."""
        self._retried.inc()

    def dropped(self, count: int) -> None:
        """Count events that will never be delivered."""
        self._dropped.inc(count)
