"""Tests of cli.main: wrong arguments of the command."""

import os
import subprocess
import sys

import pytest

from wsdgateway.cli.main import main
from wsdgateway.program import version_line


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["scan"], ["scan", "u", "-o", "x", "--resolution", "a"]])
def test_bad_arguments_end_with_status_2_and_a_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("arguments", "line"), [
    ([], "wsdgateway: the following arguments are required: SUBCOMMAND; wsdgateway --help describes them"),
    (["capture"], "wsdgateway capture: the following arguments are required: ACTION; "
     "wsdgateway capture --help describes them"),
    (["check", "a", "b", "--c"], "wsdgateway check: b --c: must be left out; "
     "wsdgateway check --help describes the arguments"),
    (["store", "copy", "a", "b", "--c"], "wsdgateway store copy: --c: must be left out; "
     "wsdgateway store copy --help describes the arguments")])
def test_missing_and_unknown_arguments_refer_to_the_help(arguments, line, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code, capsys.readouterr().err) == (2, f"{line}\n")


@pytest.mark.parametrize("command", [[], ["run"], ["scan"], ["check"], ["status"], ["tail"], ["discover"], ["replay"],
                                     ["capture"], ["capture", "export"]])
def test_every_subcommand_prints_the_version(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{version_line()}\n"


@pytest.mark.parametrize(("name", "shown"), [("für.toml", rb"f\xfcr.toml"), ("\udcff.toml", rb"\udcff.toml")])
def test_characters_that_the_encoding_of_stdout_lacks_are_escaped(tmp_path, name, shown):
    (tmp_path / name).write_text("[[listen]]\nendpoint = 'tcp:5357:interface=127.0.0.1'\n")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-m", "wsdgateway", "check", name], cwd=tmp_path, env=environment,
                         capture_output=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.splitlines()[-1].startswith(shown + b": 0 scanner(s)")
