"""The configuration: defaults, every kind of mistake, and the sample file."""

import re
import tomllib
from pathlib import Path

import attrs
import pytest

from wsdgateway.cli.main import main
from wsdgateway.config.numbers import Number
from wsdgateway.config.reading import ConfigError, find_config, make_config, read_config
from wsdgateway.config.sections import (
    Admin,
    Allow,
    Cache,
    Config,
    Discovery,
    Events,
    ExchangeLog,
    Gateway,
    LimitsConfig,
    Listen,
    ScannerConfig,
)

SAMPLE = Path(__file__).parents[2] / "config" / "gateway.toml"
LISTEN = {"endpoint": "tcp:5357"}
SCANNER = {"name": "front-desk", "scan": "http://198.51.100.20/scan"}


def problems(**sections):
    with pytest.raises(ConfigError) as caught:
        make_config({"listen": [LISTEN], **sections}, "g.toml")
    return caught.value.problems


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


def test_the_least_that_is_needed():
    config = make_config({"listen": [LISTEN]}, "g.toml")
    assert config.cache.max_age == 30.0
    assert config.scanner == ()
    assert config.folder == Path.cwd()


@pytest.mark.parametrize(("section", "key", "value", "allowed"), [
    ("gateway", "name", "", "text"), ("gateway", "name", 5, "text"), ("gateway", "state", "file:x", "sqlite:FILE"),
    ("gateway", "state", "sqlite:", "sqlite:FILE"), ("gateway", "colour", "red", "one of the keys name, state"),
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
    ("gateway", "state", "redis://h:99999", "a port between 1 and 65535"),
    ("gateway", "state", "redis://h:6379/1000000000000", "a DB between 0 and 16383"),
    ("events", "address", "http://198.51.100.5:99999", "http://192.0.2.5:5357"),
    ("events", "client_networks", [int("f" * 5000, 16)], "list of networks"),
])
def test_a_wrong_value_is_named(section, key, value, allowed):
    [line] = problems(**{section: {key: value}})
    assert line.startswith(f"g.toml: [{section}] {key} = ")
    assert allowed in line.partition(": must be ")[2]
    assert "\n" not in line


SECTIONS = {"gateway": Gateway, "listen": Listen, "scanner": ScannerConfig, "cache": Cache, "events": Events,
            "discovery": Discovery, "limits": LimitsConfig, "allow": Allow, "exchange_log": ExchangeLog,
            "admin": Admin}
NUMBERS = [(name, field) for name, kind in SECTIONS.items() for field in attrs.fields(kind)
           if re.search(r"\b(int|float)\b", str(field.type)) and "bool" not in str(field.type)]


def with_number(section, key, value):
    """A whole configuration with this value of one key."""
    whole = {"listen": [LISTEN], "scanner": [SCANNER]}
    if section in ("listen", "scanner"):
        return {**whole, section: [{**whole[section][0], key: value}]}
    return {**whole, section: {key: value}}


def test_the_walk_over_sections_misses_none():
    assert set(SECTIONS) == {field.name for field in attrs.fields(Config)} - {"folder", "file"}
    assert len(NUMBERS) >= 30
    assert [one for kind in SECTIONS.values() for one in attrs.fields(kind)
            if isinstance(one.default, int | float) and not isinstance(one.default, bool)
            and one not in [field for _, field in NUMBERS]] == []


@pytest.mark.parametrize(("section", "field"), NUMBERS, ids=lambda one: getattr(one, "name", one))
def test_every_number_has_a_lower_and_an_upper_bound(section, field):
    check = field.metadata["check"]
    assert isinstance(check, Number)
    assert 0 < check.lowest < check.highest < float("inf")
    for good in (check.kind(check.lowest), check.kind(check.highest), *([0] if check.zero else ())):
        make_config(with_number(section, field.name, good), "g.toml")
    below, above = (check.lowest - 1, check.highest + 1) if check.kind is int else (
        check.lowest * 0.9, check.highest * 1.1)
    for bad in (below, above, 1e12, 1e300, 1e-300, -1, -0.5, True, False, "5", float("nan"), float("inf"),
                float("-inf"), 10**5000, [], {}, *(() if check.zero else (0,))):
        with pytest.raises(ConfigError) as caught:
            make_config(with_number(section, field.name, bad), "g.toml")
        [line] = caught.value.problems
        assert re.match(rf"g\.toml: \[+{section}\]+ [a-z0-9 -]*{field.name} = \S+: must be ", line), line
        lowest, highest = re.search(r"between ([\d.]+) and ([\d.]+)", line).groups()
        assert (float(lowest), float(highest)) == (check.lowest, check.highest)


