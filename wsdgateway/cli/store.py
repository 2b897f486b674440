"""The subcommand `wsdgateway store copy`: copies a store into another one, such as a SQLite file into Redis."""

import argparse
import time
from pathlib import Path
from typing import Any

from wsdgateway.cli.errors import CommandError
from wsdgateway.config.checks import without_password
from wsdgateway.config.redisurl import is_redis, read_redis_url
from wsdgateway.config.wrong import Wrong
from wsdgateway.storage.copying import Place, SqliteFile, copy
from wsdgateway.storage.opening import require_redis
from wsdgateway.storage.store import StoreError


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("store", help="copy the store of a gateway")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    copying = actions.add_parser("copy", help="copy a store into an empty one, while no gateway uses either")
    copying.add_argument("source", metavar="FROM", help="store, as in [gateway] state: sqlite:FILE or redis://HOST/DB")
    copying.add_argument("target", metavar="TO", help="store that is empty or does not exist yet")
    copying.add_argument("--password-file", metavar="FILE", help="file with the password of the Redis server, for each "
                         "URL without a password")
    copying.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Copy, and print what was copied. Raises `CommandError`."""
    try:
        source = _place(options.source, "FROM", options.password_file)
        target = _place(options.target, "TO", options.password_file)
        if source == target:
            raise CommandError(f"FROM and TO are the same store: {source.name}")
        everything = copy(source, target)
    except StoreError as error:
        raise CommandError(str(error)) from None
    print(f"Copied from {source.name} to {target.name}:")
    for count, what in everything.counts:
        print(f"{count:7} {what}")
    return 0


def _place(state: str, argument: str, password_file: str | None) -> Place:
    """The store that an argument names."""
    kind, _, where = state.partition(":")
    if is_redis(state):
        try:
            password = read_redis_url(state).password
        except Wrong as mistake:
            raise CommandError(f"{argument}: {without_password(state)}: must be {mistake}") from None
        require_redis(state)
        from wsdgateway.storage.redis.address import parse, read_password
        from wsdgateway.storage.redis.copying import RedisPlace

        if password is None and password_file is not None:
            password = read_password(Path(password_file), "--password-file")
        return RedisPlace(parse(state, password), time.time)
    if kind == "sqlite" and where:
        return SqliteFile(Path(where).resolve())
    raise CommandError(f"{argument}: {without_password(state)}: must be sqlite:FILE or redis://HOST:PORT/DB" + (
        ", because memory: ends with its gateway" if kind == "memory" else ""))
