"""Tests of the dashboard and the alerting rules: their metrics, labels and values of labels exist in the gateway."""

import itertools
import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.dashboards import ALERT_TESTS, CONFIG, DASHBOARD, RULES, alerts, dashboard, filled, panels
from wsdgateway.bridge.cluster.state import OWNING, Ownership
from wsdgateway.bridge.health.health import Health
from wsdgateway.metrics import ASKED, DEVICE, ERROR, FAULT, KEPT, LOCAL, OK, REFUSED, RULE, SHARED, Metrics
from wsdgateway.scan.operations import GET_ACTIVE_JOBS, GET_JOB_ELEMENTS, RETRIEVE_IMAGE

SELECTOR = re.compile(r"\b(wsdgateway_\w+)(?:\{(.*?)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*?)"(?:, |$)')
GROUPED = re.compile(r"\bby \((.*?)\)")
SCANNER = "front-desk"
MANUAL = CONFIG.parent / "docs" / "monitoring.md"


class Bridged:
    """A scanner that reports gauges."""

    name = SCANNER

    def subscriptions(self):
        return {"device": 1, "client": 0}

    def job_states(self):
        return ()

    def waiting(self):
        return 0

    def health(self):
        return Health(True)


@pytest.fixture(scope="module")
def samples():
    """The labels of all counted samples, by metric name."""
    metrics = Metrics()
    metrics.scanners.append(Bridged())
    for operation, source, outcome in itertools.product(
            (GET_JOB_ELEMENTS.name, RETRIEVE_IMAGE.name, "other"), (LOCAL, DEVICE, REFUSED), (OK, FAULT, ERROR)):
        metrics.request(SCANNER, operation, source, 0.1)
        metrics.device_request(SCANNER, operation, outcome)
    for outcome in (KEPT, SHARED, ASKED):
        metrics.kept_answer(SCANNER, GET_ACTIVE_JOBS.name, outcome)
    metrics.escl_request(SCANNER, "NextDocument", "200")
    metrics.passed(SCANNER, OK)
    metrics.watch_spool(lambda: 0, lambda: 1)
    metrics.watch_store(lambda: False)
    metrics.begin_destination("Scans")
    metrics.delayed(SCANNER)()
    metrics.refused(SCANNER, RULE)
    metrics.image_bytes(SCANNER, 1)
    metrics.event(SCANNER, "other")
    metrics.left_out(SCANNER)(1)
    metrics.made_events(SCANNER, ("JobStatusEvent",))("JobStatusEvent")
    metrics.deliveries(SCANNER)
    cluster = metrics.watch_cluster(lambda: [Ownership(SCANNER, OWNING)])
    cluster.answered(0.1)
    metrics.built("0.1.0")
    metrics.watch_certificates(lambda: [("tcp:5358", 2e9)])
    metrics.discovery("client", "Probe")
    metrics.discovery_dropped("rate")
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        assert family.samples, f"{family.name}: not counted above, so that no panel would be required"
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def _matches(labels, matcher):
    name, how, value = matcher
    equal = re.fullmatch(value, labels[name]) if "~" in how else value == labels[name]
    return bool(equal) != how.startswith("!")


def check(expression, samples):
    """Checks that each selector matches a counted sample; returns the labels that remain after grouping."""
    selectors = SELECTOR.findall(expression)
    assert selectors, expression
    for name, within in selectors:
        assert name in samples, expression
        matchers = MATCHER.findall(within)
        assert ", ".join(f'{label}{how}"{value}"' for label, how, value in matchers) == within, expression
        assert {label for label, _, _ in matchers} <= samples[name][0].keys(), expression
        for matcher in matchers:  # a regular expression would hide one misspelt value behind the others
            for value in matcher[2].split("|"):
                assert any(_matches(labels, (matcher[0], "=", value)) for labels in samples[name]), expression
        assert any(all(_matches(labels, one) for one in matchers) for labels in samples[name]), expression
    left = {label for labels in GROUPED.findall(expression) for label in labels.split(", ")}
    assert left <= {"instance", "job", *samples[selectors[0][0]][0]}, expression
    return left


def test_every_query_uses_existing_metrics(samples):
    for panel in panels():
        for target in panel["targets"]:
            left = check(filled(target["expr"]), samples)
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == left - {"le"}, panel["title"]
    [scanner] = [one for one in dashboard()["templating"]["list"] if one["name"] == "scanner"]
    name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", scanner["query"]["query"]).groups()
    assert label in samples[name][0]


def test_every_metric_is_shown(samples):
    asked = {name for panel in panels() for target in panel["targets"] for name, _ in SELECTOR.findall(target["expr"])}
    assert asked == {name for name in samples if not name.endswith(("_sum", "_count"))}


def test_the_alerts_use_existing_metrics(samples):
    for name, expression in alerts().items():
        if name != "WsdgatewayDown":  # Prometheus' own
            check(expression, samples)


def test_every_alert_is_tested_and_has_a_severity_and_texts_and_is_in_the_manual():
    rules = re.split(r"\n +- alert: ", RULES.read_text("utf-8"))[1:]
    tests, manual = ALERT_TESTS.read_text("utf-8"), MANUAL.read_text("utf-8")
    assert [rule.partition("\n")[0] for rule in rules] == list(alerts())
    for name, rule in zip(alerts(), rules, strict=True):
        assert re.search(r"\n +labels: \{severity: (critical|warning|info)\}\n", rule), name
        assert re.search(r"\n +summary: .+\.'?\n +description: >-\n(?: +\S.*\n)+", f"{rule}\n"), name
        assert re.search(rf"alertname(?:: |=\"){name}\b", tests), name
        assert f"| `{name}` |" in manual, name


def test_every_metric_is_in_the_manual(samples):
    manual = MANUAL.read_text("utf-8")
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in samples}
    assert [name for name in sorted(names) if not re.search(rf"^\| `{name}`", manual, re.MULTILINE)] == []


def test_every_panel_has_a_title_a_description_and_a_place():
    taken, numbers = set(), set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24
        assert not taken & cells and panel["id"] not in numbers, panel["title"]
        taken |= cells
        numbers.add(panel["id"])
        assert panel["title"]
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert {one["datasource"]["uid"] for one in (panel, *panel["targets"])} == {"${datasource}"}


def test_the_dashboard_can_be_imported_and_is_written_in_canonical_form():
    whole = dashboard()
    assert whole["id"] is None
    assert whole["schemaVersion"] >= 36
    assert [one["name"] for one in whole["__inputs"]] == ["DS_PROMETHEUS"]
    [source] = [one for one in whole["templating"]["list"] if one["name"] == "datasource"]
    assert source["current"]["value"] == "${DS_PROMETHEUS}"
    assert {panel["type"] for panel in panels()} <= {one["id"] for one in whole["__requires"]}
    assert DASHBOARD.read_text("utf-8") == json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
