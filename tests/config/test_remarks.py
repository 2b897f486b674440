"""Tests of config.remarks: risky settings, and settings without effect."""

from pathlib import Path

from tests.certificates import PIN
from tests.config.configurations import LISTEN, SCANNER
from wsdgateway.config.reading import make_config
from wsdgateway.config.remarks import remarks


def texts(config):
    return [remark.text for remark in remarks(config)]


def test_settings_with_missing_companions_are_remarked():
    config = make_config({
        "listen": [LISTEN], "discovery": {"adopt": True},
        "exchange_log": {"capture": "x", "secrets": True}, "admin": {"endpoint": "tcp:8357"},
        "scanner": [{"name": "a", "uuid": "urn:uuid:37F86d35-e6ac-4241-964f-1d9ae46fb366"}]}, "g.toml")
    assert len(texts(config)) == 4
    assert texts(make_config({"listen": [LISTEN]}, "g.toml")) == []


def test_a_rule_for_a_scanner_that_is_not_there_is_remarked():
    data = {"listen": [LISTEN], "scanner": [SCANNER], "allow": [
        {"scanners": [SCANNER["name"], "front-desc"], "deny": True}, {"scanners": ["*"]}]}
    [line] = [line for line in texts(make_config(data, "g.toml")) if "[[allow]]" in line]
    assert line.startswith("[[allow]] 1 scanners: pattern front-desc matches no [[scanner]]")
    assert not [line for line in texts(make_config({**data, "discovery": {"adopt": True}}, "g.toml"))
                if "[[allow]]" in line]


def test_a_scanner_without_certificate_verification_is_remarked(tmp_path):
    config = make_config({"listen": [LISTEN], "scanner": [
        {"name": "a", "scan": "https://127.0.0.1/", "insecure": True}, {"name": "b", "uuid": "urn:uuid:" + "0" * 8
         + "-0000" * 3 + "-" + "0" * 12, "pin": PIN}]}, str(Path(tmp_path) / "g.toml"))
    assert [line for line in texts(config) if "insecure" in line and "[[scanner]] a" in line]
    assert not [line for line in texts(config) if "insecure" in line and "[[scanner]] b" in line]
