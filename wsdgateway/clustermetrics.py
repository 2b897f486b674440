"""The metrics of several gateways on one Redis. A gateway without others has none of them."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, OWNING, Ownership

# Seconds, up to the deadline of a command.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class ClusterMetrics:
    """The metrics of a cluster. `ownerships` gives the scanners of this gateway, each with its owner."""

    def __init__(self, registry: CollectorRegistry, ownerships: Callable[[], Iterable[Ownership]]) -> None:
        # Before the counter, which shows a zero for each scanner that this one has found.
        registry.register(_Scanners(ownerships, lambda scanner: self._takeovers.labels(scanner)))
        self._takeovers = Counter("wsdgateway_takeovers", "Scanners that this gateway has taken over",
                                  ("scanner",), registry=registry)
        self._fenced = Counter("wsdgateway_fenced", "Writes that Redis refused, because the gateway no longer owned "
                                                    "the scanner", registry=registry)
        self._redis = Histogram("wsdgateway_redis_seconds", "Time from a command to the answer of Redis; commands "
                                                            "without an answer are not counted",
                                buckets=_BUCKETS, registry=registry)

    def takeover(self, scanner: str) -> None:
        """Count a scanner that this gateway owns from now on."""
        self._takeovers.labels(scanner).inc()

    def fenced(self) -> None:
        """Count a write that was refused."""
        self._fenced.inc()

    def answered(self, seconds: float) -> None:
        """Count a command that Redis has answered. It may be called in any thread."""
        self._redis.observe(seconds)


class _Scanners(Collector):
    """The number of scanners in each state, counted when Prometheus asks. `found` is called for each scanner."""

    def __init__(self, ownerships: Callable[[], Iterable[Ownership]], found: Callable[[str], object]) -> None:
        self._ownerships = ownerships
        self._found = found

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Describe nothing, so that the registry does not collect at registration."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("wsdgateway_cluster_scanners", "Scanners that this gateway owns, that it follows "
                                   "while another gateway owns them, and that it serves alone without Redis",
                                   labels=("state",))
        every = list(self._ownerships())
        for one in every:
            self._found(one.scanner)
        counts = Counts(one.counted_as for one in every)
        for state in (OWNING, FOLLOWING, ALONE):
            family.add_metric((state,), counts[state])
        yield family
