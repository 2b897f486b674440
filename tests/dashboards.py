"""The dashboard of `config/`, as far as tests ask: its panels, and its queries as Prometheus gets them from Grafana."""

import json
import re
from pathlib import Path

CONFIG = Path(__file__).parent.parent / "config"
DASHBOARD = CONFIG / "grafana-dashboard.json"
RULES = CONFIG / "prometheus-rules.yml"
VARIABLES = {"$scanner": "front-desk", "$__rate_interval": "1m", "$__range": "5m"}


def dashboard():
    """The whole of it."""
    return json.loads(DASHBOARD.read_text("utf-8"))


def panels():
    """Every panel that shows something; rows do not."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def filled(expression):
    """A query with Grafana's variables put in."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def alerts():
    """The expressions of the alerting rules, by name."""
    return dict(re.findall(r"- alert: (\w+)\n +expr: (.+)\n", RULES.read_text("utf-8")))
