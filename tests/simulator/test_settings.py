"""Tests of simulator.settings: the virtual scanner's settings."""

import attrs
import pytest

from wsdgateway.config.numbers import Number
from wsdgateway.simulator.settings import Settings, SettingsError, make_settings, read_settings


@pytest.mark.parametrize(("table", "message"), [
    ({"colour": 1}, "must be one of the keys"), ({"feeder_pages": "x"}, "between 0 and 100000"),
    ({"page_seconds": -1}, r"between 0\.001 and 3600, or 0 for no delay"), ({"events": "some"}, "one of"),
    ({"stopped_jobs": "go"}, "one of abort, wait"), ({"busy_fault": "Busy"}, "one of ServerErrorNotAcceptingJobs, "),
    ({"busy_fault": ["reason"]}, "one of"),
    ({"aborted_fault": "Jam"}, "one of ClientErrorNoImagesAvailable, "),
    ({"jam_after": 0.5}, "a whole number between 0 and 100000"),
    ({"warm_up_seconds": -1}, r"between 0\.001 and 3600, or 0 for no warm-up"), ({"refill": 1}, "true or false"),
    ({"feeder_pages": True}, "whole number"), ({"uuid": "x"}, "without urn:uuid:"),
    ({"endpoint": "tcp:99999"}, "between 0 and 65535"), ({"scopes": "x"}, "list of texts"),
    ({"endpoint": "ssl:1:privateKey=none.pem"}, "No such file"), ({"name": 5}, "must be a text of 1 to 127"),
    ({"name": ""}, "1 to 127 characters"), ({"name": "x" * 128}, "1 to 127 characters"),
    ({"connections": int("f" * 5000, 16)}, r"= \.\.\.: must be a whole number")])
def test_settings_are_checked(table, message):
    with pytest.raises(SettingsError, match=message):
        make_settings(table, "s.toml")


@pytest.mark.parametrize("field", [field for field in attrs.fields(Settings) if field.type in (int, float)],
                         ids=lambda field: field.name)
def test_every_number_of_the_settings_has_bounds(field):
    check = field.metadata["check"]
    assert isinstance(check, Number) and 0 <= check.lowest < check.highest <= 2**32
    for bad in (1e12, 1e-300, -1, True, float("nan"), float("inf"), check.highest + 1):
        with pytest.raises(SettingsError, match=rf"s\.toml: \[scanner\] {field.name} = .*: must be .* between "):
            make_settings({field.name: bad}, "s.toml")


def test_settings_from_a_file(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("[scanner]\nname = 'x'\npage_seconds = 1\n")
    assert read_settings(str(file)) == Settings(name="x", page_seconds=1)
    file.write_text("[other]\n")
    with pytest.raises(SettingsError, match="the only section"):
        read_settings(str(file))
    with pytest.raises(SettingsError, match="cannot read the file"):
        read_settings(str(tmp_path / "none"))
