"""Tests of app.tap: the options of `twistd wsdgateway`, and those of `twistd wsdscanner`, which are alike."""

import pytest

from wsdgateway.app.tap import Options
from wsdgateway.program import version_line
from wsdgateway.simulator.tap import Options as ScannerOptions


def test_an_error_in_the_configuration_is_printed_and_ends_the_start(tmp_path):
    file = tmp_path / "g.toml"
    file.write_text('[gateway]\nstate = "redis:h"\n[[listen]]\nendpoint = "tcp:5358"\n')
    with pytest.raises(SystemExit) as ended:
        Options().parseOptions(["--config", str(file)])
    assert ended.value.code == (
        f'{file}:2: [gateway] state = "redis:h": must be redis://HOST:6379/0, rediss://HOST:6379/0 (TLS), '
        'redis+sentinel://HOST:26379,HOST:26379,HOST:26379/NAME/0 or redis+unix:///PATH')


def test_a_file_and_the_demo_exclude_each_other():
    with pytest.raises(SystemExit, match="--demo takes no configuration"):
        Options().parseOptions(["--demo", "--config", "g.toml"])


@pytest.mark.parametrize("options", [Options, ScannerOptions])
def test_the_version_is_that_of_the_project(options, capsys):
    with pytest.raises(SystemExit) as ended:
        options().parseOptions(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{version_line()}\n"


@pytest.mark.parametrize(("options", "arguments"), [(Options, ["--demo"]), (ScannerOptions, [])])
@pytest.mark.parametrize(("twistd", "pidfile"), [
    ({"nodaemon": True, "pidfile": "twistd.pid"}, ""), ({"nodaemon": True, "pidfile": "own.pid"}, "own.pid"),
    ({"nodaemon": False, "pidfile": "twistd.pid"}, "twistd.pid")])
def test_a_trial_in_the_foreground_writes_no_pid_file_that_nobody_asked_for(options, arguments, twistd, pidfile):
    given = options()
    given.parent = dict(twistd)
    given.parseOptions(arguments)
    assert given.parent["pidfile"] == pidfile


def test_a_gateway_in_the_foreground_keeps_its_pid_file(tmp_path):
    file = tmp_path / "g.toml"
    file.write_text('[[listen]]\nendpoint = "tcp:5358"\n')
    options = Options()
    options.parent = {"nodaemon": True, "pidfile": "twistd.pid"}
    options.parseOptions(["--config", str(file)])
    assert options.parent["pidfile"] == "twistd.pid"