@pytest.mark.parametrize(("key", "value"), [
    ("name", "Front Desk"), ("name", "a/b"), ("name", ""), ("scan", "198.51.100.20"), ("scan", "ftp://x/scan"),
    ("scan", "http:///scan"), ("scan", "http://x:99999/"), ("scan", "http://a b/"),
    ("scan", "http://a..b/"), ("scan", "http://u:p@x/"), ("scan", "http://x/#f"), ("events", "maybe"),
    ("max_connections", 0), ("max_rate", -1), ("max_rate", 0.01), ("max_rate", True), ("max_rate", "20"), ("cache", 1),
    ("timeout", 0), ("idle_timeout", "1"), ("lenient", 1), ("event_sources", "10.0.0.0/8"),
    ("event_sources", ["10.0.0"]), ("event_sources", [5]), ("nonsense", 1),
    ("bridge", "no"), ("identity", "own"), ("identity", "same"),
])
def test_a_wrong_scanner_is_named(key, value):
    lines = problems(scanner=[{**SCANNER, key: value}])
    assert len(lines) == 1
    assert f" {key} = " in lines[0]


@pytest.mark.parametrize(("more", "key"), [
    ({"device": "http://x/d"}, "device"), ({"uuid": "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"}, "uuid")])
def test_a_scanner_has_one_address(more, key):
    [line] = problems(scanner=[{**SCANNER, **more}])
    assert f"front-desk {key} = " in line
    assert "must be left out, for only one of scan, device and uuid" in line


def test_a_scanner_needs_an_address_and_a_name():
    lines = problems(scanner=[{"name": "a"}, {"scan": "http://x/"}])
    assert any("[[scanner]] a scan is missing" in line for line in lines)
    assert any("[[scanner]] 2 name is missing" in line for line in lines)


def test_no_control_character_reaches_a_terminal():
    lines = problems(gateway={"state": "\x1b[31m\r\n\x9b"}, **{"a\nb\x1b": 1}, admin={"\x9b": 1},
                     discovery={"device_interfaces": ["\x1b"]})
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("endpoint", ["tcp:1:interface=127.0.0.1", r"tcp6:1:interface=\:\:1", "tcp:1", "tcp6:port=1",
                                      "unix:/run/x"])
def test_endpoints(endpoint):
    assert make_config({"listen": [{"endpoint": endpoint}]}, "g.toml").listen[0].endpoint == endpoint


def test_what_discovery_may_be_told():
    discovery = make_config({"listen": [LISTEN], "discovery": {
        "client_interfaces": ["eth0", "eth0"], "exclude": ["198.51.100.0/28", " LaserJet* "],
        "directed": ["198.51.100.20", "2001:db8::20", "scanner.example:8018", "http://x/y"]}}, "g.toml").discovery
    assert discovery.client_interfaces == ("eth0",)
    assert discovery.directed == ("http://198.51.100.20", "http://[2001:db8::20]", "http://scanner.example:8018",
                                  "http://x/y")
    assert [rule.model for rule in discovery.exclude] == [None, "laserjet*"]
    assert discovery.is_on
    assert not make_config({"listen": [LISTEN], "discovery": {"proxy": True}}, "g.toml").discovery.is_on


def test_names_uuids_and_endpoints_are_used_once():
    [line] = problems(scanner=[SCANNER, SCANNER])
    assert "no other [[scanner]] has" in line
    uuid = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
    for spelled in (uuid, uuid.upper(), uuid.removeprefix("urn:")):
        [line] = problems(scanner=[{"name": "a", "uuid": uuid}, {"name": "b", "uuid": spelled}])
        assert "no other [[scanner]] has" in line
    with pytest.raises(ConfigError, match=r"no other \[\[listen\]\] has"):
        make_config({"listen": [LISTEN, LISTEN]}, "g.toml")


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
def test_what_is_no_uuid_is_named(value):
    [line] = problems(scanner=[{"name": "a", "uuid": value}])
    assert line.startswith("g.toml: [[scanner]] a uuid = ")
    assert "a uuid like urn:uuid:37f86d35" in line


