"""The configuration: TOML to frozen values, or one error that names every mistake.

The keys are those of the contract; `config/gateway.toml` shows each with its default.
"""

import json
import math
import re
import socket
import tomllib
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import serverFromString

NAME = re.compile(r"[a-z0-9-]{1,63}")
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class ConfigError(Exception):
    """What is wrong with a configuration: `problems` holds a line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Wrong(Exception):
    """A value is not what its key allows; the text says what is."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong("a text that is not empty")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise _Wrong("a number of seconds above 0")
    return float(value)


def _whole(lowest: int, highest: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise _Wrong(f"a whole number from {lowest} to {highest}")
        return value
    return check


def _http_url(value: Any, *, bare: bool = False) -> str:
    what = ("an address like http://192.0.2.5:5357, without a path" if bare
            else "an http:// URL with a host and a port up to 65535")
    if not isinstance(value, str):
        raise _Wrong(what)
    try:
        parts = urlsplit(value)
        valid = parts.scheme == "http" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        valid = valid and "@" not in parts.netloc and not parts.fragment
        (parts.hostname or "").encode("idna")
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", value) or (bare and (parts.path not in ("", "/") or parts.query)):
        raise _Wrong(what)
    return value.rstrip("/") if bare else value


def _base_url(value: Any) -> str:
    return _http_url(value, bare=True)


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise _Wrong("an address like urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366")
    return value.lower()


def _scanner_name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise _Wrong("a name of a-z, 0-9 and '-', at most 63 long")
    return value


def _endpoint(value: Any) -> str:
    what = "a Twisted server endpoint like tcp:5357:interface=192.0.2.5"
    try:
        serverFromString(None, value)
    except Exception:  # whatever a plugin of Twisted's raises for a string that it can't read
        raise _Wrong(what) from None
    port = re.match(r"tcp6?:(?:port=)?(\d+)", value)
    if port is not None and int(port[1]) > 65535:
        raise _Wrong(f"{what}, with a port up to 65535")
    interface = re.search(r":interface=((?:\\:|[^:])*)", value)
    if interface is not None:
        address = interface[1].replace("\\:", ":")
        if address and not isIPAddress(address) and not isIPv6Address(address):
            raise _Wrong(f"{what}, with an IP address as interface")
    return str(value)


def _state(value: Any) -> str:
    what = "sqlite:FILE, memory: or redis://HOST:PORT/DB"
    if not isinstance(value, str):
        raise _Wrong(what)
    if value == "memory:" or re.fullmatch(r"sqlite:.+", value) or re.fullmatch(r"redis://[^/\s]+(/\d+)?", value):
        return value
    raise _Wrong(what)


def _events(value: Any) -> str:
    if value not in ("auto", "off"):
        raise _Wrong('"auto" or "off"')
    return str(value)


def _networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    what = 'a list of networks like ["198.51.100.0/24"]'
    if not isinstance(value, list):
        raise _Wrong(what)
    try:
        return tuple(ip_network(_text(item), strict=False) for item in value)
    except (ValueError, _Wrong):
        raise _Wrong(what) from None


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise _Wrong('a list of interfaces like ["eth0"]')
    return tuple(value)


def _key(check: Callable[[Any], Any], default: Any = attrs.NOTHING) -> Any:
    return attrs.field(default=default, metadata={"check": check})


@attrs.frozen
class Gateway:
    """`[gateway]`"""

    name: str = _key(_text, attrs.Factory(socket.gethostname))
    state: str = _key(_state, "sqlite:gateway.sqlite")


@attrs.frozen
class Listen:
    """`[[listen]]`"""

    endpoint: str = _key(_endpoint)
    advertise: str | None = _key(_base_url, None)


@attrs.frozen
class ScannerConfig:
    """`[[scanner]]`"""

    name: str = _key(_scanner_name)
    scan: str | None = _key(_http_url, None)
    device: str | None = _key(_http_url, None)
    uuid: str | None = _key(_uuid, None)
    events: str = _key(_events, "auto")
    max_connections: int = _key(_whole(1, 1000), 2)
    timeout: float = _key(_seconds, 60.0)
    idle_timeout: float = _key(_seconds, 60.0)
    lenient: bool = _key(_flag, False)
    event_sources: tuple[IPv4Network | IPv6Network, ...] = _key(_networks, ())


@attrs.frozen
class Cache:
    """`[cache]`"""

    max_age: float = _key(_seconds, 30.0)
    poll_interval: float = _key(_seconds, 1.0)
    history: int = _key(_whole(1, 1000000), 1000)


@attrs.frozen
class Events:
    """`[events]`"""

    address: str | None = _key(_base_url, None)
    expires: float = _key(_seconds, 3600.0)
    client_expires: float = _key(_seconds, 86400.0)
    client_networks: tuple[IPv4Network | IPv6Network, ...] = _key(_networks, ())
    client_queue: int = _key(_whole(1, 100000), 256)
    client_retry: float = _key(_seconds, 3600.0)
    max_subscriptions: int = _key(_whole(1, 100000), 2000)
    scanner_silence: float = _key(_seconds, 86400.0)


@attrs.frozen
class Discovery:
    """`[discovery]`"""

    device_interfaces: tuple[str, ...] = _key(_names, ())
    client_interfaces: tuple[str, ...] = _key(_names, ())


@attrs.frozen
class LimitsConfig:
    """`[limits]`"""

    request_body: int = _key(_whole(1024, 1 << 30), 1048576)
    connections: int = _key(_whole(1, 1000000), 2000)
    keepalive_timeout: float = _key(_seconds, 60.0)
    header_timeout: float = _key(_seconds, 15.0)
    stop_timeout: float = _key(_seconds, 10.0)


@attrs.frozen
class ExchangeLog:
    """`[exchange_log]`"""

    path: str | None = _key(_text, None)
    capture: str | None = _key(_text, None)


@attrs.frozen
class Admin:
    """`[admin]`"""

    endpoint: str = _key(_endpoint, "tcp:8357:interface=127.0.0.1")


@attrs.frozen
class Config:
    """A whole configuration. `folder` is where relative paths start, `file` what messages name."""

    folder: Path
    listen: tuple[Listen, ...]
    scanner: tuple[ScannerConfig, ...] = ()
    gateway: Gateway = Gateway()
    cache: Cache = Cache()
    events: Events = Events()
    discovery: Discovery = Discovery()
    limits: LimitsConfig = LimitsConfig()
    exchange_log: ExchangeLog = ExchangeLog()
    admin: Admin = Admin()
    file: str = ""

    def not_built(self) -> list[str]:
        """What is switched on here and does not exist yet: a line for each."""
        lines = []
        if self.gateway.state.startswith("redis:"):
            lines.append("[gateway] state: Redis is not built yet; jobs and subscriptions are kept in memory")
        if self.discovery.device_interfaces or self.discovery.client_interfaces:
            lines.append("[discovery]: discovery is not built yet; nothing is searched or announced")
        if self.exchange_log.path or self.exchange_log.capture:
            lines.append("[exchange_log]: the exchange log is not built yet; nothing is written")
        lines.extend(f"[[scanner]] {scanner.name}: uuid needs discovery, which is not built yet; "
                     "give scan or device instead" for scanner in self.scanner if scanner.uuid)
        return lines


_TABLES = {"gateway": Gateway, "cache": Cache, "events": Events, "discovery": Discovery, "limits": LimitsConfig,
           "exchange_log": ExchangeLog, "admin": Admin}
_ARRAYS = {"listen": Listen, "scanner": ScannerConfig}


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)  # so that no control character reaches a terminal
    return text if len(text) <= 80 else text[:77] + "..."


