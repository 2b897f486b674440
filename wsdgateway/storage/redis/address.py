"""The address of a Redis server as `[gateway] state` gives it: a URL for TCP, TLS, a Unix socket, or Sentinel.

    redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
    rediss://…[?ca=FILE]                            TLS; the certificate is always verified
    redis+unix:///PATH[?db=DB]
    redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]/NAME[/DB]
    rediss+sentinel://…[?ca=FILE]                   TLS to the Sentinels and to the servers
"""

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from wsdgateway.storage.store import StoreError

PORT, SENTINEL_PORT = 6379, 26379
MAX_HOSTS = 16  # Sentinels in a URL
MAX_PASSWORD_FILE = 4096  # bytes

_SCHEMES = ("redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel")
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\[\]:,/\s]+))(?::(?P<port>\d{1,5}))?")


@attrs.frozen
class ServerAddress:
    """The address of the server. `text` names it in messages, without user and password.

    `hosts` are host and port of the server, or with `master_name` those of the Sentinels; empty for the Unix socket
    `path`. `ca` is a file of certificates, instead of the system's.
    """

    text: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    master_name: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    is_tls: bool = False
    ca: str | None = None


def parse(url: str, password: str | None = None) -> ServerAddress:
    """Reads a URL that `config.redisurl` has accepted. `password` is used instead of one in the URL.

    Raises `StoreError` with a text for people, without the password.
    """
    text = re.sub(r"://.*@", "://…@", url, flags=re.DOTALL)
    try:
        return _parse(url, text, password)
    except ValueError as error:
        raise StoreError(f"{text}: {error}") from None


def _parse(url: str, text: str, password: str | None) -> ServerAddress:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be a URL") from None
    if parts.scheme not in _SCHEMES or not url.partition(":")[2].startswith("//"):
        raise ValueError(f"must begin with {', '.join(one + '://' for one in _SCHEMES[:-1])} or {_SCHEMES[-1]}://")
    is_tls, with_sentinel = parts.scheme.startswith("rediss"), parts.scheme.endswith("+sentinel")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = {"ca"} if is_tls else {"db"} if parts.scheme == "redis+unix" else set()
    if parts.fragment or not set(options) <= known:
        raise ValueError("must have no parameter" + "".join(f" but ?{one}=" for one in known))
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, secret = user.partition(":")
    common = ServerAddress(text, username=unquote(name) or None, password=password or unquote(secret) or None,
                           is_tls=is_tls, ca=options.get("ca"))
    if parts.scheme == "redis+unix":
        if hosts or parts.path in ("", "/"):
            raise ValueError("must be redis+unix:///PATH")
        return attrs.evolve(common, path=unquote(parts.path), database=_database(options.get("db", "0")))
    steps = [unquote(one) for one in parts.path.strip("/").split("/")] if parts.path.strip("/") else []
    if with_sentinel:
        if not 1 <= len(steps) <= 2 or not steps[0]:
            raise ValueError(f"must be {parts.scheme}://HOST:PORT,HOST:PORT/NAME/DB, NAME being that of the master")
        found = tuple(_host(one, SENTINEL_PORT) for one in hosts.split(","))
        if len(found) > MAX_HOSTS:
            raise ValueError(f"must name at most {MAX_HOSTS} Sentinels")
        return attrs.evolve(common, hosts=found, master_name=steps[0], database=_database(*steps[1:]))
    if len(steps) > 1:
        raise ValueError(f"must be {parts.scheme}://HOST:PORT/DB")
    return attrs.evolve(common, hosts=(_host(hosts, PORT),), database=_database(*steps))


def _host(text: str, default: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if not found or not 1 <= int(found["port"] or default) <= 65535:
        raise ValueError("must have HOST or HOST:PORT as its host, with a port from 1 to 65535")
    try:
        if found["host"]:
            found["host"].encode("idna")
    except UnicodeError:
        raise ValueError("must have a HOST with labels of 1 to 63 characters") from None
    return found["v6"] or found["host"], int(found["port"] or default)


def _database(text: str = "0") -> int:
    if not re.fullmatch(r"\d{1,5}", text):
        raise ValueError("must have the number of a database at its end")
    return int(text)


def read_password(file: Path, key: str = "gateway.password_file") -> str:
    """Reads the password from the first line of the file that `key` names. Raises `StoreError`."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_PASSWORD_FILE + 1)
        password = content.split(b"\n", 1)[0].rstrip(b"\r").decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "must be text in UTF-8"
        raise StoreError(f"{key} {file}: {reason}") from error
    if not password or len(content) > MAX_PASSWORD_FILE:
        raise StoreError(f"{key} {file}: must contain the password on its first line")
    return password
