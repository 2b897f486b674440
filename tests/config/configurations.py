"""Parts of configurations, and the mistakes that reading one finds."""

from pathlib import Path

import pytest

from wsdgateway.config.reading import ConfigError, make_config

SAMPLE = Path(__file__).parents[2] / "config" / "gateway.toml"
LISTEN = {"endpoint": "tcp:5357"}
SCANNER = {"name": "front-desk", "scan": "http://198.51.100.20/scan"}


def problems(file="g.toml", **sections):
    """The lines of the mistakes in a configuration of these sections, whose file has this path."""
    with pytest.raises(ConfigError) as caught:
        make_config({"listen": [LISTEN], **sections}, str(file))
    return caught.value.problems
