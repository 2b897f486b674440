"""Parts of configurations for tests, and the errors found in a configuration."""

from pathlib import Path

import pytest

from wsdgateway.config.reading import ConfigError, make_config

SAMPLE = Path(__file__).parents[2] / "config" / "gateway.toml"
NO_SECTIONS = {"folder", "file", "unused_state", "state_directory"}  # fields of a configuration that are no sections
LISTEN = {"endpoint": "tcp:5357"}
SCANNER = {"name": "front-desk", "scan": "http://198.51.100.20/scan"}


def problems(file="g.toml", **sections):
    """Returns the error lines for a configuration with these sections and this file name."""
    with pytest.raises(ConfigError) as caught:
        make_config({"listen": [LISTEN], **sections}, str(file))
    return caught.value.problems
