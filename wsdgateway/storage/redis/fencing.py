"""Writes of a scanner's owner: all of a list of commands at once, or none if the ownership has ended."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from wsdgateway.storage.coordination import Fenced, NotNow, Unowned
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.client import RedisConnection
from wsdgateway.storage.redis.luascript import LuaScript

MAX_ARGUMENTS = 4000  # of one command, since Lua's stack is bounded; of a longer HSET or RPUSH several are made

Command = Sequence[str | bytes | int | float]

_FENCED = LuaScript("fenced")


def fenced(redis: Any, scanner: str, token: int, identifier: str, commands: Sequence[Command]) -> list[Any]:
    """Does the same as `run_fenced` on a connection that waits for the answer. Raises errors of redis-py as well."""
    arguments: list[Any] = []
    for command in commands:
        if not 1 < len(command) <= MAX_ARGUMENTS:
            raise ValueError(f"a command of {len(command)} words: must be at most {MAX_ARGUMENTS}")
        arguments += (len(command), *command)
    outcome, *answers = _FENCED.run(redis, [keys.ERA, keys.owner(scanner)], [token, identifier, *arguments])
    checked_outcome(scanner, token, outcome)
    return answers


def checked_outcome(scanner: str, token: int, outcome: bytes) -> None:
    """Raises `Fenced` or `NotNow` if a script refused a write by its outcome, a word."""
    if outcome == b"fenced":
        raise Fenced(f"{scanner}: this gateway no longer owns the scanner by token {token}")
    if outcome == b"free":
        raise Unowned(f"{scanner}: this gateway no longer owns the scanner by token {token}, and no other one does")
    if outcome == b"era":
        raise NotNow(f"{scanner}: Redis was restarted or replaced, and the lease has not been renewed since")


def run_fenced(connection: RedisConnection, scanner: str, token: int, identifier: str,
               commands: Sequence[Command]) -> Deferred[list[Any]]:
    """Runs the commands at once if this gateway owns the scanner by the token, and returns their answers.

    The answers are bytes, integers, lists and None, as the server sends them. Each command is its name, its key (see
    `keys`) and its arguments, at most `MAX_ARGUMENTS` words. Fails with `Fenced` if the ownership has ended: then
    nothing was written. Fails with `NotNow` if the server cannot serve, or in the grace of a new era, in which the
    owner has yet to get its lease back.
    """
    return connection.run(lambda redis: fenced(redis, scanner, token, identifier, commands))