class _Reading:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []

    def wrong(self, section: str, key: str, value: Any, allowed: str) -> None:
        self.problems.append(f"{self.file}: {section} {key} = {_shown(value)}: allowed is {allowed}")

    def missing(self, section: str, key: str, allowed: str) -> None:
        self.problems.append(f"{self.file}: {section} {key} is missing: allowed is {allowed}")

    def section(self, kind: Any, section: str, table: Any) -> Any:
        """The values of a section; None if something is wrong with it."""
        if not isinstance(table, dict):
            self.wrong("top level", section.strip("[] 0123456789"), table, f"a section that begins with {section}")
            return None
        before = len(self.problems)
        fields = {field.name: field for field in attrs.fields(kind)}
        values = {}
        for key, value in table.items():
            if key not in fields:
                self.wrong(section, key, value, f"one of the keys {', '.join(fields)}")
                continue
            try:
                values[key] = fields[key].metadata["check"](value)
            except _Wrong as wrong:
                self.wrong(section, key, value, str(wrong))
        for name, field in fields.items():
            if field.default is attrs.NOTHING and name not in table:
                self.missing(section, name, _allowed(field.metadata["check"]))
        return kind(**values) if len(self.problems) == before else None


def _allowed(check: Callable[[Any], Any]) -> str:
    try:
        check(None)
    except _Wrong as wrong:
        return str(wrong)
    return "a value"


