"""The program itself: its version, the words that start it in a terminal, its pid file and its exit status."""

import atexit
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, MutableMapping
from importlib.metadata import metadata, version
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

NAME = "wsdgateway"
VERSION = version(NAME)
CONTROL = "control.sock"
_PID_FILE = "twistd.pid"  # twistd's default, in the working directory


def version_line() -> str:
    """The answer to `--version`."""
    return f"{NAME} {VERSION}"


def manual() -> str | None:
    """The URL of the manual, if the package has one among its project URLs."""
    urls = (one.partition(", ") for one in metadata(NAME).get_all("Project-URL") or ())
    return next((url for name, _, url in urls if name == "Documentation"), None)


def command() -> str:
    """The console script as it can be typed in this terminal, for lines that are to be copied.

    This is its name if the shell finds it, else its path beside the running program or Python.
    """
    if shutil.which(NAME) is not None:
        return NAME
    for program in (sys.argv[0], sys.executable):
        beside = Path(program).with_name(NAME)
        if beside.is_file():
            return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable)} -m {NAME}"


def folder_of(variable: str, environment: Mapping[str, str]) -> Path | None:
    """The first folder in a variable that systemd sets, such as STATE_DIRECTORY; None without one.

    systemd.exec(5).
    """
    first = environment.get(variable, "").partition(":")[0]
    return Path(first) if first else None


def control_socket(environment: Mapping[str, str]) -> Path | None:
    """The local socket of the gateway that systemd runs in this environment; None without `$RUNTIME_DIRECTORY`."""
    folder = folder_of("RUNTIME_DIRECTORY", environment)
    return None if folder is None else folder / CONTROL


def no_pid_file(twistd: MutableMapping[str, Any] | None) -> None:
    """Have twistd write no pid file, given its options, if it stays in the foreground and its user named no file.

    A program for trials can then be started again beside itself or after a crash, when twistd would refuse to start.
    """
    if twistd and twistd.get("nodaemon") and twistd.get("pidfile") == _PID_FILE:
        twistd["pidfile"] = ""


def exit_with_failure() -> None:
    """Have this process exit with status 1 when it ends. twistd exits with 0 whenever a service stops the reactor."""
    atexit.register(_fail)


def _fail() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1)


def escape_what_is_not_encoded(stream: TextIO | None) -> None:
    """Have characters that the encoding of a standard stream lacks written as escapes, instead of raising an error.

    Names of scanners and files may contain them.
    """
    if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
