"""Connections of redis-py that never connect again by themselves, and that another thread can break off."""

import socket
import struct
import threading
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from wsdgateway.storage.redis.address import ServerAddress

_DROP = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
_GUARD = threading.Lock()  # so that no socket is closed, and its number used again, while it is being shut down


class _Tracked:
    """A mixin for connections of redis-py: connects once, and can be broken off from another thread.

    `watched` is a duplicate of the socket, once there is one. `is_secure` becomes true when a handshake has succeeded.
    """

    watched: socket.socket | None = None
    was_connected = False
    is_broken_off = False
    is_secure = False
    has_sent = False

    def _connect(self) -> Any:
        if self.was_connected:
            raise redis.ConnectionError("the connection was lost")
        self.was_connected = True
        made = super()._connect()  # type: ignore[misc]
        # A duplicate, since redis-py may close the socket, and its number may be given to another file, at any time.
        self.watched = made.dup()
        return made

    def connect_only(self) -> socket.socket:
        """Connects, and sends nothing. Raises `OSError`, of which `ssl.SSLError` is one."""
        made: socket.socket = self._connect()
        return made

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        self.has_sent = True
        super().send_packed_command(*args, **options)  # type: ignore[misc]

    def can_read(self, *args: Any, **options: Any) -> bool:
        """True if there is something to read that is not the answer to the next command.

        A server that refuses a client says so before the first command, which gets that as its answer.
        """
        return self.has_sent and super().can_read(*args, **options)  # type: ignore[misc]

    def break_off(self) -> None:
        """Ends the connection; a thread that waits for it gets an error."""
        self.is_broken_off = True
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

    def _connect(self) -> Any:
        made = super()._connect()
        self.is_secure = True
        return made


class _Pool(redis.ConnectionPool):
    """A pool of one connection, which it adds to `opened` before it connects."""

    def __init__(self, opened: list[Any], **options: Any) -> None:
        super().__init__(**options)
        self._opened = opened

    def make_connection(self) -> Any:
        made: Any = super().make_connection()
        # Else redis-py sends these first, and drops a refusal of the server that it gets as the answer; each is also a
        # command more within the deadline. Versions of redis-py differ in the names of the arguments.
        made.lib_name = made.lib_version = made.driver_info = None
        self._opened.append(made)
        return made


def make_pool(opened: list[Any], address: ServerAddress, place: tuple[str, int], seconds: float,
              login: dict[str, Any]) -> Any:
    """Returns a pool of one connection, which is added to `opened`, to host and port `place` or to the Unix socket.

    `seconds` is the longest silence of the server, `login` has arguments of redis-py.
    """
    options: dict[str, Any] = {
        "socket_timeout": seconds, "socket_connect_timeout": seconds, "retry": Retry(NoBackoff(), 0), "protocol": 2,
        **login}
    kind: type
    if address.path is not None:
        kind, options["path"] = _Unix, address.path
    else:
        kind = _Tls if address.is_tls else _Tcp
        options.update(host=place[0], port=place[1])
    if address.is_tls:
        options.update(ssl_cert_reqs="required", ssl_check_hostname=True, ssl_ca_certs=address.ca)
    return _Pool(opened, connection_class=kind, max_connections=1, **options)
