"""Reads the dashboard and the alerting rules in `config/` for tests: panels, and queries as Grafana sends them to
Prometheus.
"""

import json
import re
from pathlib import Path

CONFIG = Path(__file__).parent.parent / "config"
DASHBOARD = CONFIG / "grafana-dashboard.json"
RULES = CONFIG / "prometheus-rules.yml"
ALERT_TESTS = Path(__file__).parent / "alerts.yml"
CLUSTER = ("wsdgateway_cluster_", "wsdgateway_takeovers_", "wsdgateway_fenced_", "wsdgateway_redis_",
           "wsdgateway_passed_")
VARIABLES = {"$scanner": "front-desk", "$__rate_interval": "1m", "$__range": "5m"}


def dashboard():
    """Returns the whole dashboard."""
    return json.loads(DASHBOARD.read_text("utf-8"))


def panels():
    """Returns the panels that show data; rows are left out."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def is_of_cluster(panel):
    """Returns whether a panel shows several gateways; a gateway without others has no data for it."""
    return any(name in target["expr"] for target in panel["targets"] for name in CLUSTER)


def filled(expression):
    """Returns a query with the values of Grafana's variables filled in."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def alerts():
    """Returns the expressions of the alerting rules by name."""
    return dict(re.findall(r"- alert: (\w+)\n +expr: (.+)\n", RULES.read_text("utf-8")))
