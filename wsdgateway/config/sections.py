"""The sections of a configuration as frozen values; each key has a check and a default.

`config/gateway.toml` documents each key. Changing a key of `[[scanner]]` with `identifies=True` makes it another
scanner, so `config.changes` has it replaced. A key that `bridge` uses is declared in `bridge.options`, too.
"""

import socket
from collections.abc import Callable
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import attrs

from wsdgateway.bridge.access.permission import Rule
from wsdgateway.bridge.discovery.adoption import Exclusion
from wsdgateway.config import checks, destinationchecks
from wsdgateway.config.endpoints import MAX_PORT
from wsdgateway.config.numbers import rate, seconds, whole
from wsdgateway.config.redisurl import is_redis
from wsdgateway.scan.quirks import LENIENT, STRICT, Quirks
from wsdgateway.tls.trust import Trust

# Bounds of durations, in seconds.
_SHORTEST, _HOUR, _DAY, _WEEK, _MONTH, _YEAR = 0.01, 3600.0, 86400.0, 604800.0, 2592000.0, 31536000.0
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


def _key(check: Callable[[Any], Any], default: Any = attrs.NOTHING, **more: Any) -> Any:
    """Declares a key: `check` returns its value or raises `Wrong`.

    In `more`, `show` returns a form of a wrong value that is safe in messages; `identifies` is True for a key of
    `[[scanner]]` on which a scanner's identity, subscriptions or jobs depend.
    """
    return attrs.field(default=default, metadata={"check": check, **more})


@attrs.frozen
class Gateway:
    """`[gateway]`"""

    name: str = _key(checks.text, attrs.Factory(socket.gethostname))
    state: str = attrs.field(default="sqlite:gateway.sqlite", repr=lambda value: repr(checks.without_password(value)),
                             metadata={"check": checks.state, "show": checks.without_password})
    password_file: str | None = _key(checks.text, None)
    log_level: str = _key(checks.log_level, "info")
    log_format: str = _key(checks.log_format, "text")

    @property
    def logs_json(self) -> bool:
        """True if each line of the log is a JSON object."""
        return self.log_format == "json"

    @property
    def logs_otherwise(self) -> bool:
        """True if the level or the format of the log is not the default."""
        return (self.log_level, self.log_format) != ("info", "text")


@attrs.frozen
class Listen:
    """`[[listen]]`"""

    endpoint: str = _key(checks.endpoint)
    advertise: str | None = _key(checks.base_url, None)
    certificate: str | None = _key(checks.text, None)
    key: str | None = _key(checks.text, None)
    client_ca: str | None = _key(checks.text, None)


@attrs.frozen
class ScannerConfig:
    """`[[scanner]]`"""

    name: str = _key(checks.scanner_name)
    scan: str | None = _key(checks.http_url, None, identifies=True)
    device: str | None = _key(checks.http_url, None, identifies=True)
    uuid: str | None = _key(checks.device_uuid, None, identifies=True)
    bridge: bool = _key(checks.flag, True)
    identity: str = _key(checks.identity, "derived", identifies=True)
    events: str = _key(checks.event_mode, "auto", identifies=True)
    max_connections: int = _key(whole(1, 1000), 2)
    max_rate: float | None = _key(rate(0.1, 10000, "no limit"), None)
    cache: bool = _key(checks.flag, True)
    timeout: float = _key(seconds(_SHORTEST, _HOUR), 60.0)
    idle_timeout: float = _key(seconds(_SHORTEST, _HOUR), 60.0)
    lenient: bool = _key(checks.flag, False)
    ca: str | None = _key(checks.text, None, identifies=True)
    pin: str | None = _key(checks.pin, None, identifies=True)
    insecure: bool = _key(checks.flag, False, identifies=True)
    event_sources: tuple[IPv4Network | IPv6Network, ...] = _key(checks.networks, ())
    escl: bool = _key(checks.flag, True)
    escl_port: int | None = _key(whole(1, MAX_PORT), None)

    @property
    def quirks(self) -> Quirks:
        """Deviations from the protocol that are tolerated for this scanner."""
        return LENIENT if self.lenient else STRICT

    @property
    def has_own_identity(self) -> bool:
        """True if clients see the scanner under its own uuid."""
        return self.identity == "same"

    @property
    def is_subscribed_to(self) -> bool:
        """True if the gateway subscribes to the scanner's events."""
        return self.events == "auto"

    def is_at_place_of(self, other: "ScannerConfig") -> bool:
        """True if both sections give the scanner's address in the same way."""
        return (self.scan, self.device, self.uuid) == (other.scan, other.device, other.uuid)

    def trust(self, folder: Path) -> Trust:
        """Returns how the scanner's certificate is verified; relative paths are relative to `folder`.

        TLS is required if a key says how to verify the certificate, or if the scanner's address is an https URL.
        """
        address = self.scan or self.device or ""
        is_demanded = bool(self.ca or self.pin or self.insecure) or address.startswith("https:")
        return Trust(folder / self.ca if self.ca else None, self.pin, self.insecure, is_demanded)


