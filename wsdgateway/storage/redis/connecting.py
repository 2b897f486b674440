"""Connects to the Redis server, or to the master that a Sentinel names, and turns its errors into `NotNow`.

redis-py does not connect again by itself here: after a failover the same address may belong to a former master, which
may take writes that will be lost, so that every connection begins with the question to the Sentinels
(redis-py issue 3560).
"""

import re
import socket
import struct
import threading
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.redis.address import ServerAddress

ERRORS = (redis.RedisError, OSError)  # what a server, or the way to it, can cause
SENTINEL_PART = 0.3  # of the deadline for one Sentinel, so that another one can be asked in time

_DROP = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds

# Codes of error replies after which another server may be the master, or the connection is of no use.
_OTHER_SERVER = re.compile(r"\b(?:READONLY|MASTERDOWN|NOREPLICAS|LOADING|UNBLOCKED)\b")


_GUARD = threading.Lock()  # so that no socket is closed, and its number used again, while it is being shut down


class _Tracked:
    """A mixin for connections of redis-py: connects once, and can be broken off from another thread."""

    watched: socket.socket | None = None
    was_connected = False

    def _connect(self) -> Any:
        if self.was_connected:
            raise redis.ConnectionError("the connection was lost")
        self.was_connected = True
        made = super()._connect()  # type: ignore[misc]
        # A duplicate, since redis-py may close the socket, and its number may be given to another file, at any time.
        self.watched = made.dup()
        return made

    def break_off(self) -> None:
        """Ends the connection; a thread that waits for it gets an error."""
        with _GUARD, suppress(OSError):
            if self.watched is not None:
                self.watched.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Closes the connection. Only the thread that uses it may call this."""
        with suppress(Exception):
            self.disconnect()  # type: ignore[attr-defined]
        with _GUARD:
            if self.watched is not None:
                # Drops what the server has not acknowledged. Else the system would go on sending it, and after a break
                # of the network a write that is late by seconds would replace a newer one from the next connection.
                with suppress(OSError):
                    self.watched.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
                self.watched.close()
                self.watched = None


class _Tcp(_Tracked, redis.Connection):
    pass


class _Unix(_Tracked, redis.UnixDomainSocketConnection):
    pass


class _Tls(redis.SSLConnection, _Tcp):
    """The tracked socket is the one below TLS, so that a handshake can be broken off, too."""


class _Pool(redis.ConnectionPool):
    """A pool of one connection, which it adds to `opened` before it connects."""

    def __init__(self, opened: list[Any], **options: Any) -> None:
        super().__init__(**options)
        self._opened = opened

    def make_connection(self) -> Any:
        made = super().make_connection()
        self._opened.append(made)
        return made


class Server:
    """One connection to the server, made at the first `redis`. Only one thread may use it, except `break_off`.

    `deadline` is the longest silence of the server, in seconds.
    """

    def __init__(self, address: ServerAddress, deadline: float) -> None:
        self._address = address
        self._deadline = deadline
        self._sentinels = list(address.hosts) if address.master_name else []
        self._open: list[Any] = []  # connections, those to Sentinels among them
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
        """Asks the Sentinels in turn for the address of the master. The one that answers is asked first next time."""
        problems = []
        for place in list(self._sentinels):
            try:
                found = self._ask(place)
            except ERRORS as error:
                problems.append(f"{place[0]}:{place[1]}: {error}")
                continue
            if found is None:
                problems.append(f"{place[0]}:{place[1]}: knows no master of that name")
                continue
            self._sentinels.remove(place)
            self._sentinels.insert(0, place)
            return found[0].decode() if isinstance(found[0], bytes) else found[0], int(found[1])
        raise redis.ConnectionError("no Sentinel names the master: " + "; ".join(problems))

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
        host, port = self.master() if self._sentinels else (self._address.hosts or (("", 0),))[0]
        login = {"db": self._address.database, "username": self._address.username, "password": self._address.password}
        made = redis.Redis(connection_pool=self._pool(host, port, self._deadline, login))
        if not self._sentinels:
            made.ping()
        elif made.execute_command("ROLE")[0] != b"master":
            raise redis.ConnectionError(f"{host}:{port}, which the Sentinel names, is no master yet")
        return made

    def _ask(self, place: tuple[str, int]) -> Any:
        """The answer of one Sentinel. It gets the password only if it wants one: most have none of their own."""
        for login in ({}, {"username": self._address.username, "password": self._address.password}):
            asked = redis.Redis(connection_pool=self._pool(*place, SENTINEL_PART * self._deadline, login))
            try:
                return asked.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self._address.master_name)
            except redis.AuthenticationError:
                if login or not self._address.password:
                    raise
            finally:
                self.disconnect()
        raise AssertionError("unreachable")

    def _pool(self, host: str, port: int, seconds: float, login: dict[str, Any]) -> Any:
        address = self._address
        options: dict[str, Any] = {
            "socket_timeout": seconds, "socket_connect_timeout": seconds, "retry": Retry(NoBackoff(), 0),
            "protocol": 2, **login}
        kind: type
        if address.path is not None:
            kind, options["path"] = _Unix, address.path
        else:
            kind = _Tls if address.is_tls else _Tcp
            options.update(host=host, port=port)
        if address.is_tls:
            options.update(ssl_cert_reqs="required", ssl_check_hostname=True, ssl_ca_certs=address.ca)
        return _Pool(self._open, connection_class=kind, max_connections=1, **options)


def ends_connection(error: BaseException) -> bool:
    """True if the connection must not be used after the error."""
    return not isinstance(error, redis.ResponseError) or bool(_OTHER_SERVER.search(str(error)))


def no_answer(address: ServerAddress, deadline: float) -> NotNow:
    """The error for callers after the deadline, in seconds."""
    return NotNow(f"{address.text}: no answer within {deadline:g} s")


def not_now(address: ServerAddress, error: BaseException, deadline: float) -> NotNow:
    """The error for callers: it names the server, and what to do where that is known."""
    if isinstance(error, redis.TimeoutError):
        return no_answer(address, deadline)
    text = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    text = re.sub(r"Error -?\d+ connecting to \S+\. ([^;]*?)\.(?=;|$)", r"\1", text)  # the server has been named
    if isinstance(error, redis.AuthenticationError) or re.search(r"\b(?:NOAUTH|WRONGPASS)\b", text):
        text = f"the password or user is wrong: correct gateway.state or gateway.password_file ({text})"
    elif isinstance(error, redis.exceptions.NoPermissionError):
        text = f"the user lacks a right (ACL SETUSER): {text}"
    return NotNow(f"{address.text}: {text}")
