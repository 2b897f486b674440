"""Defines the gateway's metrics for Prometheus.

Label values come from closed lists, so that clients cannot create new series. The dashboard in
`config/grafana-dashboard.json` must show each metric.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wsdgateway.scan.jobstates import STATES
from wsdgateway.scan.operations import GET_JOB_ELEMENTS

LOCAL, DEVICE, REFUSED = "local", "device", "refused"
OK, FAULT, ERROR = "ok", "fault", "error"
RULE, RATE, JOBS, CONNECTIONS, TLS = "rule", "rate", "jobs", "connections", "tls"  # reasons for refusing a client
KEPT, SHARED, ASKED = "kept", "shared", "asked"

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


disable_created_metrics()  # they would add a second series for each counter


class Gauged(Protocol):
    """The properties of a bridged scanner that the gauges read."""

    name: str

    def subscriptions(self) -> dict[str, int]:
        """The number of live subscriptions by side, `device` and `client`."""

    def job_states(self) -> Iterable[str]:
        """The state of every job that is kept."""

    def waiting(self) -> int:
        """The number of requests that wait for the scanner."""


class _Gauges(Collector):
    def __init__(self, scanners: list[Gauged]) -> None:
        self._scanners = scanners

    def collect(self) -> Iterable[GaugeMetricFamily]:
        subscriptions = GaugeMetricFamily(
            "wsdgateway_subscriptions", "Active event subscriptions", labels=("scanner", "side"))
        jobs = GaugeMetricFamily("wsdgateway_jobs", "Jobs in the job table", labels=("scanner", "state"))
        queue = GaugeMetricFamily("wsdgateway_device_queue", "Requests waiting for the scanner", labels=("scanner",))
        for scanner in self._scanners:
            queue.add_metric((scanner.name,), scanner.waiting())
            for side, count in scanner.subscriptions().items():
                subscriptions.add_metric((scanner.name, side), count)
            counts = dict.fromkeys((*STATES, "other"), 0)
            for state in scanner.job_states():
                counts[state if state in counts else "other"] += 1
            for state, count in counts.items():
                jobs.add_metric((scanner.name, state), count)
        yield subscriptions
        yield jobs
        yield queue


class Metrics:
    """The registry with all metrics of the gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.scanners: list[Gauged] = []
        self._requests = Counter("wsdgateway_requests", "Requests from clients",
                                 ("scanner", "operation", "source"), registry=self.registry)
        self._device_requests = Counter("wsdgateway_device_requests", "Requests to scanners",
                                        ("scanner", "operation", "outcome"), registry=self.registry)
        self._seconds = Histogram("wsdgateway_request_seconds", "Time from the complete request to the complete "
                                                                "answer",
                                  ("operation", "source"), registry=self.registry, buckets=_BUCKETS)
        self._kept_answers = Counter("wsdgateway_kept_answers", "Reads whose answer may be shared by several clients",
                                     ("scanner", "operation", "outcome"), registry=self.registry)
        self._delayed = Counter("wsdgateway_device_delayed", "Requests that waited because of the scanner's rate "
                                                             "limit",
                                ("scanner",), registry=self.registry)
        self._image_bytes = Counter("wsdgateway_image_bytes", "Bytes of images relayed",
                                    ("scanner",), registry=self.registry)
        self._events = Counter("wsdgateway_events", "Notifications received from scanners",
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
        for counter in (self._lines, self._captures):
            for outcome in ("written", "dropped"):
                counter.labels(outcome)
        for reason in (RULE, RATE, JOBS, CONNECTIONS, TLS):
            self._refused.labels("", reason)
        self.registry.register(_Gauges(self.scanners))
        # labels() takes a lock to look up its child; caching the child is worth it for counters of every status
        # read.
        self._kept_common: dict[tuple[str, str, str], Counter] = {}
        self._kept_device: dict[tuple[str, str, str], Counter] = {}
        self._kept: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}

    def request(self, scanner: str, operation: str, source: str, seconds: float) -> None:
        """Count a client's request that has been answered."""
        key = (scanner, operation, source)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = (self._requests.labels(*key), self._seconds.labels(operation, source))
        kept[0].inc()
        kept[1].observe(seconds)

    def device_request(self, scanner: str, operation: str, outcome: str) -> None:
        """Count a request to a device that has ended."""
        key = (scanner, operation, outcome)
        kept = self._kept_device.get(key)
        if kept is None:
            kept = self._kept_device[key] = self._device_requests.labels(*key)
        kept.inc()

    def refused(self, scanner: str | None, reason: str) -> None:
        """Count a refused client, by a reason such as `RULE`. `scanner` is None if the client named none."""
        self._refused.labels(scanner or "", reason).inc()

    def kept_answer(self, scanner: str, operation: str, outcome: str) -> None:
        """Count a read, answered from the cache (`kept`), another request (`shared`) or the scanner (`asked`)."""
        key = (scanner, operation, outcome)
        counter = self._kept_common.get(key)
        if counter is None:
            counter = self._kept_common[key] = self._kept_answers.labels(*key)
        counter.inc()

    def delayed(self, scanner: str) -> Callable[[], None]:
        """The counter of a scanner's requests that wait for its rate limit."""
        return self._delayed.labels(scanner).inc

    def image_bytes(self, scanner: str, size: int) -> None:
        """Count the bytes of a relayed image."""
        self._image_bytes.labels(scanner).inc(size)

    def event(self, scanner: str, event: str) -> None:
        """Count a notification that was received."""
        self._events.labels(scanner, event).inc()

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

    def deliveries(self, scanner: str) -> "Deliveries":
        """The counters of one scanner's deliveries to clients."""
        return Deliveries(self._deliveries, scanner)

    def status_reads(self) -> dict[str, tuple[int, int]]:
        """Status reads of each scanner's clients: the numbers answered by the gateway, and by the scanner."""
        reads: dict[str, tuple[int, int]] = {}
        for (scanner, operation, source), (counter, _) in self._kept.items():
            if operation == GET_JOB_ELEMENTS.name and source in (LOCAL, DEVICE):
                here, there = reads.get(scanner, (0, 0))
                count = int(next(iter(counter.collect())).samples[0].value)
                reads[scanner] = (here + count, there) if source == LOCAL else (here, there + count)
        return reads

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
