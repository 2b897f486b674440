"""Tests of config.checks: the checks of the configuration's values."""

import pytest

from tests.config.configurations import LISTEN, SCANNER, problems
from wsdgateway.config.reading import make_config


@pytest.mark.parametrize(("section", "key", "value", "allowed"), [
    ("gateway", "name", "", "text"), ("gateway", "name", 5, "text"), ("gateway", "state", "file:x", "sqlite:FILE"),
    ("gateway", "state", "sqlite:", "sqlite:FILE"),
    ("gateway", "log_level", "warning", '"debug", "info", "warn" or "error"'),
    ("gateway", "log_level", ["info"], '"debug", "info", "warn" or "error"'),
    ("gateway", "log_format", "JSON", '"text" or "json"'), ("gateway", "log_format", True, '"text" or "json"'),
    ("cache", "max_age", 0, "seconds between"), ("cache", "max_age", "30", "seconds between"),
    ("cache", "max_age", True, "seconds between"), ("cache", "poll_interval", -1.0, "seconds between"),
    ("cache", "poll_interval", float("nan"), "seconds between"),
    ("cache", "history", 1.5, "whole number"), ("cache", "history", 0, "whole number"),
    ("cache", "elements", 0, "seconds between"),
    ("events", "address", "198.51.100.5", "http://192.0.2.5:5357"),
    ("events", "address", "http://198.51.100.5/x", "without a path"),
    ("events", "expires", float("inf"), "seconds between"), ("events", "expires", 1e12, "between 0.1 and 31536000"),
    ("events", "client_expires", 1e-300, "between 0.1 and 31536000"),
    ("discovery", "device_interfaces", "eth0", "list of interfaces"),
    ("discovery", "client_interfaces", [5], "list of"),
    ("discovery", "adopt", 1, "true or false"), ("discovery", "proxy", "yes", "true or false"),
    ("discovery", "exclude", "x", "list of uuids"), ("discovery", "exclude", ["urn:uuid:5"], "list of uuids"),
    ("discovery", "exclude", ["UUID:5"], "list of uuids"),
    ("discovery", "exclude", [""], "list of uuids"), ("discovery", "directed", "x", "list of addresses"),
    ("discovery", "directed", ["ftp://x"], "list of addresses"), ("discovery", "directed", [5], "list of addresses"),
    ("discovery", "suffix", "x" * 65, "64 characters"), ("discovery", "suffix", "\n", "64 characters"),
    ("discovery", "search", 0, "seconds between"), ("discovery", "answer_rate", 0.5, "between 1 and 10000"),
    ("discovery", "announce_rate", True, "between 1 and 10000"),
    ("limits", "connections", 0, "whole number"), ("limits", "request_body", 5, "between 1024 and"),
    ("exchange_log", "path", False, "text"), ("admin", "endpoint", "8357", "server endpoint"),
    ("admin", "endpoint", 8357, "server endpoint"), ("admin", "endpoint", "tcp:99999", "a port between 0 and 65535"),
    ("admin", "endpoint", "tcp:1:interface=nonsense", "IP address as interface"),
    ("admin", "endpoint", "tcp:-1", "a port between 0 and 65535"),
    ("admin", "endpoint", "tcp:1:backlog=1000000000000", "a backlog between 1 and 65535"),
    ("admin", "endpoint", "ssl:1:backlog=-1:privateKey=k", "a backlog between 1 and 65535"),
    ("admin", "endpoint", "unix:/run/x:backlog=0", "a backlog between 1 and 65535"),
    ("admin", "endpoint", "unix:/run/x:mode=77777", "a mode between 0 and 7777"),
    ("gateway", "state", "redis", "sqlite:FILE, memory:, or for several gateways redis://HOST:6379/0"),
    ("gateway", "state", "sqlite:", "sqlite:FILE, memory:, or for several gateways redis://HOST:6379/0"),
    ("gateway", "state", "redis:h", "redis://HOST:6379/0, rediss://HOST:6379/0 (TLS)"),
    ("gateway", "password_file", 5, "non-empty text"),
    ("cluster", "name", "x" * 65, "a text of at most 64 characters"),
    ("cluster", "name", "a\nb", "a text of at most 64"),
    ("cluster", "name", " ", "a text of at most 64 characters"), ("cluster", "endpoint", "5360", "server endpoint"),
    ("cluster", "address", "http://192.0.2.5:5360/x", "without a path"), ("cluster", "lease", 0.5, "between 1 and 60"),
    ("cluster", "lease", 61, "between 1 and 60"), ("cluster", "alone", "yes", "true or false"),
    ("cluster", "source", "", "the IP address from which scanners are spoken to"),
    ("cluster", "source", "198.51.100.9:80", "without a port"),
    ("cluster", "source", "eth1", "the IP address from which"),
    ("events", "address", "http://198.51.100.5:99999", "http://192.0.2.5:5357"),
    ("events", "client_networks", [int("f" * 5000, 16)], "list of networks"),
])
def test_a_wrong_value_is_named(section, key, value, allowed):
    [line] = problems(**{section: {key: value}})
    assert line.startswith(f"g.toml: [{section}] {key} = ")
    assert allowed in line.partition(": must be ")[2]
    assert "\n" not in line


