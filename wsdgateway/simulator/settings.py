"""The settings of a virtual scanner, and its configuration file.

A file holds one section, `[scanner]`, with the keys of `Settings`.
"""

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.endpoints import serverFromString

from wsdgateway.config import checks
from wsdgateway.config.numbers import seconds, whole
from wsdgateway.config.wrong import Wrong, shown
from wsdgateway.simulator.faults import ABORTED_FAULTS, BUSY_FAULTS
from wsdgateway.tls.identity import BadIdentity, IdentityFiles, read_identity

EVENT_MODES = ("all", "jobs", "silent", "none")
ABORT, WAIT = STOPPED_JOBS = ("abort", "wait")
UUID = "4509a320-00a0-008f-00b6-002507510eca"
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MAX_NAME = 127  # characters of a ScannerName


class SettingsError(Exception):
    """A mistake in a configuration file of the virtual scanner."""


def _endpoint(value: Any) -> str:
    try:
        serverFromString(None, checks.endpoint(value))
    except OSError as error:  # a file that an ssl: string names
        raise Wrong(f"a Twisted server endpoint whose files can be read ({error.strerror})") from None
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("a text")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise Wrong(f"a text of 1 to {MAX_NAME} characters")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise Wrong("a list of texts")
    return tuple(value)


def _one_of(allowed: Iterable[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in tuple(allowed):
            raise Wrong(f"one of {', '.join(allowed)}")
        return str(value)
    return check


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Wrong(f"a uuid such as {UUID}, without urn:uuid:")
    return value


def _key(check: Callable[[Any], Any], default: Any) -> Any:
    return attrs.field(default=default, metadata={"check": check})


@attrs.frozen
class Settings:
    """The settings of a virtual scanner. Times are in seconds.

    `events`: every event can be subscribed to (`all`), only job events (`jobs`), every event but
    none is sent (`silent`), or nothing (`none`). `refill` puts
    `feeder_pages` new pages into the feeder when a job has emptied it. The feeder jams once, when a job requests the
    page that follows the first `jam_after`. `stopped_jobs`: a jam or other trouble that stops the scanner aborts
    running jobs (`abort`), or they wait until it is cleared (`wait`). The lamp warms up for `warm_up_seconds` after the
    start and after each reboot. `busy_fault` is the subcode that refuses jobs, and `aborted_fault` the one that refuses
    images of a job that was aborted; with `reason` it is the ScannerStateReason. The scanner takes part in multicast
    discovery on `interfaces`, with `scopes` and `metadata_version`. With `certificate` and `key`, which name PEM files,
    it listens with TLS. `stamp` is printed on every page in place of the time, so that two scans are identical.
    """

    endpoint: str = _key(_endpoint, "tcp:8018:interface=127.0.0.1")
    name: str = _key(_name, "Virtual scanner")
    uuid: str = _key(_uuid, UUID)
    feeder_pages: int = _key(whole(0, 100000), 3)
    refill: bool = _key(checks.flag, True)
    page_seconds: float = _key(seconds(0.001, 3600, "no delay"), 0.5)
    request_seconds: float = _key(seconds(0.001, 3600, "no delay"), 0.0)
    jam_after: int = _key(whole(0, 100000), 0)  # pages; 0 means never
    stopped_jobs: str = _key(_one_of(STOPPED_JOBS), ABORT)
    warm_up_seconds: float = _key(seconds(0.001, 3600, "no warm-up"), 0.0)
    busy_fault: str = _key(_one_of(BUSY_FAULTS), "ServerErrorNotAcceptingJobs")
    aborted_fault: str = _key(_one_of(ABORTED_FAULTS), "ClientErrorNoImagesAvailable")
    job_timeout: float = _key(seconds(0.01, 86400), 60.0)
    events: str = _key(_one_of(EVENT_MODES), "all")
    subscription_expires: float = _key(seconds(0.1, 31536000), 3600.0)
    stamp: str = _key(_text, "")
    certificate: str = _key(_text, "")
    key: str = _key(_text, "")
    chunked: bool = _key(checks.flag, True)
    interfaces: tuple[str, ...] = _key(_texts, ())
    scopes: tuple[str, ...] = _key(_texts, ())
    metadata_version: int = _key(whole(0, 4294967295), 1)
    connections: int = _key(whole(0, 100000), 0)  # served at once; more must wait, 0 means no limit


def read_settings(path: str) -> Settings:
    """Read the settings from a file. Raises `SettingsError` with one line."""
    try:
        data = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # for numbers of 5,000 digits and deeply nested lists
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    for section in data:
        if section != "scanner":
            raise SettingsError(f"{path}: [{section}]: must be [scanner], the only section")
    return make_settings(data.get("scanner", {}), path)


def make_settings(table: dict[str, Any], path: str) -> Settings:
    """Make the settings from a parsed section. Raises `SettingsError`."""
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: scanner = {shown(table)}: must be a section [scanner]")
    fields = {field.name: field for field in attrs.fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise SettingsError(f"{path}: [scanner] {key} = {shown(value)}: must be one of the keys "
                                f"{', '.join(fields)}")
        try:
            values[key] = fields[key].metadata["check"](value)
        except Wrong as wrong:
            raise SettingsError(f"{path}: [scanner] {key} = {shown(value)}: must be {wrong}") from None
    folder = Path(path).resolve().parent
    values |= {key: str(folder / values[key]) for key in ("certificate", "key") if values.get(key)}
    settings = Settings(**values)
    if settings.certificate:
        try:
            read_identity(IdentityFiles(Path(settings.certificate), Path(settings.key or settings.certificate)))
        except BadIdentity as bad:
            raise SettingsError(f"{path}: [scanner] {bad.key} = {shown(table.get(bad.key, ''))}: must be {bad}"
                                ) from None
    return settings
