"""What a virtual scanner is like, and its configuration file.

A file holds one section, `[scanner]`, with the keys of `Settings`.
"""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
from twisted.internet.endpoints import serverFromString

from wsdgateway.tls.identity import BadIdentity, IdentityFiles, read_identity

EVENT_MODES = ("all", "jobs", "none")
UUID = "4509a320-00a0-008f-00b6-002507510eca"
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LISTS = ("interfaces", "scopes")
MAX_NAME = 127  # characters of a ScannerName


class SettingsError(Exception):
    """What is wrong with a configuration file of the virtual scanner."""


@attrs.frozen
class Settings:
    """A virtual scanner. Times are in seconds.

    `events`: every event can be subscribed to (`all`), only job events (`jobs`), or nothing (`none`).
    `refill` puts `feeder_pages` new pages into the feeder when a job has emptied it.
    It takes part in multicast discovery on `interfaces`, with `scopes`; a `metadata_version` of its own.
    With a `certificate`, and its `key`, in files that hold PEM, it is asked by TLS.
    `stamp` stands on every page in place of the time, so that two scans are alike.
    """

    endpoint: str = "tcp:8018:interface=127.0.0.1"
    name: str = "Virtual scanner"
    uuid: str = UUID
    feeder_pages: int = 3
    refill: bool = True
    page_seconds: float = 0.5
    request_seconds: float = 0.0
    job_timeout: float = 60.0
    events: str = "all"
    subscription_expires: float = 3600.0
    stamp: str = ""
    certificate: str = ""
    key: str = ""
    chunked: bool = True
    interfaces: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    metadata_version: int = 1
    connections: int = 0  # served at once; more wait for their turn, 0 means no limit


def read_settings(path: str) -> Settings:
    """The settings in a file. Raises `SettingsError` with one line."""
    try:
        data = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: the file can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    for section in data:
        if section != "scanner":
            raise SettingsError(f"{path}: [{section}]: the only section is [scanner]")
    return make_settings(data.get("scanner", {}), path)


def make_settings(table: dict[str, Any], path: str) -> Settings:
    """The settings in a parsed section. Raises `SettingsError`."""
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: scanner = {table!r}: allowed is a section [scanner]")
    hints = get_type_hints(Settings)
    for key, value in table.items():
        if key not in hints:
            raise SettingsError(f"{path}: [scanner] {key} = {value!r}: allowed are the keys {', '.join(hints)}")
        if key in LISTS:
            if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
                raise SettingsError(f"{path}: [scanner] {key} = {value!r}: allowed is a list of texts")
            continue
        kinds = get_args(hints[key]) or (hints[key],)
        fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if not fits or (isinstance(value, bool) and bool not in kinds):
            raise SettingsError(f"{path}: [scanner] {key} = {value!r}: allowed is a value of type {kinds[0].__name__}")
        if isinstance(value, int | float) and value < 0:
            raise SettingsError(f"{path}: [scanner] {key} = {value!r}: allowed is a number from 0")
    if table.get("events", "all") not in EVENT_MODES:
        raise SettingsError(f"{path}: [scanner] events = {table['events']!r}: allowed is one of {EVENT_MODES}")
    if not 0 < len(table.get("name", "-")) <= MAX_NAME:
        raise SettingsError(f"{path}: [scanner] name = {table['name']!r}: must have 1 to {MAX_NAME} characters")
    if not _UUID.fullmatch(str(table.get("uuid", UUID))):
        raise SettingsError(f"{path}: [scanner] uuid = {table['uuid']!r}: allowed is one like {UUID!r}, "
                            "without urn:uuid:")
    values: dict[str, Any] = {key: tuple(value) if key in LISTS else value for key, value in table.items()}
    folder = Path(path).resolve().parent
    values |= {key: str(folder / values[key]) for key in ("certificate", "key") if values.get(key)}
    settings = Settings(**values)
    try:
        serverFromString(None, settings.endpoint)
    except Exception:  # whatever a plugin of Twisted's raises for a string that it can't read
        raise SettingsError(f"{path}: [scanner] endpoint = {settings.endpoint!r}: allowed is a Twisted server "
                            "endpoint like tcp:8018:interface=127.0.0.1") from None
    if settings.certificate:
        try:
            read_identity(IdentityFiles(Path(settings.certificate), Path(settings.key or settings.certificate)))
        except BadIdentity as bad:
            raise SettingsError(f"{path}: [scanner] {bad.key} = {table.get(bad.key, '')!r}: allowed is {bad}") from None
    return settings
