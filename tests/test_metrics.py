"""Tests of metrics: the counters that are added up when Prometheus asks have the format of the library's own."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from wsdgateway.bridge.health.health import Health
from wsdgateway.metrics import BUCKETS, Metrics, Totals

REQUESTS = [("front-desk", "GetJobElements", "local", 0.0004), ("front-desk", "GetJobElements", "local", 0.0005),
            ("front-desk", "GetJobElements", "device", 0.3), ("other", "GetJobElements", "local", 1000.0),
            ("other", "CreateScanJob", "refused", 2.5)]


def written_by_the_library():
    registry = CollectorRegistry(auto_describe=True)
    requests = Counter("wsdgateway_requests", "Requests from clients", ("scanner", "operation", "source"),
                       registry=registry)
    seconds = Histogram("wsdgateway_request_seconds", "Time from the complete request to the complete answer",
                        ("operation", "source"), registry=registry, buckets=BUCKETS)
    for scanner, operation, source, elapsed in REQUESTS:
        requests.labels(scanner, operation, source).inc()
        seconds.labels(operation, source).observe(elapsed)
    return generate_latest(registry).decode().splitlines()


def test_requests_are_written_as_the_library_writes_them():
    metrics = Metrics()
    for request in REQUESTS:
        metrics.request(*request)
    names = ("wsdgateway_requests", "wsdgateway_request_seconds")
    written = [line for line in metrics.render().decode().splitlines() if line.removeprefix("# HELP ").removeprefix(
        "# TYPE ").startswith(names)]
    assert sorted(written) == sorted(written_by_the_library())


def test_counters_without_a_lock_are_written_as_the_library_writes_them():
    metrics = Metrics()
    for outcome in ("ok", "ok", "fault"):
        metrics.device_request("front-desk", "CreateScanJob", outcome)
    metrics.kept_answer("front-desk", "GetScannerElements", "kept")
    value = metrics.registry.get_sample_value
    created = {"scanner": "front-desk", "operation": "CreateScanJob"}
    assert value("wsdgateway_device_requests_total", {**created, "outcome": "ok"}) == 2.0
    assert value("wsdgateway_device_requests_total", {**created, "outcome": "fault"}) == 1.0
    read = {"scanner": "front-desk", "operation": "GetScannerElements", "outcome": "kept"}
    assert value("wsdgateway_kept_answers_total", read) == 1.0


def test_status_reads_by_scanner():
    metrics = Metrics()
    for request in REQUESTS:
        metrics.request(*request)
    assert metrics.status_reads() == {"front-desk": (2, 1), "other": (1, 0)}


class Scanner:
    """A scanner with this health, and nothing else."""

    def __init__(self, name, health):
        self.name, self.health = name, lambda: health

    def subscriptions(self):
        return {}

    def job_states(self):
        return ()

    def waiting(self):
        return 0


def test_the_health_of_scanners():
    metrics = Metrics()
    metrics.scanners.extend([
        Scanner("new", Health()), Scanner("off", Health(False)),
        Scanner("jammed", Health(True, 1.0, "Stopped", ("MediaJam", "VendorA", "VendorB"))),
        Scanner("asleep", Health(True, 1.0, "PowerSave"))])
    value = metrics.registry.get_sample_value
    assert [value("wsdgateway_scanner_up", {"scanner": name}) for name in ("new", "off", "jammed")] == [None, 0.0, 1.0]

    def those(name, label, scanner):
        return {sample.labels[label] for family in metrics.registry.collect() for sample in family.samples
                if sample.name == name and sample.labels["scanner"] == scanner and sample.value == 1.0}

    states = {name: those("wsdgateway_scanner_state", "state", name) for name in ("new", "off", "jammed", "asleep")}
    assert states == {"new": {"unknown"}, "off": {"unknown"}, "jammed": {"Stopped"}, "asleep": {"unknown"}}
    assert those("wsdgateway_scanner_condition", "condition", "jammed") == {"MediaJam", "other"}
    assert those("wsdgateway_scanner_condition", "condition", "new") == set()


def test_totals_of_each_scanner():
    metrics = Metrics()
    for request in (*REQUESTS, ("front-desk", "CreateScanJob", "device", 1.0), ("", "other", "refused", 0.1)):
        metrics.request(*request)
    for outcome in ("ok", "fault", "error", "error"):
        metrics.device_request("front-desk", "CreateScanJob", outcome)
    metrics.device_request("vault", "Subscribe", "error")
    assert metrics.totals() == {
        "front-desk": Totals(here=2, there=2, reads_here=2, reads_there=1, errors=2),
        "other": Totals(here=1, reads_here=1), "vault": Totals(errors=1)}