@attrs.frozen
class Cache:
    """`[cache]`"""

    max_age: float = _key(seconds(_SHORTEST, _DAY), 30.0)
    poll_interval: float = _key(seconds(_SHORTEST, _HOUR), 1.0)
    elements: float = _key(seconds(_SHORTEST, _WEEK), 300.0)
    history: int = _key(whole(1, 1000000), 1000)


@attrs.frozen
class Events:
    """`[events]`"""

    address: str | None = _key(checks.base_url, None)
    expires: float = _key(seconds(0.1, _YEAR), 3600.0)
    client_expires: float = _key(seconds(0.1, _YEAR), 86400.0)
    client_networks: tuple[IPv4Network | IPv6Network, ...] = _key(checks.networks, ())
    scanner_rate: float = _key(rate(1, 10000), 100.0)
    client_queue: int = _key(whole(1, 100000), 256)
    client_retry: float = _key(seconds(_SHORTEST, _MONTH), 3600.0)
    max_subscriptions: int = _key(whole(1, 100000), 2000)
    scanner_silence: float = _key(seconds(_SHORTEST, _YEAR), 86400.0)
    check: float = _key(seconds(_SHORTEST, _DAY), 60.0)
    synthesize: bool = _key(checks.flag, True)


@attrs.frozen
class Discovery:
    """`[discovery]`"""

    device_interfaces: tuple[str, ...] = _key(checks.interfaces, ())
    client_interfaces: tuple[str, ...] = _key(checks.interfaces, ())
    adopt: bool = _key(checks.flag, False)
    exclude: tuple[Exclusion, ...] = _key(checks.exclusions, ())
    directed: tuple[str, ...] = _key(checks.hosts, ())
    proxy: bool = _key(checks.flag, False)
    suffix: str = _key(checks.suffix, "")
    search: float = _key(seconds(_SHORTEST, _DAY), 60.0)
    answer_rate: float = _key(rate(1, 10000), 20.0)
    announce_rate: float = _key(rate(1, 10000), 20.0)

    @property
    def is_on(self) -> bool:
        """True if the gateway searches for or announces anything."""
        return bool(self.device_interfaces or self.client_interfaces or self.directed)


@attrs.frozen
class LimitsConfig:
    """`[limits]`"""

    request_body: int = _key(whole(1024, 1 << 30), 1048576)
    connections: int = _key(whole(1, 1000000), 2000)
    keepalive_timeout: float = _key(seconds(_SHORTEST, _DAY), 60.0)
    header_timeout: float = _key(seconds(_SHORTEST, _HOUR), 15.0)
    stop_timeout: float = _key(seconds(_SHORTEST, _HOUR), 10.0)
    client_requests: float = _key(rate(1, 1000000), 1000.0)
    client_connections: int = _key(whole(1, 1000000), 1500)
    client_jobs: int = _key(whole(1, 10000), 20)
    unlimited: tuple[IPv4Network | IPv6Network, ...] = _key(checks.networks, LOOPBACK)


@attrs.frozen
class Allow:
    """`[[allow]]`"""

    clients: tuple[IPv4Network | IPv6Network, ...] = _key(checks.some_networks, ())
    scanners: tuple[str, ...] = _key(checks.scanner_patterns, ())
    operations: tuple[str, ...] = _key(checks.operations, ())
    deny: bool = _key(checks.flag, False)

    @property
    def rule(self) -> Rule:
        """The section as an access rule."""
        return Rule(self.clients, self.scanners, self.operations, self.deny)


@attrs.frozen
class ExchangeLog:
    """`[exchange_log]`"""

    path: str | None = _key(checks.text, None)
    identify: bool = _key(checks.flag, False)
    size: int = _key(whole(1024, 1 << 36), 100 << 20)
    keep: int = _key(whole(1, 10000), 14)
    capture: str | None = _key(checks.text, None)
    images: bool = _key(checks.flag, False)
    secrets: bool = _key(checks.flag, False)
    capture_size: int = _key(whole(1024, 1 << 44), 1 << 30)


