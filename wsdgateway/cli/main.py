"""`wsdgateway SUBCOMMAND`: what the console script offers. A mistake ends it with status 2 and one line."""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NoReturn

from rich.console import Console

from wsdgateway.cli.adminclient import DEFAULT, TOKEN_VARIABLE, AdminError
from wsdgateway.cli.arguments import between, server_endpoint
from wsdgateway.cli.capture import ExportError, export
from wsdgateway.cli.discover import DiscoverError, discover
from wsdgateway.cli.printing import printable
from wsdgateway.cli.replay import ReplayError, replay
from wsdgateway.cli.scan.command import add_scan, run_scan
from wsdgateway.cli.scan.outcomes import INTERRUPTED, ScanError
from wsdgateway.cli.status import status
from wsdgateway.cli.tail import Wanted, tail
from wsdgateway.config.endpoints import Listening, identity_files
from wsdgateway.config.reading import ConfigError, read_config
from wsdgateway.config.sections import Config
from wsdgateway.discovery.versions import NAMES as DISCOVERY
from wsdgateway.exchangelog.log import KEPT
from wsdgateway.replay.service import LOOPBACK
from wsdgateway.scan.operations import NAMES
from wsdgateway.storage.inspecting import problem_with
from wsdgateway.tls.identity import read_identity

