"""Tests of app.tap: the options of `twistd wsdgateway`."""

import pytest

from wsdgateway.app.tap import Options


def test_an_error_in_the_configuration_is_printed_and_ends_the_start(tmp_path):
    file = tmp_path / "g.toml"
    file.write_text('[gateway]\nstate = "redis://h:6379/0"\n[[listen]]\nendpoint = "tcp:5358"\n')
    with pytest.raises(SystemExit) as ended:
        Options().parseOptions(["--config", str(file)])
    assert ended.value.code == (
        f'{file}: [gateway] state = "redis://h:6379/0": must be sqlite:FILE or memory:; Redis is not supported yet')


def test_a_file_and_the_demo_exclude_each_other():
    with pytest.raises(SystemExit, match="--demo takes no configuration"):
        Options().parseOptions(["--demo", "--config", "g.toml"])