@attrs.frozen
class Admin:
    """`[admin]`"""

    endpoint: str = _key(checks.endpoint, "tcp:8357:interface=127.0.0.1")
    certificate: str | None = _key(checks.text, None)
    key: str | None = _key(checks.text, None)
    client_ca: str | None = _key(checks.text, None)
    token: str | None = attrs.field(default=None, repr=False, metadata={
        "check": checks.token, "show": lambda value: "…"})
    hosts: tuple[str, ...] = _key(checks.host_names, ())
    connections: int = _key(whole(1, 10000), 200)


@attrs.frozen
class Escl:
    """`[escl]`"""

    ports: range = _key(checks.ports, range(8400, 8500))
    interface: str = _key(checks.local_interface, "")
    announce: bool = _key(checks.flag, True)
    spool: str | None = _key(checks.text, None)
    spool_size: int = _key(whole(1 << 20, 1 << 44), 2 << 30)
    certificate: str | None = _key(checks.text, None)
    key: str | None = _key(checks.text, None)


@attrs.frozen
class Destination:
    """`[[destination]]`"""

    name: str = _key(destinationchecks.panel_name)
    scanners: tuple[str, ...] = _key(checks.scanner_patterns, ("*",))
    folder: str | None = _key(checks.text, None)
    upload: str | None = _key(destinationchecks.upload_url, None)
    upload_field: str = _key(destinationchecks.form_field, "document")
    upload_header_file: str | None = _key(checks.text, None)
    command: tuple[str, ...] = _key(destinationchecks.command, ())
    command_timeout: float = _key(seconds(_SHORTEST, _DAY), 60.0)
    file: str = _key(destinationchecks.file_name, "{scanner}-{date}-{time}-{number}")
    format: str = _key(destinationchecks.file_format, "pdf")
    source: str = _key(destinationchecks.source, "auto")
    resolution: int | None = _key(whole(10, 9600), None)
    color: str | None = _key(destinationchecks.color, None)

    def is_for(self, scanner: str) -> bool:
        """True if the panel of the scanner with that name shows the destination."""
        return any(fnmatchcase(scanner, pattern) for pattern in self.scanners)


@attrs.frozen
class UploadsConfig:
    """`[uploads]`"""

    folder: str | None = _key(checks.text, None)
    size: int = _key(whole(1 << 20, 1 << 44), 1 << 30)
    age: float = _key(seconds(60.0, _YEAR), 604800.0)


@attrs.frozen
class Cluster:
    """`[cluster]`"""

    name: str | None = _key(checks.gateway_name, None)
    endpoint: str | None = _key(checks.endpoint, None)
    address: str | None = _key(checks.base_url, None)
    certificate: str | None = _key(checks.text, None)
    key: str | None = _key(checks.text, None)
    ca: str | None = _key(checks.text, None)
    lease: float = _key(seconds(1.0, 60.0), 4.0)
    alone: bool = _key(checks.flag, True)
    source: str | None = _key(checks.source_address, None)


@attrs.frozen
class Config:
    """A whole configuration. Relative paths are relative to `folder`; `file` is the file named in messages."""

    folder: Path
    listen: tuple[Listen, ...]
    scanner: tuple[ScannerConfig, ...] = ()
    allow: tuple[Allow, ...] = ()
    destination: tuple[Destination, ...] = ()
    gateway: Gateway = Gateway()
    cache: Cache = Cache()
    events: Events = Events()
    discovery: Discovery = Discovery()
    limits: LimitsConfig = LimitsConfig()
    exchange_log: ExchangeLog = ExchangeLog()
    admin: Admin = Admin()
    escl: Escl | None = None
    uploads: UploadsConfig = UploadsConfig()
    cluster: Cluster = Cluster()
    file: str = ""
    unused_state: Path | None = None  # the default place of the store, while an older one beside `file` is used
    state_directory: Path | None = None  # the folder that systemd makes for the service

    @property
    def spool(self) -> Path:
        """The folder of the eSCL jobs' pages: that of `[escl] spool`, else `spool` beside the file of the store.

        With a Redis server it is in the folder that systemd makes for the service, else beside the configuration.
        """
        if self.escl is not None and self.escl.spool is not None:
            return self.folder / self.escl.spool
        return self._beside_store("spool")

    @property
    def upload_folder(self) -> Path:
        """The folder of the upload queue: that of `[uploads] folder`, else `uploads` beside the file of the store."""
        return self._beside_store("uploads") if self.uploads.folder is None else self.folder / self.uploads.folder

    def _beside_store(self, name: str) -> Path:
        kind, _, where = self.gateway.state.partition(":")
        if kind == "sqlite":
            return (self.folder / where).parent / name
        folder = self.state_directory if is_redis(self.gateway.state) else None
        return (folder or self.folder) / name
