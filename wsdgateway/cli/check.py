"""The subcommand `wsdgateway check`: reads a configuration, and reports its present and foreseeable problems."""

import argparse
import os
import sys
from typing import Any

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.hostremarks import host_remarks
from wsdgateway.cli.redischeck import RedisCheck, check_redis
from wsdgateway.cli.serviceunit import ServiceUnit, writable
from wsdgateway.cli.written import destination_folders, sandbox_remarks, written_folders
from wsdgateway.config.reading import CANDIDATES, ConfigError, find_config, places_in, read_config
from wsdgateway.config.redisurl import is_redis
from wsdgateway.config.remarks import Remark, remarks
from wsdgateway.config.sections import Config
from wsdgateway.storage.inspecting import problem_with
from wsdgateway.storage.store import NotOurs, StoreError

STATE = ("gateway", "state")


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
        unit = _unit_of(file)
        config = read_config(file, os.environ if unit is None else {**unit.environment(), **os.environ})
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG
    place = places_in(file)
    written = list(written_folders(config))
    coming = {one.place for one in written if unit is not None and unit.will_make(one.folder)}
    redis = check_redis(config) if is_redis(config.gateway.state) else RedisCheck()
    store = redis.problem if STATE in coming else redis.problem or _store_problem(config)
    if isinstance(store, NotOurs):
        print(f"{place(STATE)}: [gateway] state: {store}", file=sys.stderr)
        return WRONG
    unusable = [Remark(STATE, f"[gateway] state: {line}") for line in (*([] if store is None else [store]),
                                                                      *redis.warnings)]
    host = [remark for remark in host_remarks(config) if remark.path not in coming]
    shut = () if unit is None else sandbox_remarks(unit, written)
    every = (*remarks(config), *unusable, *host, *shut)
    found = sorted(((place(remark.path), remark) for remark in every), key=lambda one: _line(one[0]))
    for where, remark in found:
        print(f"warning: {where}: {remark}")
    if redis.said is not None:
        print(f"note: {redis.said}")
    folders = [] if unit is not None else sorted({one.folder for one in destination_folders(config)})
    if folders:
        print("note: as a service, the gateway may write to the folders of destinations only if systemctl edit "
              "wsdgateway adds:\n\n    [Service]\n" + "".join(f"    {writable(folder)}\n" for folder in folders))
    print(f"{file}: {len(config.scanner)} scanner(s), {len(config.listen)} listener(s), no mistakes"
          + (f", {len(found)} warning(s)" if found else ""))
    return 0


def _unit_of(file: str) -> ServiceUnit | None:
    """The systemd unit on this host whose gateway uses the configuration; None if there is none."""
    unit = ServiceUnit.installed()
    return unit if unit is not None and unit.runs(file) else None


def _line(place: str) -> int:
    """The line number at the end of a place; places without one come last, as for mistakes."""
    number = place.rpartition(":")[2]
    return int(number) if number.isdecimal() else sys.maxsize


def _store_problem(config: Config) -> StoreError | None:
    """The reason why a gateway could not use the store: `NotOurs` if it would not start; None if it could use it."""
    kind, _, where = config.gateway.state.partition(":")
    return problem_with(config.folder / where) if kind == "sqlite" else None