def read_config(path: str) -> Config:
    """The configuration in a file. Raises `ConfigError`."""
    try:
        data = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: the file can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: the file is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not TOML: {error}"]) from None
    return make_config(data, path)


def make_config(data: dict[str, Any], path: str) -> Config:
    """The configuration in parsed TOML; `path` is the file that messages name. Raises `ConfigError`."""
    reading = _Reading(path)
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name in _TABLES:
            values[name] = reading.section(_TABLES[name], f"[{name}]", table)
        elif name in _ARRAYS:
            if not isinstance(table, list):
                reading.wrong("top level", name, table, f"sections that begin with [[{name}]], in double brackets")
                continue
            values[name] = tuple(reading.section(_ARRAYS[name], f"[[{name}]] {_label(entry, position)}", entry)
                                 for position, entry in enumerate(table, 1))
        else:
            reading.wrong("top level", name, table, f"one of the sections {', '.join((*_TABLES, *_ARRAYS))}")
    if not data.get("listen"):
        reading.missing("[[listen]]", "endpoint", _allowed(_endpoint))
    _check_together(reading, data)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Config(folder=Path(path).resolve().parent, file=path, **values)


def _label(entry: Any, position: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and NAME.fullmatch(name) else str(position)


def _check_together(reading: _Reading, data: dict[str, Any]) -> None:
    """What no single value shows: one address a scanner, names and endpoints once."""
    for array, key in (("scanner", "name"), ("listen", "endpoint")):
        seen: set[str] = set()
        entries = data.get(array)
        for position, entry in enumerate(entries if isinstance(entries, list) else [], 1):
            value = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(value, str) and value in seen:
                reading.wrong(f"[[{array}]] {position}", key, value, f"one that no other [[{array}]] has")
            elif isinstance(value, str):
                seen.add(value)
    scanners = data.get("scanner")
    for position, entry in enumerate(scanners if isinstance(scanners, list) else [], 1):
        if not isinstance(entry, dict):
            continue
        given = [key for key in ("scan", "device", "uuid") if key in entry]
        if not given:
            reading.missing(f"[[scanner]] {_label(entry, position)}", "scan", "one of scan, device and uuid")
        elif len(given) > 1:
            reading.wrong(f"[[scanner]] {_label(entry, position)}", given[1], entry[given[1]],
                          f"only one of scan, device and uuid, and {given[0]} is there")


CANDIDATES = ("gateway.toml", "/etc/wsdgateway/gateway.toml")


def find_config() -> str:
    """The configuration file that is used when none is named. Raises `ConfigError`."""
    for candidate in CANDIDATES:
        if Path(candidate).exists():
            return candidate
    raise ConfigError([f"no configuration: neither ./{CANDIDATES[0]} nor {CANDIDATES[1]} exists; "
                       "name one with --config FILE, or try --demo"])
