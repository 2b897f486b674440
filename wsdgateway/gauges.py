"""The metrics that are computed when Prometheus reads them: the gauges of scanners, and of certificates.

Label values come from the lists of the specification, so that scanners cannot create new series.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wsdgateway.bridge.health.health import Health
from wsdgateway.scan.jobstates import STATES
from wsdgateway.scan.scannerstatus import CONDITIONS, REASONS
from wsdgateway.scan.scannerstatus import STATES as SCANNER_STATES

UNKNOWN, OTHER = "unknown", "other"

_CONDITIONS = (*CONDITIONS, *REASONS)


class Gauged(Protocol):
    """The properties of a bridged scanner that the gauges read."""

    name: str

    def subscriptions(self) -> dict[str, int]:
        """The number of live subscriptions by side, `device` and `client`."""

    def job_states(self) -> Iterable[str]:
        """The state of every job that is kept."""

    def waiting(self) -> int:
        """The number of requests that wait for the scanner."""

    def health(self) -> Health:
        """The scanner's reachability, its own state and conditions."""


class Gauges(Collector):
    """The gauges of the bridged scanners, one series for each scanner and label value."""

    def __init__(self, scanners: list[Gauged]) -> None:
        self._scanners = scanners

    def collect(self) -> Iterable[GaugeMetricFamily]:
        subscriptions = GaugeMetricFamily(
            "wsdgateway_subscriptions", "Active event subscriptions", labels=("scanner", "side"))
        jobs = GaugeMetricFamily("wsdgateway_jobs", "Jobs in the job table", labels=("scanner", "state"))
        queue = GaugeMetricFamily("wsdgateway_device_queue", "Requests waiting for the scanner", labels=("scanner",))
        up = GaugeMetricFamily("wsdgateway_scanner_up", "1 if the scanner is reachable, 0 if it is not",
                               labels=("scanner",))
        states = GaugeMetricFamily("wsdgateway_scanner_state", "1 for the scanner's current state",
                                   labels=("scanner", "state"))
        conditions = GaugeMetricFamily("wsdgateway_scanner_condition", "1 for each active condition of the scanner",
                                       labels=("scanner", "condition"))
        for scanner in self._scanners:
            health = scanner.health()
            if health.reachable is not None:
                up.add_metric((scanner.name,), int(health.reachable))
            current = health.state if health.state in SCANNER_STATES else UNKNOWN
            for state in (*SCANNER_STATES, UNKNOWN):
                states.add_metric((scanner.name, state), int(state == current))
            active = {name if name in _CONDITIONS else OTHER for name in health.conditions}
            for condition in (*_CONDITIONS, OTHER):
                conditions.add_metric((scanner.name, condition), int(condition in active))
            queue.add_metric((scanner.name,), scanner.waiting())
            for side, count in scanner.subscriptions().items():
                subscriptions.add_metric((scanner.name, side), count)
            counts = dict.fromkeys((*STATES, OTHER), 0)
            for state in scanner.job_states():
                counts[state if state in counts else OTHER] += 1
            for state, count in counts.items():
                jobs.add_metric((scanner.name, state), count)
        yield subscriptions
        yield jobs
        yield queue
        yield up
        yield states
        yield conditions


class Certificates(Collector):
    """The expiry of the certificates in use. `read` returns pairs of an endpoint and seconds since 1970."""

    def __init__(self, read: Callable[[], Iterable[tuple[str, float]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "wsdgateway_certificate_expiry_timestamp_seconds",
            "When the certificate of a listener or of the admin site expires, in seconds since 1970",
            labels=("endpoint",))
        expiries: dict[str, float] = {}
        for endpoint, expiry in self._read():  # an endpoint with port 0 may occur twice, a series may not
            expiries[endpoint] = min(expiry, expiries.get(endpoint, expiry))
        for endpoint, expiry in expiries.items():
            family.add_metric((endpoint,), expiry)
        yield family
