"""The subcommand `wsdgateway check`: reads a configuration, and reports its present and foreseeable problems."""

import argparse
import re
import sys
from typing import Any

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.hostremarks import host_remarks, paths_to_permit
from wsdgateway.config.reading import CANDIDATES, ConfigError, find_config, places_in, read_config
from wsdgateway.config.remarks import Remark, remarks
from wsdgateway.config.sections import Config
from wsdgateway.storage.inspecting import problem_with
from wsdgateway.storage.store import NotOurs, StoreError

STATE = ("gateway", "state")
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("check", help="check a configuration file and report mistakes")
    parser.add_argument("file", metavar="FILE", nargs="?",
                        help=f"configuration file; default: ./{CANDIDATES[0]}, then {CANDIDATES[1]}")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the mistakes, or the warnings and a summary. Returns the exit status."""
    try:
        file = options.file or find_config("give a FILE, or try the gateway without one: wsdgateway run --demo")
        config = read_config(file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG
    place = places_in(file)
    store = _store_problem(config)
    if isinstance(store, NotOurs):
        print(f"{place(STATE)}: [gateway] state: {store}", file=sys.stderr)
        return WRONG
    unusable = [] if store is None else [Remark(STATE, f"[gateway] state: {store}")]
    found = sorted(((place(remark.path), remark) for remark in (*remarks(config), *unusable, *host_remarks(config))),
                   key=lambda one: _line(one[0]))
    for where, remark in found:
        print(f"warning: {where}: {remark}")
    paths = paths_to_permit(config)
    if paths:
        print("note: as a service, the gateway may write to the folders of destinations only if systemctl edit "
              "wsdgateway adds:\n\n    [Service]\n"
              + "".join(f"    ReadWritePaths={_quoted(path)}\n" for path in paths))
    print(f"{file}: {len(config.scanner)} scanner(s), {len(config.listen)} listener(s), no mistakes"
          + (f", {len(found)} warning(s)" if found else ""))
    return 0


def _quoted(path: str) -> str:
    """A path as a unit of systemd takes it: in quotation marks if it has blanks, and each percent sign twice."""
    if _PLAIN.fullmatch(path):
        return path
    escaped = path.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _line(place: str) -> int:
    """The line number at the end of a place; places without one come last, as for mistakes."""
    number = place.rpartition(":")[2]
    return int(number) if number.isdecimal() else sys.maxsize


def _store_problem(config: Config) -> StoreError | None:
    """The reason why a gateway could not use the store: `NotOurs` if it would not start; None if it could use it."""
    kind, _, where = config.gateway.state.partition(":")
    return problem_with(config.folder / where) if kind == "sqlite" else None