@pytest.mark.parametrize(("key", "value"), [
    ("name", "Front Desk"), ("name", "a/b"), ("name", ""), ("scan", "198.51.100.20"), ("scan", "ftp://x/scan"),
    ("scan", "http:///scan"), ("scan", "http://x:99999/"), ("scan", "http://a b/"),
    ("scan", "http://a..b/"), ("scan", "http://u:p@x/"), ("scan", "http://x/#f"), ("events", "maybe"),
    ("max_connections", 0), ("max_rate", -1), ("max_rate", 0.01), ("max_rate", True), ("max_rate", "20"), ("cache", 1),
    ("timeout", 0), ("idle_timeout", "1"), ("lenient", 1), ("event_sources", "10.0.0.0/8"),
    ("event_sources", ["10.0.0"]), ("event_sources", [5]),
    ("bridge", "no"), ("identity", "own"), ("identity", "same"),
])
def test_a_wrong_scanner_is_named(key, value):
    lines = problems(scanner=[{**SCANNER, key: value}])
    assert len(lines) == 1
    assert f" {key} = " in lines[0]


def test_no_control_character_reaches_a_terminal():
    lines = problems(gateway={"state": "\x1b[31m\r\n\x9b"}, **{"a\nb\x1b": 1}, admin={"\x9b": 1},
                     discovery={"device_interfaces": ["\x1b"]})
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("endpoint", ["tcp:1:interface=127.0.0.1", r"tcp6:1:interface=\:\:1", "tcp:1", "tcp6:port=1",
                                      "unix:/run/x"])
def test_endpoints(endpoint):
    assert make_config({"listen": [{"endpoint": endpoint}]}, "g.toml").listen[0].endpoint == endpoint


def test_the_values_of_the_discovery_section():
    discovery = make_config({"listen": [LISTEN], "discovery": {
        "client_interfaces": ["eth0", "eth0"], "exclude": ["198.51.100.0/28", " LaserJet* "],
        "directed": ["198.51.100.20", "2001:db8::20", "scanner.example:8018", "http://x/y"]}}, "g.toml").discovery
    assert discovery.client_interfaces == ("eth0",)
    assert discovery.directed == ("http://198.51.100.20", "http://[2001:db8::20]", "http://scanner.example:8018",
                                  "http://x/y")
    assert [rule.model for rule in discovery.exclude] == [None, "laserjet*"]
    assert discovery.is_on
    assert not make_config({"listen": [LISTEN], "discovery": {"proxy": True}}, "g.toml").discovery.is_on


@pytest.mark.parametrize("spelled", [
    "urn:uuid:37F86d35-e6ac-4241-964f-1d9ae46fb366", "uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366",
    "UUID:37F86D35-E6AC-4241-964F-1D9AE46FB366", "{37f86d35-e6ac-4241-964f-1d9ae46fb366}",
    " 37f86d35-e6ac-4241-964f-1d9ae46fb366"])
def test_a_uuid_in_any_spelling(spelled):
    config = make_config({"listen": [LISTEN], "scanner": [{"name": "a", "uuid": spelled}], "discovery": {
        "exclude": [spelled]}}, "g.toml")
    assert config.scanner[0].uuid == "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
    assert config.discovery.exclude[0].uuid == config.scanner[0].uuid


@pytest.mark.parametrize("value", ["uuid:5", "urn:37f86d35-e6ac-4241-964f-1d9ae46fb366", "", 5,
                                   "uuid:37f86d35-e6ac-4241-964f-1d9ae46fb3666"])
def test_an_invalid_uuid_is_named(value):
    [line] = problems(scanner=[{"name": "a", "uuid": value}])
    assert line.startswith("g.toml: [[scanner]] a uuid = ")
    assert "a uuid such as urn:uuid:37f86d35" in line


def test_a_password_in_a_wrong_state_is_not_shown():
    [line] = problems(gateway={"state": "redis://user:p@ss/w0rd@h:6379/0"})
    assert '[gateway] state = "redis://…@h:6379/0": must be' in line


def test_operations_that_do_not_exist_are_named():
    [line] = problems(allow=[{"operations": ["Scan", "CreateScanJob", "createscanjob"]}])
    assert line.endswith('; not in this list, in this spelling: "Scan", "createscanjob"')
