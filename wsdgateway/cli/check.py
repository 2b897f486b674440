"""The subcommand `wsdgateway check`: reads a configuration, and reports its present and foreseeable problems."""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from wsdgateway.cli.errors import WRONG
from wsdgateway.config.endpoints import Listening, identity_files
from wsdgateway.config.reading import ConfigError, read_config
from wsdgateway.config.sections import Config
from wsdgateway.storage.inspecting import problem_with
from wsdgateway.storage.store import NotOurs, StoreError
from wsdgateway.tls.identity import read_identity


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("check", help="check a configuration file and report mistakes")
    parser.add_argument("file", metavar="FILE", help="configuration file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the mistakes, or the warnings and a summary. Returns the exit status."""
    try:
        config = read_config(options.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG
    store = _store_problem(config)
    if isinstance(store, NotOurs):
        print(f"{options.file}: [gateway] state: {store}", file=sys.stderr)
        return WRONG
    unusable = [] if store is None else [f"[gateway] state: {store}"]
    for line in (*config.remarks(), *_expiring(config), *unusable, *_unwritable(config)):
        print(f"warning: {line}")
    print(f"{options.file}: {len(config.scanner)} scanner(s), {len(config.listen)} listener(s), no mistakes")
    return 0


def _expiring(config: Config) -> Iterator[str]:
    """A line for each certificate that has expired, or will soon."""
    sections: list[Listening] = [*config.listen, config.admin]
    for section in sections:
        files = identity_files(section, config.folder)
        remark = None if files is None else read_identity(files).remark(datetime.now(UTC))
        if files is not None and remark is not None:
            yield f"{section.endpoint}: the certificate in {files.certificate} {remark}"


def _store_problem(config: Config) -> StoreError | None:
    """The reason why a gateway could not use the store: `NotOurs` if it would not start; None if it could use it."""
    kind, _, where = config.gateway.state.partition(":")
    return problem_with(config.folder / where) if kind == "sqlite" else None


def _unwritable(config: Config) -> Iterator[str]:
    """A line for each path of the exchange log that the current user could not write to."""
    for key, name in (("path", config.exchange_log.path), ("capture", config.exchange_log.capture)):
        if name is not None:
            wanted = config.folder / name
            there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
            if not os.access(there, os.W_OK) or (there != wanted and not there.is_dir()):
                yield f"[exchange_log] {key} = {name}: {there} is not writable for the user who runs this check"
            elif there not in (wanted, wanted.parent):
                yield f"[exchange_log] {key} = {name}: the folder {wanted.parent} does not exist; it will be created"
