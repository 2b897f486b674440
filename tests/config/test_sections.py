"""Tests of config.sections: the sample file, the defaults and the remarks."""

import tomllib
from pathlib import Path

import attrs

from tests.config.configurations import LISTEN, NO_SECTIONS, SAMPLE
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
    assert set(data) == {field.name for field in attrs.fields(Config)} - NO_SECTIONS
    for field in attrs.fields(Config):
        if field.name in NO_SECTIONS:
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
