"""Tests of config.sections: the sample file, the defaults and the remarks."""

import tomllib
from pathlib import Path

import attrs

from tests.certificates import PIN
from tests.config.configurations import LISTEN, SAMPLE, SCANNER
from wsdgateway.config.reading import make_config, read_config
from wsdgateway.config.sections import (
    Config,
)


def test_the_sample_is_valid_and_its_values_are_the_defaults():
    config = read_config(str(SAMPLE))
    without_default = {"name", "endpoint", "scan", "advertise", "address"}
    for section in (config.gateway, config.cache, config.events, config.discovery, config.limits, config.exchange_log,
                    config.admin, config.scanner[0]):
        for field in attrs.fields(type(section)):
            if field.name not in without_default:
                assert getattr(section, field.name) == field.default, field.name
    assert config.admin.endpoint == attrs.fields(type(config.admin)).endpoint.default


def test_the_sample_has_every_key():
    text = SAMPLE.read_text()
    data = tomllib.loads(text)
    assert set(data) == {field.name for field in attrs.fields(Config)} - {"folder", "file"}
    for field in attrs.fields(Config):
        if field.name in ("folder", "file"):
            continue
        section = getattr(read_config(str(SAMPLE)), field.name)
        section = section[0] if isinstance(section, tuple) else section
        for key in attrs.fields(type(section)):
            assert f"\n{key.name} = " in text or f"# {key.name} = " in text or f"#   {key.name} = " in text, key.name


def test_the_minimal_configuration():
    config = make_config({"listen": [LISTEN]}, "g.toml")
    assert config.cache.max_age == 30.0
    assert config.scanner == ()
    assert config.folder == Path.cwd()


def test_settings_with_missing_companions_are_remarked():
    config = make_config({
        "listen": [LISTEN], "discovery": {"adopt": True},
        "exchange_log": {"capture": "x", "secrets": True}, "admin": {"endpoint": "tcp:8357"},
        "scanner": [{"name": "a", "uuid": "urn:uuid:37F86d35-e6ac-4241-964f-1d9ae46fb366"}]}, "g.toml")
    assert len(config.remarks()) == 4
    assert make_config({"listen": [LISTEN]}, "g.toml").remarks() == []


def test_a_rule_for_a_scanner_that_is_not_there_is_remarked():
    data = {"listen": [LISTEN], "scanner": [SCANNER], "allow": [
        {"scanners": [SCANNER["name"], "front-desc"], "deny": True}, {"scanners": ["*"]}]}
    [line] = [line for line in make_config(data, "g.toml").remarks() if "[[allow]]" in line]
    assert line.startswith("[[allow]] 1 scanners: pattern front-desc matches no [[scanner]]")
    assert not [line for line in make_config({**data, "discovery": {"adopt": True}}, "g.toml").remarks()
                if "[[allow]]" in line]


def test_a_scanner_without_certificate_verification_is_remarked(tmp_path):
    config = make_config({"listen": [LISTEN], "scanner": [
        {"name": "a", "scan": "https://127.0.0.1/", "insecure": True}, {"name": "b", "uuid": "urn:uuid:" + "0" * 8
         + "-0000" * 3 + "-" + "0" * 12, "pin": PIN}]}, str(Path(tmp_path) / "g.toml"))
    assert [line for line in config.remarks() if "insecure" in line and "[[scanner]] a" in line]
    assert not [line for line in config.remarks() if "insecure" in line and "[[scanner]] b" in line]
