"""Reads the URL of a Redis server or of its Sentinels, the value of `[gateway] state` for several gateways.

The forms are::

    redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
    rediss://…[?ca=FILE]                            TLS
    redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],…/NAME[/DB]
    rediss+sentinel://…[?ca=FILE]                   TLS to the Sentinels and to the servers
    redis+unix:///PATH[?db=DB]

User and password are percent-encoded. A Sentinel's own port is 26379. `storage.redis.address` reads the same forms;
here each mistake gets a sentence for people.
"""

import re
from urllib.parse import unquote

import attrs

from wsdgateway.config.wrong import Wrong

SENTINELS, UNIX = ("redis+sentinel", "rediss+sentinel"), "redis+unix"
PORT, SENTINEL_PORT = 6379, 26379
MAX_DATABASE, MAX_SENTINELS, MAX_SOCKET = 65535, 16, 107  # a socket's path has at most so many bytes
FORMS = ("redis://HOST:6379/0, rediss://HOST:6379/0 (TLS), redis+sentinel://HOST:26379,HOST:26379,HOST:26379/NAME/0 or "
         "redis+unix:///PATH")

_URL = re.compile(r"(rediss?(?:\+sentinel)?|redis\+unix)://([^/?]*)(/[^?]*)?(?:\?(.*))?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")


@attrs.frozen
class RedisUrl:
    """A Redis server: its host and port, or those of each of its Sentinels, or the path of its socket.

    `user`, `password` and `service`, the name by which Sentinels know the master, are None without one, and so is
    `ca`, a file of certificates.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    database: int = 0
    service: str | None = None
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    ca: str | None = None


def is_redis(state: str) -> bool:
    """True for the value of `[gateway] state` that names a Redis server, right or wrong."""
    return re.match(r"redis[a-z+]*:", state) is not None


def read_redis_url(url: str) -> RedisUrl:
    """Reads a URL. Raises `Wrong`, whose text has no part of it that may be a password."""
    found = _URL.fullmatch(url)
    if found is None:
        raise Wrong(FORMS)
    scheme, authority, rest, query = found[1], found[2], found[3] or "", found[4]
    if not url.isprintable() or " " in url:
        raise Wrong(f"{FORMS}, without blanks")
    if scheme == UNIX:
        database = _option(query, "db", "0")
        if authority or len(rest) < 2 or len(rest.encode()) > MAX_SOCKET or "#" in url or "%" in url or (
                database is None):
            raise Wrong(f"redis+unix:///PATH or redis+unix:///PATH?db=1, with the whole path of the server's socket, "
                        f"of at most {MAX_SOCKET} bytes; the password must be in the file of password_file")
        return RedisUrl(scheme, path=rest, database=_database([database]))
    credentials, at, listed = authority.rpartition("@")
    user, password = _credentials(credentials) if at else (None, None)
    ca = _option(query, "ca", "")
    if "@" in rest or "#" in url or ca is None or (query is not None and (not ca or not scheme.startswith("rediss"))):
        raise Wrong(f'{FORMS}; /, ?, # and @ in a password must be written as %2F, %3F, %23 and %40, or the password '
                    "must be in the file of password_file")
    hosts = listed.split(",")
    if scheme not in SENTINELS and len(hosts) > 1:
        raise Wrong(f"{FORMS}; several hosts are those of Sentinels")
    if len(hosts) > MAX_SENTINELS:
        raise Wrong(f"{FORMS}, with at most {MAX_SENTINELS} hosts")
    port = SENTINEL_PORT if scheme in SENTINELS else PORT
    places = tuple(_place(one, port) for one in hosts)
    parts = rest.removeprefix("/").split("/") if rest not in ("", "/") else []
    service = None
    if scheme in SENTINELS:
        service = parts.pop(0) if parts else ""
        if not _NAME.fullmatch(service):
            raise Wrong("redis+sentinel://HOST:26379,HOST:26379,HOST:26379/NAME/0, with the NAME by which the "
                        "Sentinels know the master, of A-Z, a-z, 0-9 and ._-")
    return RedisUrl(scheme, places, database=_database(parts), service=service, user=user, password=password,
                    ca=ca or None)


def _option(query: str | None, name: str, default: str) -> str | None:
    """The value of the only parameter that a form has; None if there is another one."""
    if query is None:
        return default
    key, equals, value = query.partition("=")
    return unquote(value) if key == name and equals and "&" not in value and "@" not in value else None


def _database(parts: list[str]) -> int:
    if len(parts) > 1 or not all(re.fullmatch("[0-9]{1,5}", one) and int(one) <= MAX_DATABASE for one in parts):
        raise Wrong(f"{FORMS}, with the number of a database from 0 to {MAX_DATABASE}")
    return int(parts[0]) if parts else 0


def _credentials(written: str) -> tuple[str | None, str | None]:
    user, colon, password = written.partition(":")
    if not colon or not password or not _ENCODED.fullmatch(user) or not _ENCODED.fullmatch(password):
        raise Wrong("redis://USER:PASSWORD@HOST:6379/0 or redis://:PASSWORD@HOST:6379/0, with special characters "
                    "percent-encoded; or the password must be in the file of password_file")
    return unquote(user) or None, unquote(password)


def _has_labels(host: str) -> bool:
    """True if the parts of a name are short enough for the name service, and none is empty."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _place(written: str, default: int) -> tuple[str, int]:
    found = _HOST.fullmatch(written)
    port = default if found is None or found[2] is None else int(found[2])
    if found is None or not 0 < port <= 65535 or not _has_labels(found[1]):
        raise Wrong(f"{FORMS}, with each HOST a name or an address and a port between 1 and 65535; an IPv6 address is "
                    "in brackets")
    return found[1].strip("[]"), port
