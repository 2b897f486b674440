"""The console script: `wsdgateway SUBCOMMAND`, with one module for each subcommand.

Each module adds its own parser in `add_command`, which sets the module's `run` as the default. A mistake in the
arguments ends the script with status 2 and one line.
"""

import argparse
import os
import signal
import sys
from typing import NoReturn

from wsdgateway.cli import capture, check, cluster, discover, reload, replay, status, store, tail
from wsdgateway.cli import run as gateway
from wsdgateway.cli.errors import CommandError
from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan import command as scan
from wsdgateway.cli.scan.outcomes import INTERRUPTED
from wsdgateway.program import escape_what_is_not_encoded, version_line

COMMANDS = (gateway, scan, check, reload, status, tail, discover, replay, capture, store, cluster)
BROKEN_PIPE = 128 + signal.SIGPIPE  # as a shell reports a program that SIGPIPE has ended


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line; about a missing argument it says where the arguments are described."""

    def error(self, message: str) -> NoReturn:
        hint = f"; {self.prog} --help describes them" if "are required: " in message else ""
        self.exit(2, f"{self.prog}: {message}{hint}\n")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the console script's arguments."""
    parser = _Parser(prog="wsdgateway", description="Runs the gateway for WSD scanners, scans from the command line, "
                                                    "and shows what a running gateway does.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="SUBCOMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    _add_version(parser)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version` to a parser and to those of its subcommands."""
    parser.add_argument("--version", action="version", version=version_line(), help="print the version")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _add_version(command)


def main(arguments: list[str]) -> int:
    """Run a subcommand. Returns the exit status."""
    parser = make_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        this = " ".join((parser.prog, options.command, *([options.action] if "action" in options else [])))
        parser.exit(2, f"{this}: {printable(' '.join(unknown))}: must be left out; "
                       f"{this} --help describes the arguments\n")
    try:
        ended: int = options.run(options)
    except CommandError as error:
        print(f"wsdgateway {options.command}: {error.line()}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    return ended


def run() -> None:
    """Run the console script."""
    escape_what_is_not_encoded(sys.stdout)
    try:
        status = main(sys.argv[1:])
        if sys.stdout is not None:  # it is None if the shell has closed it
            sys.stdout.flush()
    except BrokenPipeError:  # such as that of `| head`; there is nobody left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout when it ends
        status = BROKEN_PIPE
    sys.exit(status)
