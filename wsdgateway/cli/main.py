"""`wsdgateway SUBCOMMAND`: what the console script offers. A mistake ends it with status 2 and one line."""

import argparse
import sys
from importlib.metadata import version
from typing import NoReturn

from wsdgateway.cli.scan import ScanError, scan
from wsdgateway.config import ConfigError, read_config

SOURCES = {"platen": "Platen", "adf": "ADF"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _dots(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100000:
        raise ValueError
    return value


_dots.__name__ = "number of dots an inch"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="wsdgateway", description="Tools around the gateway for WSD scanners. "
                                                    "The gateway itself is run by: twistd -n wsdgateway")
    parser.add_argument("--version", action="version", version=f"wsdgateway {version('wsdgateway')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="SUBCOMMAND", parser_class=_Parser)
    page = commands.add_parser("scan", help="scan a page into a file")
    page.add_argument("url", metavar="URL", help="a scan service, like http://127.0.0.1:5357/front-desk/scan")
    page.add_argument("-o", "--output", metavar="FILE", required=True, help="where the JPEG goes")
    page.add_argument("--resolution", type=_dots, metavar="DPI", help="dots an inch; default: the scanner's own")
    page.add_argument("--source", choices=sorted(SOURCES), default="platen", help="default: platen")
    check = commands.add_parser("check", help="read a configuration and say what is wrong with it")
    check.add_argument("file", metavar="FILE")
    return parser


def main(arguments: list[str]) -> int:
    """The exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "check":
        try:
            config = read_config(options.file)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        for line in config.not_built():
            print(line)
        print(f"{options.file}: {len(config.scanner)} scanner(s), {len(config.listen)} listener(s), no mistakes")
        return 0
    try:
        scan(options.url, options.output, resolution=options.resolution, source=SOURCES[options.source],
             say=lambda line: print(line, flush=True))
    except ScanError as error:
        print(f"wsdgateway scan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def run() -> None:
    """The entry point of the console script."""
    sys.exit(main(sys.argv[1:]))