WIDE = 200
OPERATIONS = (*NAMES, "SubscriptionEnd", *DISCOVERY, "other")
ADMIN_HELP = f"its admin site; default: {DEFAULT}. Its token, if it has one, is taken from {TOKEN_VARIABLE}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="wsdgateway", description="Tools around the gateway for WSD scanners. "
                                                    "The gateway itself is run by: twistd -n wsdgateway")
    parser.add_argument("--version", action="version", version=f"wsdgateway {version('wsdgateway')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="SUBCOMMAND", parser_class=_Parser)
    add_scan(commands)
    check = commands.add_parser("check", help="read a configuration and say what is wrong with it")
    check.add_argument("file", metavar="FILE")
    tables = commands.add_parser("status", help="scanners, jobs and subscriptions of a running gateway")
    tables.add_argument("url", metavar="URL", nargs="?", default=DEFAULT, help=ADMIN_HELP)
    tables.add_argument("--watch", action="store_true", help="show them again every two seconds, until Ctrl-C")
    tailing = commands.add_parser("tail", help="exchanges of a running gateway as they end, until Ctrl-C")
    tailing.add_argument("url", metavar="URL", nargs="?", default=DEFAULT, help=ADMIN_HELP)
    tailing.add_argument("--scanner", metavar="NAME", help="only those with this scanner")
    tailing.add_argument("--operation", metavar="OPERATION", type=_operation,
                         help="only these, like CreateScanJob or JobStatusEvent")
    tailing.add_argument("--failed", action="store_true", help="only what ended in a fault, an error, or not at all")
    tailing.add_argument("--json", action="store_true", help="as the exchange log has them, a JSON object a line")
    tailing.add_argument("--last", type=between(int, 0, KEPT, "number"), default=10, metavar="N",
                         help=f"begin with the last N exchanges; default: 10, at most {KEPT}")
    discovery_service = commands.add_parser("discover", help="list the scanners that can be found")
    discovery_service.add_argument("--interface", metavar="NAME", action="append",
                         help="search there; again for more. Default: everywhere but on loopback")
    discovery_service.add_argument("--address", metavar="ADDRESS", action="append", default=[],
                         help="ask a host, or a URL, by directed Probe: for scanners that ignore multicast")
    discovery_service.add_argument("--seconds", type=between(float, 0.1, 600, "number of seconds"), default=5.0,
                         help="how long; default: 5")
    discovery_service.add_argument("--pin", action="store_true",
                         help="ask scanners with TLS whatever key they have, and print its pin for the configuration: "
                              "compare it with what the scanner's panel or its own page says")
    discovery_service.add_argument("--toml", action="store_true", help="print the sections for the configuration")
    player = commands.add_parser("replay", help="serve a captured scanner as a virtual device")
    player.add_argument("folder", metavar="DIR", help="what [exchange_log] capture wrote")
    player.add_argument("--scanner", metavar="NAME", help="which one, if there are captures of several")
    player.add_argument("--speed", type=between(float, 0.01, 10000, "factor"), default=1.0, metavar="FACTOR",
                        help="times faster than it was recorded; default: 1")
    player.add_argument("--endpoint", type=server_endpoint, default=LOOPBACK, metavar="ENDPOINT",
                        help=f"where it listens; default: {LOOPBACK}")
    capture = commands.add_parser("capture", help="what can be done with captures")
    deeds = capture.add_subparsers(dest="deed", required=True, metavar="DEED", parser_class=_Parser)
    exporting = deeds.add_parser("export", help="write captures in a form that other tools open")
    exporting.add_argument("folder", metavar="DIR", help="what [exchange_log] capture wrote")
    exporting.add_argument("--har", metavar="FILE", nargs="?", const="-", required=True,
                           help="as HTTP Archive 1.2 into a file, or to the standard output")
    return parser


def _check(options: argparse.Namespace) -> None:
    config = read_config(options.file)
    for line in (*config.remarks(), *_expiring(config), *_unusable_store(config), *_unwritable(config)):
        print(line)
    print(f"{options.file}: {len(config.scanner)} scanner(s), {len(config.listen)} listener(s), no mistakes")


def _expiring(config: Config) -> Iterator[str]:
    """Certificates that have expired, or will soon."""
    sections: list[Listening] = [*config.listen, config.admin]
    for section in sections:
        files = identity_files(section, config.folder)
        remark = None if files is None else read_identity(files).remark(datetime.now(UTC))
        if files is not None and remark is not None:
            yield f"{section.endpoint}: the certificate in {files.certificate} {remark}"


def _unusable_store(config: Config) -> Iterator[str]:
    """The store, if a gateway could not use it."""
    kind, _, where = config.gateway.state.partition(":")
    problem = problem_with(config.folder / where) if kind == "sqlite" else None
    if problem is not None:
        yield f"[gateway] state = {config.gateway.state}: {problem}"


def _unwritable(config: Config) -> Iterator[str]:
    """Where the exchange log could not be written, as far as whoever checks can tell."""
    for key, name in (("path", config.exchange_log.path), ("capture", config.exchange_log.capture)):
        if name is not None:
            wanted = config.folder / name
            there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
            if not os.access(there, os.W_OK) or (there != wanted and not there.is_dir()):
                yield f"[exchange_log] {key} = {name}: {there} can't be written to by whoever runs this check"
            elif there not in (wanted, wanted.parent):
                yield f"[exchange_log] {key} = {name}: the folder {wanted.parent} does not exist, and will be made"


def _operation(text: str) -> str:
    known = {name.lower(): name for name in OPERATIONS}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: must be one of {', '.join(OPERATIONS)}")
    return known[text.lower()]


def _status(options: argparse.Namespace) -> None:
    # What is not a terminal has no width, and is to be searched line by line.
    status(options.url, watch=options.watch, console=Console(width=None if sys.stdout.isatty() else WIDE))


def _tail(options: argparse.Namespace) -> None:
    said = Console(stderr=True)
    try:
        tail(options.url, Wanted(options.scanner, options.operation, options.failed), as_json=options.json,
             last=options.last, console=Console(width=None if sys.stdout.isatty() else WIDE),
             say=lambda line: said.print(printable(line), markup=False, highlight=False, soft_wrap=True))
    except KeyboardInterrupt:
        pass  # that is how it ends


def _discover(options: argparse.Namespace) -> None:
    discover(options.interface, options.address, seconds=options.seconds, toml=options.toml, pin=options.pin,
             console=Console(width=None if sys.stdout.isatty() else WIDE), progress=Console(stderr=True))


def _replay(options: argparse.Namespace) -> None:
    replay(options.folder, scanner=options.scanner, endpoint=options.endpoint, speed=options.speed,
           say=lambda line: print(printable(line), flush=True))


def _capture(options: argparse.Namespace) -> None:
    export(options.folder, options.har)


_COMMANDS = {"capture": _capture, "check": _check, "discover": _discover, "replay": _replay, "scan": run_scan,
             "status": _status, "tail": _tail}


def main(arguments: list[str]) -> int:
    """The exit status."""
    options = _parser().parse_args(arguments)
    try:
        _COMMANDS[options.command](options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except ScanError as error:
        print(f"wsdgateway scan: {printable(str(error))}", file=sys.stderr)
        return error.status
    except (AdminError, DiscoverError, ReplayError, ExportError) as error:
        print(f"wsdgateway {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def run() -> None:
    """The entry point of the console script."""
    sys.exit(main(sys.argv[1:]))
