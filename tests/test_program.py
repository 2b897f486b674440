"""Tests of program: the words that start the console script."""

import shlex
import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from wsdgateway.__main__ import run
from wsdgateway.program import command, escape_what_is_not_encoded


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A folder with a console script that the shell does not find."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    folder = tmp_path / "a venv"
    folder.mkdir()
    (folder / "wsdgateway").write_text("#!/bin/sh\n")
    (folder / "wsdgateway").chmod(0o755)
    return folder


def test_a_script_that_the_shell_finds_has_its_name(script, monkeypatch):
    monkeypatch.setenv("PATH", str(script))
    assert command() == "wsdgateway"


@pytest.mark.parametrize("program", ["twistd", "wsdgateway"])
def test_a_script_beside_the_program_has_its_path(script, monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [str(script / program)])
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert shlex.split(command()) == [str(script / "wsdgateway")]


def test_a_script_beside_python_has_its_path(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/nowhere/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(script / "python"))
    assert shlex.split(command()) == [str(script / "wsdgateway")]


def test_without_a_script_python_runs_the_package(monkeypatch, script):
    monkeypatch.setattr(sys, "argv", ["/nowhere/__main__.py"])
    monkeypatch.setattr(sys, "executable", "/no where/python")
    assert shlex.split(command()) == ["/no where/python", "-m", "wsdgateway"]


class Interrupted:
    """A finder during whose search the user presses Ctrl-C."""

    def find_spec(self, name, path, target=None):
        raise KeyboardInterrupt


def test_an_interruption_of_the_imports_has_no_traceback(monkeypatch):
    monkeypatch.delitem(sys.modules, "wsdgateway.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted()])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130


@pytest.mark.parametrize(("errors", "written"), [("strict", rb"f\xfcr"), ("replace", b"f?r")])
def test_characters_that_a_stream_does_not_encode_are_escaped(errors, written):
    stream = TextIOWrapper(BytesIO(), "ascii", errors)
    escape_what_is_not_encoded(stream)
    stream.write("für")
    stream.flush()
    assert stream.buffer.getvalue() == written


def test_other_streams_stay_as_they_are():
    escape_what_is_not_encoded(None)
    escape_what_is_not_encoded(StringIO())
