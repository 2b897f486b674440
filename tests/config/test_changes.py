"""Tests of config.changes: the effect of each changed key when the configuration is read again."""

import attrs
import pytest

from tests.certificates import PIN
from tests.config.configurations import LISTEN, SCANNER
from wsdgateway.config.changes import compare
from wsdgateway.config.reading import make_config
from wsdgateway.config.sections import ScannerConfig


def test_the_keys_that_make_another_scanner():
    def config(**scanner):
        return make_config({"listen": [{"endpoint": "tcp:1"}], "scanner": [
            {"name": "a", "scan": "http://192.0.2.1/", **scanner}]}, "g.toml")

    assert compare(config(), config()).changed == ()
    assert compare(config(), config(timeout=5, lenient=True, max_connections=1)).changed == ()
    for change in ({"scan": "http://192.0.2.2/"}, {"events": "off"}):
        assert [one.name for one in compare(config(), config(**change)).changed] == ["a"]
    assert compare(config(), config(bridge=False)).removed == ("a",)
    assert [one.name for one in compare(config(bridge=False), config()).added] == ["a"]


VALUES = {
    "name": None, "bridge": None,  # a changed name or bridge removes one scanner and adds another
    "scan": "http://192.0.2.2/", "device": "http://192.0.2.2/", "uuid": "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366",
    "identity": "same", "events": "off", "ca": "ca.pem", "pin": PIN, "insecure": True,
    "max_connections": 1, "max_rate": 5, "cache": False, "timeout": 5, "idle_timeout": 5, "lenient": True,
    "event_sources": ["192.0.2.0/24"], "escl": False, "escl_port": 8401}


@pytest.mark.parametrize("key", [key for key, value in VALUES.items() if value is not None])
def test_each_key_of_a_scanner_makes_another_scanner_or_is_adjusted(key):
    assert set(VALUES) == {field.name for field in attrs.fields(ScannerConfig)}
    field = attrs.fields_dict(ScannerConfig)[key]
    old = ScannerConfig("a", scan="http://192.0.2.1/")
    new = attrs.evolve(old, **{key: field.metadata["check"](VALUES[key])})
    base = make_config({"listen": [LISTEN]}, "g.toml")
    changes = compare(attrs.evolve(base, scanner=(old,)), attrs.evolve(base, scanner=(new,)))
    is_other = key in ("scan", "device", "uuid", "identity", "events", "ca", "pin", "insecure")
    assert changes.changed == ((new,) if is_other else ())
    assert (changes.added, changes.removed, changes.sections) == ((), (), ("scanner",))


def with_sections(**sections):
    return make_config({"listen": [LISTEN], "scanner": [SCANNER], **sections}, "g.toml")


def test_level_and_format_of_the_log_apply_at_once():
    changes = compare(with_sections(), with_sections(gateway={"log_level": "debug", "log_format": "json"}))
    assert (changes.later, changes.sections) == ((), ("gateway",))
    assert (changes.config.gateway.log_level, changes.config.gateway.logs_json) == ("debug", True)


def test_the_size_of_the_spool_applies_at_once():
    changes = compare(with_sections(escl={}), with_sections(escl={"spool_size": 1 << 20, "spool": "elsewhere"}))
    assert changes.later == ("[escl] spool has changed; this takes effect after a restart",)
    assert changes.config.escl.spool_size == 1 << 20


def test_keys_that_need_a_restart_stay_unchanged_and_are_named():
    old = with_sections()
    changes = compare(old, with_sections(
        listen=[{"endpoint": "tcp:1"}], gateway={"name": "x"}, discovery={"proxy": True, "exclude": ["X*"]},
        admin={"endpoint": "tcp:2", "connections": 5}))
    assert changes.later == (
        "[gateway] name has changed; this takes effect after a restart",
        "[[listen]] has changed; this takes effect after a restart, except for the files of certificates",
        "[discovery] proxy has changed; this takes effect after a restart",
        "[admin] endpoint has changed; this takes effect after a restart")
    config = changes.config
    assert (config.gateway, config.listen, config.discovery.proxy) == (old.gateway, old.listen, False)
    assert [rule.text for rule in config.discovery.exclude] == ["X*"]
    assert (config.admin.endpoint, config.admin.connections) == (old.admin.endpoint, 5)
    assert changes.sections == ("discovery", "admin")


def test_the_keys_of_several_gateways_take_effect_after_a_restart(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    old = with_sections(gateway={"state": "redis://h1"}, cluster={"name": "a"})
    changes = compare(old, with_sections(gateway={"state": "redis://h2", "password_file": str(secret)},
                                         cluster={"name": "b", "lease": 8, "alone": False, "source": "192.0.2.9"}))
    assert changes.later == tuple(f"{key} has changed; this takes effect after a restart" for key in (
        "[gateway] state", "[gateway] password_file", "[cluster] name", "[cluster] lease", "[cluster] alone",
        "[cluster] source"))
    assert (changes.config.gateway, changes.config.cluster, changes.sections) == (old.gateway, old.cluster, ())
