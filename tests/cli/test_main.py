"""Tests of cli.main: wrong arguments of the command."""

import pytest

from wsdgateway.cli.main import main
from wsdgateway.program import version_line


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["scan"], ["scan", "u", "-o", "x", "--resolution", "a"]])
def test_bad_arguments_end_with_status_2_and_a_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", [[], ["run"], ["scan"], ["check"], ["status"], ["tail"], ["discover"], ["replay"],
                                     ["capture"], ["capture", "export"]])
def test_every_subcommand_prints_the_version(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{version_line()}\n"
