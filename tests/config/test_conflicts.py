"""Tests of config.conflicts: what may be given once only."""

import pytest

from tests.config.configurations import LISTEN, SCANNER, problems
from wsdgateway.config.reading import ConfigError, make_config


@pytest.mark.parametrize(("more", "key"), [
    ({"device": "http://x/d"}, "device"), ({"uuid": "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"}, "uuid")])
def test_a_scanner_has_one_address(more, key):
    [line] = problems(scanner=[{**SCANNER, **more}])
    assert line == f"g.toml: [[scanner]] front-desk has scan and {key}; give only one of scan, device and uuid"


def test_names_uuids_and_endpoints_are_used_once():
    [line] = problems(scanner=[SCANNER, SCANNER])
    assert "unique among the [[scanner]] sections" in line
    uuid = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
    for spelled in (uuid, uuid.upper(), uuid.removeprefix("urn:")):
        [line] = problems(scanner=[{"name": "a", "uuid": uuid}, {"name": "b", "uuid": spelled}])
        assert "unique among the [[scanner]] sections" in line
    with pytest.raises(ConfigError, match=r"unique among the \[\[listen\]\] sections"):
        make_config({"listen": [LISTEN, LISTEN]}, "g.toml")
