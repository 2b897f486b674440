"""Connects to the Redis server, or to the master that a Sentinel names, and turns its errors into `NotNow`.

redis-py does not connect again by itself here: after a failover the same address may belong to a former master, which
may take writes that will be lost, so that every connection begins with the question to the Sentinels
(redis-py issue 3560).
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs
import redis

from wsdgateway.storage.coordination import NotAdmitted, NotNow, Unsupported
from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.probing import REASONS, Probing
from wsdgateway.storage.redis.tracked import make_pool

ERRORS = (redis.RedisError, OSError)  # what a server, or the way to it, can cause
MAX_MESSAGE = 300  # characters of an error's text
SENTINEL_PART = 0.3  # of the deadline for one Sentinel, so that another one can be asked in time

# Codes of error replies after which another server may be the master, or the connection is of no use.
_REFUSED = r"Error -?\d+ connecting to (\S+)\. ([^;]*?)\."  # of redis-py
_SCRIPT = re.compile(r"\.? script: [0-9a-f]+, on @user_script:\s?\d+\.?")  # at the end of errors in a script
_PIPELINE = re.compile(r"\ACommand # \d+ \(.*?\) of pipeline caused error: ", re.DOTALL)  # of redis-py
_ARGUMENTS = re.compile(r", with args beginning with:.*", re.DOTALL)  # of an unknown command: AUTH has the password
_NO_REDIS = "Protocol Error: "  # of redis-py, about an answer that no Redis server gives
# In a script it has no code in Redis 6.2 and 7.0, nor from 7.2 on; redis-py leaves the code in that of a transaction.
_NO_RIGHT = r"The user executing the script can't|ACL failure in script|\bNOPERM\b"
_UNKNOWN_NAME = "knows no master of that name"
_NOT_ADMITTED = (_UNKNOWN_NAME, "CERTIFICATE_VERIFY_FAILED", "max number of clients reached", *REASONS)
NO_CLUSTER = "Redis Cluster is not supported: must be a single server, or several with Sentinel"
_OTHER_SERVER = re.compile(r"\b(?:NOREPLICAS|UNBLOCKED)\b")
_OTHER_SERVERS = (redis.exceptions.ReadOnlyError, redis.exceptions.MasterDownError)  # redis-py removes these codes


T = TypeVar("T")


@attrs.frozen
class WatchedMaster:
    """The master as a Sentinel sees it: host and port, and the number of the failover that made it the master.

    `down_after` is the time without answers after which the Sentinel counts it as down, in seconds.
    """

    place: tuple[str, int]
    epoch: int
    down_after: float


def _place_of_master(sentinel: Any, name: str) -> tuple[str, int] | None:
    found = sentinel.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", name)
    return None if found is None else (
        found[0].decode() if isinstance(found[0], bytes) else found[0], int(found[1]))


def _watched_master(sentinel: Any, name: str) -> WatchedMaster | None:
    place = _place_of_master(sentinel, name)
    if place is None:
        return None
    state = sentinel.execute_command("SENTINEL MASTER", name)
    return WatchedMaster(place, int(state["config-epoch"]), int(state["down-after-milliseconds"]) / 1000)


def _unnamed(problems: list[str]) -> redis.ConnectionError:
    return redis.ConnectionError("no Sentinel names the master: " + "; ".join(problems))


class Server:
    """One connection to the server, made at the first `redis`. Only one thread may use it, except `break_off`.

    `deadline` is the longest silence of the server, in seconds. `place` is the host and port of the last connection.
    """

    place: tuple[str, int] | None = None

    def __init__(self, address: ServerAddress, deadline: float) -> None:
        self._address = address
        self._deadline = deadline
        self._sentinels = list(address.hosts) if address.master_name else []
        self._open: list[Any] = []  # connections, those to Sentinels among them
        self._probing = Probing(address, self._open)
        self._redis: Any = None

    def redis(self) -> Any:
        """Returns a `redis.Redis` with a connection that was open a moment ago; connects if there is none.

        Raises errors of redis-py and `OSError`.
        """
        if self._redis is not None and self._is_stale():
            self.disconnect()
        if self._redis is None:
            try:
                self._redis = self._connected()
            except BaseException:
                self.disconnect()
                raise
        return self._redis

    def master(self) -> tuple[str, int]:
        """Asks the Sentinels for host and port of the master. Raises errors of redis-py and `OSError`."""
        return self._ask_in_turn(_place_of_master)

    def watched_master(self) -> WatchedMaster:
        """Asks the Sentinels how they watch the master. Raises errors of redis-py and `OSError`.

        A connection to the server stays open.
        """
        return self._ask_in_turn(_watched_master)

    def every_watch(self) -> list[tuple[str, WatchedMaster]]:
        """Asks each Sentinel how it watches the master. Returns the answers with host and port of the Sentinel.

        Raises errors of redis-py and `OSError` if no Sentinel answers.
        """
        problems: list[str] = []
        found = [(f"{host}:{port}", watched)
                 for (host, port), watched in self._answers(_watched_master, problems)]
        if not found:
            raise _unnamed(problems)
        return found

    def _ask_in_turn(self, question: Callable[[Any, str], T | None]) -> T:
        """The first answer. The Sentinel that gives it is asked first next time."""
        problems: list[str] = []
        for place, found in self._answers(question, problems):
            self._sentinels.remove(place)
            self._sentinels.insert(0, place)
            return found
        raise _unnamed(problems)

    def _answers(self, question: Callable[[Any, str], T | None], problems: list[str],
                 ) -> Iterator[tuple[tuple[str, int], T]]:
        """Asks one Sentinel after the other. Those that cannot answer are added to `problems`."""
        for place in list(self._sentinels):
            try:
                found = self._ask(place, question)
            except ERRORS as error:
                problems.append(f"{place[0]}:{place[1]}: {_ARGUMENTS.sub('', str(error))}")
                continue
            if found is None:
                problems.append(f"{place[0]}:{place[1]}: {_UNKNOWN_NAME}")
                continue
            yield place, found

    def disconnect(self) -> None:
        """Ends the connection."""
        self._redis = None
        while self._open:
            self._open.pop().end()

    def break_off(self) -> None:
        """Ends the connection from another thread: a command that waits for an answer gets an error."""
        for connection in list(self._open):
            connection.break_off()

    def _is_stale(self) -> bool:
        try:
            return bool(self._open[-1].can_read(0))
        except ERRORS:
            return True

    def _connected(self) -> Any:
        host, port = self.place = self.master() if self._sentinels else (self._address.hosts or (("", 0),))[0]
        login = {"db": self._address.database, "username": self._address.username, "password": self._address.password}
        made = redis.Redis(connection_pool=make_pool(self._open, self._address, self.place, self._deadline, login))
        with self._probing.explaining(self.place, self._deadline):
            answer = made.execute_command("ROLE" if self._sentinels else "PING")
        if self._sentinels and answer[0] != b"master":
            raise redis.ConnectionError(f"{host}:{port}, which the Sentinel names, is no master yet")
        return made

    def _ask(self, place: tuple[str, int], question: Callable[[Any, str], T | None]) -> T | None:
        """The answer of one Sentinel. It gets the password only if it wants one: most have none of their own."""
        address, opened = self._address, len(self._open)
        for login in ({}, {"username": address.username, "password": address.password}):
            seconds = SENTINEL_PART * self._deadline
            asked = redis.Redis(connection_pool=make_pool(self._open, address, place, seconds, login))
            try:
                with self._probing.explaining(place, seconds):
                    return question(asked, address.master_name or "")
            except redis.AuthenticationError:
                if login or not address.password:
                    raise
            finally:
                while len(self._open) > opened:
                    self._open.pop().end()
        raise AssertionError("unreachable")


def ends_connection(error: BaseException) -> bool:
    """True if the connection must not be used after the error."""
    return (not isinstance(error, redis.ResponseError) or isinstance(error, _OTHER_SERVERS)
            or bool(_OTHER_SERVER.search(str(error))))


def no_answer(address: ServerAddress, deadline: float) -> NotNow:
    """The error for callers after the deadline, in seconds."""
    return NotNow(f"{address.text}: no answer within {deadline:g} s")


def _first_sentence(text: str) -> str:
    """The first sentence of a message of the server or of redis-py; some messages have a paragraph of advice."""
    line = next(iter(text.strip().splitlines()), "")
    return textwrap.shorten(re.split(r"(?<=[a-z])\. (?=[A-Z])", line)[0], MAX_MESSAGE, placeholder=" …")


def not_now(address: ServerAddress, error: BaseException, deadline: float) -> NotNow:
    """The error for callers: it names the server, and what to do where that is known."""
    if isinstance(error, redis.TimeoutError):
        return no_answer(address, deadline)
    text = _first_sentence(_ARGUMENTS.sub("", _PIPELINE.sub("", str(error)))) or type(error).__name__
    if address.master_name is not None:  # only the Sentinels have been named
        text = re.sub(rf"\A{_REFUSED}\Z", r"the master \1: \2", text)
    text = re.sub(rf"{_REFUSED}(?=;|$)", r"\2", text)  # the server has been named
    text = _SCRIPT.sub("", text).rstrip(".")
    kind: type[NotNow] = NotAdmitted
    if re.search(r"\bNOAUTH\b|Authentication required", text):
        text = f"a password is required: give a password file, or the password in the URL ({text})"
    elif isinstance(error, redis.AuthenticationError) or "WRONGPASS" in text:
        text = f"the password or user is wrong: correct the password file, or the URL ({text})"
    elif isinstance(error, redis.exceptions.NoPermissionError) or re.search(_NO_RIGHT, text):
        text = f"the user lacks a right (ACL SETUSER): {text}"
    elif "unknown command" in text and isinstance(error, redis.ResponseError):  # not of one of the Sentinels
        kind, text = Unsupported, f"the server must have all commands: {text}"
    elif "SELECT is not allowed in cluster mode" in text:
        kind, text = Unsupported, NO_CLUSTER
    elif "DB index is out of range" in text:
        kind, text = Unsupported, f"database {address.database}: must be less than databases in redis.conf ({text})"
    elif re.search(r"\bDENIED\b", text):
        text = f"the server is in protected mode, and admits its own host only: requirepass must be set ({text})"
    elif _NO_REDIS in text:
        text = f"must be the port of a Redis server ({text})"
    elif not any(sign in str(error) for sign in _NOT_ADMITTED):
        kind = NotNow
    return kind(f"{address.text}: {text}")