@pytest.mark.parametrize("data", [{}, {"listen": []}, {"listen": [{}]}])
def test_a_listener_is_needed(data):
    with pytest.raises(ConfigError, match="endpoint is missing"):
        make_config(data, "g.toml")


@pytest.mark.parametrize("data", [
    {"listen": 5}, {"listen": {"endpoint": "tcp:1"}}, {"listen": [5]}, {"listen": [LISTEN], "cache": 5},
    {"listen": [LISTEN], "scanner": "x"}, {"listen": [LISTEN], "scanners": []}, {"listen": [LISTEN], "scanner": [5]},
    {"listen": [LISTEN], "scanner": [{"name": ["x"], "scan": {}}]},
])
def test_a_wrong_shape_is_an_error_and_no_traceback(data):
    with pytest.raises(ConfigError, match=r"g\.toml: "):
        make_config(data, "g.toml")


def test_every_mistake_is_reported_at_once():
    lines = problems(cache={"max_age": 0, "history": "x"}, gateway={"colour": 1}, nonsense={},
                     scanner=[{"name": "A", "scan": "x"}])
    assert len(lines) == 6


@pytest.mark.parametrize(("text", "message"), [
    (b"[gateway", "not TOML"), (b"\xff", "not UTF-8"), (b"a = 1\na = 2", "not TOML"),
    (b"a = " + b"9" * 5000, "not TOML"), (b"a = " + b"[" * 5000, "not TOML"),
    (b"a" + b".a" * 5000 + b" = 1", "top level a")])
def test_unreadable_files(tmp_path, text, message):
    file = tmp_path / "g.toml"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        read_config(str(file))


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_config(str(tmp_path / "none.toml"))


def test_without_a_file_both_places_and_the_demo_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        find_config()
    [line] = caught.value.problems
    assert "gateway.toml" in line
    assert "/etc/wsdgateway/gateway.toml" in line
    assert "--demo" in line
    (tmp_path / "gateway.toml").write_text("")
    assert find_config() == "gateway.toml"


def test_relative_paths_start_at_the_file(tmp_path):
    file = tmp_path / "sub" / "g.toml"
    file.parent.mkdir()
    file.write_text("[[listen]]\nendpoint = 'tcp:1'\n")
    assert read_config(str(file)).folder == file.parent


def test_what_is_not_built_or_lacks_something_says_so():
    config = make_config({
        "listen": [LISTEN], "gateway": {"state": "redis://h:6379/0"}, "discovery": {"adopt": True},
        "exchange_log": {"capture": "x", "secrets": True}, "admin": {"endpoint": "tcp:8357"},
        "scanner": [{"name": "a", "uuid": "urn:uuid:37F86d35-e6ac-4241-964f-1d9ae46fb366"}]}, "g.toml")
    assert len(config.remarks()) == 5
    assert make_config({"listen": [LISTEN]}, "g.toml").remarks() == []


def test_check_reads_a_file_and_says_what_is_wrong(tmp_path, capsys):
    assert main(["check", str(SAMPLE)]) == 0
    assert "1 scanner(s), 2 listener(s)" in capsys.readouterr().out
    file = tmp_path / "g.toml"
    file.write_text("[cache]\nmax_age = 0\n")
    assert main(["check", str(file)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith(f"{file}: ") for line in errors)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["scan"], ["scan", "u", "-o", "x", "--resolution", "a"]])
def test_bad_arguments_end_with_status_2_and_a_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_that_may_not_be_looked_into_is_said_and_not_passed_over(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "stat", refuse)
    assert find_config() == "gateway.toml"


def test_a_rule_for_a_scanner_that_is_not_there_is_remarked():
    data = {"listen": [LISTEN], "scanner": [SCANNER], "allow": [
        {"scanners": [SCANNER["name"], "front-desc"], "deny": True}, {"scanners": ["*"]}]}
    [line] = [line for line in make_config(data, "g.toml").remarks() if "[[allow]]" in line]
    assert line.startswith("[[allow]] 1 scanners: front-desc is the name of no [[scanner]]")
    assert not [line for line in make_config({**data, "discovery": {"adopt": True}}, "g.toml").remarks()
                if "[[allow]]" in line]
