"""Tests of config.numbers: every number in the configuration has bounds."""

import re

import attrs
import pytest

from tests.config.configurations import LISTEN, NO_SECTIONS, SCANNER
from wsdgateway.config.numbers import Number
from wsdgateway.config.reading import ConfigError, make_config
from wsdgateway.config.sections import (
    Admin,
    Allow,
    Cache,
    Cluster,
    Config,
    Destination,
    Discovery,
    Escl,
    Events,
    ExchangeLog,
    Gateway,
    LimitsConfig,
    Listen,
    ScannerConfig,
    UploadsConfig,
)

SECTIONS = {"gateway": Gateway, "listen": Listen, "scanner": ScannerConfig, "cache": Cache, "events": Events,
            "discovery": Discovery, "limits": LimitsConfig, "allow": Allow, "exchange_log": ExchangeLog,
            "admin": Admin, "escl": Escl, "destination": Destination, "uploads": UploadsConfig,
            "cluster": Cluster}
NUMBERS = [(name, field) for name, kind in SECTIONS.items() for field in attrs.fields(kind)
           if re.search(r"\b(int|float)\b", str(field.type)) and "bool" not in str(field.type)]


def with_number(section, key, value):
    """Returns a whole configuration with this value of one key."""
    whole = {"listen": [LISTEN], "scanner": [SCANNER]}
    if section in ("listen", "scanner"):
        return {**whole, section: [{**whole[section][0], key: value}]}
    if section == "destination":
        return {**whole, section: [{"name": "Mail", "folder": "scans", key: value}]}
    return {**whole, section: {**({"announce": False} if section == "escl" else {}), key: value}}


def test_all_sections_and_numbers_are_covered():
    assert set(SECTIONS) == {field.name for field in attrs.fields(Config)} - NO_SECTIONS
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
        assert re.match(rf'g\.toml: \[+{section}\]+ [a-zA-Z0-9 "-]*{field.name} = \S+: must be ', line), line
        lowest, highest = re.search(r"between ([\d.]+) and ([\d.]+)", line).groups()
        assert (float(lowest), float(highest)) == (check.lowest, check.highest)
