"""Finds out why a server closes a new connection, or says nothing on it: whether the URL is wrong about TLS.

redis-py sends a command at once. A server that refuses the connection then resets it, so that the reason, which the
server has sent, is mostly lost, and such a server looks like one that is away. Another connection, on which the gateway
says nothing, or says it without TLS, shows the difference.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import redis

from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.tracked import make_pool

PLAIN_PART = 0.25  # of the longest silence of the server for an answer without TLS, so that TLS can be tried afterwards

SPEAKS_TLS = "the server speaks TLS: the URL must begin with rediss"
SPEAKS_NO_TLS = "the server speaks no TLS: the URL must begin with redis, not rediss"
DEMANDS_CERTIFICATE = "the server demands a client certificate: tls-auth-clients in redis.conf must be no or optional"
REFUSES_TLS = ("the server refuses the TLS connection: tls-auth-clients in redis.conf must be no or optional, and "
               "tls-protocols must include TLSv1.2 or TLSv1.3")
REASONS = (SPEAKS_TLS, SPEAKS_NO_TLS, DEMANDS_CERTIFICATE, REFUSES_TLS)

# Reasons of errors of TLS, and what they mean. An internal error of the server, which passes, is none of them.
_MEANINGS = (("WRONG_VERSION_NUMBER", SPEAKS_NO_TLS), ("ALERT_CERTIFICATE_REQUIRED", DEMANDS_CERTIFICATE),
             ("ALERT_HANDSHAKE_FAILURE", REFUSES_TLS), ("ALERT_PROTOCOL_VERSION", REFUSES_TLS))
_OF_TLS = re.compile(r"CERTIFICATE_VERIFY_FAILED|_ALERT_")

T = TypeVar("T")


def _meaning(text: str) -> str | None:
    return next((meaning for sign, meaning in _MEANINGS if sign in text), None)


class Probing:
    """The probes of the servers at `address`. Only one thread may use it.

    `opened` has the connections of that thread, the probe's among them, so that another thread can break them off.
    """

    def __init__(self, address: ServerAddress, opened: list[Any]) -> None:
        self._address = address
        self._opened = opened
        self._plain: set[tuple[str, int]] = set()  # servers that have answered without TLS

    @contextmanager
    def explaining(self, place: tuple[str, int], seconds: float) -> Iterator[None]:
        """Connects to `place` inside the context, and raises `redis.ConnectionError` with the reason, if that is found.

        `seconds` is the longest silence of the server. One without TLS says nothing when TLS is begun, and that takes
        the deadline of the command. So, once it is known, it is probed first.
        """
        if place in self._plain:
            self._require_tls(place, seconds)
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError) as error:
            last = self._opened[-1] if self._opened else None
            # A subclass, such as that of a wrong password, is an answer. There is no socket if the server cannot be
            # reached, and no TLS with a local one.
            if (type(error) in (redis.ConnectionError, redis.TimeoutError) and last is not None
                    and last.watched is not None and self._address.path is None):
                reason = self._reason(error, last, place, seconds)
                if reason is not None:
                    raise redis.ConnectionError(reason) from error
            raise

    def _reason(self, error: Exception, connection: Any, place: tuple[str, int], seconds: float) -> str | None:
        """The reason of an error; None if it is not found."""
        if self._address.is_tls and (reason := _meaning(str(error))):
            return reason
        if connection.is_broken_off:
            return None
        if self._address.is_tls and not connection.is_secure:
            self._require_tls(place, seconds)
            return None
        return None if isinstance(error, redis.TimeoutError) else self._probe(
            place, seconds, _alert if self._address.is_tls else _tls_spoken, is_tls=True)

    def _require_tls(self, place: tuple[str, int], seconds: float) -> None:
        """Raises `redis.ConnectionError` if the server answers without TLS."""
        is_known = place in self._plain
        self._plain.discard(place)
        try:
            is_plain = self._probe(place, PLAIN_PART * seconds, _is_plain, is_tls=False)
        except TimeoutError:
            is_plain = is_known
        if is_plain:
            self._plain.add(place)
            raise redis.ConnectionError(SPEAKS_NO_TLS)

    def _probe(self, place: tuple[str, int], seconds: float, look: Callable[[Any], T], *, is_tls: bool) -> T:
        address = attrs.evolve(self._address, is_tls=is_tls)
        probe = make_pool(self._opened, address, place, seconds, {}).make_connection()
        try:
            return look(probe)
        finally:
            self._opened.remove(probe)
            probe.end()


def _tls_spoken(probe: Any) -> str | None:
    try:
        probe.connect_only().close()
    except ssl.SSLError as error:
        return SPEAKS_TLS if _OF_TLS.search(str(error)) else None
    except OSError:
        return None
    return SPEAKS_TLS


def _alert(probe: Any) -> str | None:
    """The server's alert after the handshake, in which a client of TLS 1.3 does not learn that it is refused."""
    try:
        with probe.connect_only() as secure:
            secure.recv(1)
    except OSError as error:
        return _meaning(str(error))
    return None


def _is_plain(probe: Any) -> bool:
    """Whether the server answers without TLS. Raises `TimeoutError` if that remains open."""
    try:
        with probe.connect_only() as plain:
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in (b"+", b"-")
    except TimeoutError:
        raise
    except OSError:
        return False
