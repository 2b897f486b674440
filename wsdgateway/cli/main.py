"""The console script: `wsdgateway SUBCOMMAND`, with one module for each subcommand.

Each module adds its own parser in `add_command`, which sets the module's `run` as the default. A mistake in the
arguments ends the script with status 2 and one line.
"""

import argparse
import sys
from importlib.metadata import version
from typing import NoReturn

from wsdgateway.cli import capture, check, discover, replay, status, tail
from wsdgateway.cli.errors import CommandError
from wsdgateway.cli.scan import command as scan
from wsdgateway.cli.scan.outcomes import INTERRUPTED

COMMANDS = (scan, check, status, tail, discover, replay, capture)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the console script's arguments."""
    parser = _Parser(prog="wsdgateway", description="Tools for the gateway for WSD scanners. To run the gateway "
                                                    "itself: twistd -n wsdgateway")
    parser.add_argument("--version", action="version", version=f"wsdgateway {version('wsdgateway')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="SUBCOMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    return parser


def main(arguments: list[str]) -> int:
    """Run a subcommand. Returns the exit status."""
    options = make_parser().parse_args(arguments)
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
    sys.exit(main(sys.argv[1:]))
