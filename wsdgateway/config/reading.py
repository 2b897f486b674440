"""Reads the configuration from TOML into frozen values, or raises one error that lists every mistake."""

import difflib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from wsdgateway.config.certificates import check_tls
from wsdgateway.config.checks import NAME
from wsdgateway.config.sections import (
    Admin,
    Allow,
    Cache,
    Config,
    Discovery,
    Events,
    ExchangeLog,
    Gateway,
    LimitsConfig,
    Listen,
    ScannerConfig,
)
from wsdgateway.config.wrong import Wrong, shown
from wsdgateway.discovery.identity import identity_of


class ConfigError(Exception):
    """A configuration has mistakes: `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TABLES = {"gateway": Gateway, "cache": Cache, "events": Events, "discovery": Discovery, "limits": LimitsConfig,
           "exchange_log": ExchangeLog, "admin": Admin}
_ARRAYS = {"listen": Listen, "scanner": ScannerConfig, "allow": Allow}
_SECTIONS = {**{name: f"[{name}]" for name in _TABLES}, **{name: f"[[{name}]]" for name in _ARRAYS}}
_MAX_COMPARED = 100  # characters of an unknown name that are compared with the known ones


def _name(key: str) -> str:
    """Formats a key or a section name as it is written in the file."""
    return key if _BARE.fullmatch(key) else shown(key)


def _alternative(name: str, known: dict[str, str], what: str) -> str:
    """Completes a message about an unknown name: the similar one or, if there is none, all of them.

    `known` has the form in which each name is shown.
    """
    similar = difflib.get_close_matches(name[:_MAX_COMPARED].lower(), known, 1)
    return f"did you mean {known[similar[0]]}?" if similar else f"{what} are {', '.join(known.values())}"


class _Reading:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []

    def mistake(self, text: str) -> None:
        self.problems.append(f"{self.file}: {text}")

    def wrong(self, section: str, key: str, value: Any, wanted: str) -> None:
        self.mistake(f"{section} {_name(key)} = {shown(value)}: must be {wanted}")

    def section(self, kind: Any, section: str, table: Any) -> Any:
        """Reads a section; returns None if it has mistakes."""
        if not isinstance(table, dict):
            name = section.strip("[] 0123456789")
            self.mistake(f"{name} = {shown(table)}: must be a section that begins with {section.rstrip(' 0123456789')}")
            return None
        before = len(self.problems)
        fields = {field.name: field for field in attrs.fields(kind)}
        values = {}
        for key, value in table.items():
            if key not in fields:
                known = {name: name for name in fields}
                self.mistake(f"{section} {_name(key)}: unknown key; {_alternative(key, known, 'the keys')}")
                continue
            try:
                values[key] = fields[key].metadata["check"](value)
            except Wrong as wrong:
                show = fields[key].metadata.get("show")
                self.wrong(section, key, show(value) if show else value, str(wrong))
        for name, field in fields.items():
            if field.default is attrs.NOTHING and name not in table:
                self.mistake(f"{section}: {name} is missing; it must be {_wanted(field.metadata['check'])}")
        return kind(**values) if len(self.problems) == before else None


def _wanted(check: Callable[[Any], Any]) -> str:
    try:
        check(None)
    except Wrong as wrong:
        return str(wrong)
    return "a value"


def read_config(path: str) -> Config:
    """Reads the configuration from a file. Raises `ConfigError`."""
    try:
        data = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot read the file: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: the file is not UTF-8 text"]) from None
    # tomllib raises these also for numbers of 5,000 digits and for deeply nested lists.
    except (ValueError, RecursionError) as error:
        hint = "; is a quotation mark missing?" if "Illegal character '\\n'" in str(error) else ""
        raise ConfigError([f"{path}: not valid TOML: {error}{hint}"]) from None
    return make_config(data, path)


def make_config(data: dict[str, Any], path: str) -> Config:
    """Builds the configuration from parsed TOML; `path` is the file named in messages. Raises `ConfigError`."""
    reading = _Reading(path)
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name in _TABLES:
            values[name] = reading.section(_TABLES[name], f"[{name}]", table)
        elif name in _ARRAYS:
            if not isinstance(table, list):
                written = f"[{name}]" if isinstance(table, dict) else f"{name} = {shown(table)}"
                reading.mistake(f"{written}: must be written as a section [[{name}]], in double brackets")
                continue
            values[name] = tuple(reading.section(_ARRAYS[name], f"[[{name}]] {_label(entry, position)}", entry)
                                 for position, entry in enumerate(table, 1))
        else:
            reading.mistake(f"[{_name(name)}]: unknown section; {_alternative(name, _SECTIONS, 'the sections')}")
    if not data.get("listen"):
        reading.mistake('there is no [[listen]] section; at least one is needed, with an endpoint such as "tcp:5357"')
    _check_together(reading, data)
    folder = Path(path).resolve().parent
    check_tls(values, folder, reading.wrong)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Config(folder=folder, file=path, **values)


def _label(entry: Any, position: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and NAME.fullmatch(name) else str(position)


def _check_together(reading: _Reading, data: dict[str, Any]) -> None:
    """Checks values against each other: each scanner has one address, and no name, uuid or endpoint occurs twice."""
    for array, key in (("scanner", "name"), ("scanner", "uuid"), ("listen", "endpoint")):
        seen: set[str] = set()
        entries = data.get(array)
        for position, entry in enumerate(entries if isinstance(entries, list) else [], 1):
            value = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(value, str) and _alike(key, value) in seen:
                reading.wrong(f"[[{array}]] {position}", key, value, f"unique among the [[{array}]] sections")
            elif isinstance(value, str):
                seen.add(_alike(key, value))
    scanners = data.get("scanner")
    for position, entry in enumerate(scanners if isinstance(scanners, list) else [], 1):
        if not isinstance(entry, dict):
            continue
        given = [key for key in ("scan", "device", "uuid") if key in entry]
        if not given:
            reading.mistake(f"[[scanner]] {_label(entry, position)} has no address; give scan, device or uuid")
        elif len(given) > 1:
            reading.mistake(f"[[scanner]] {_label(entry, position)} has {' and '.join(given)}; give only one of scan, "
                            "device and uuid")
        if given == ["scan"] and entry.get("identity") == "same":
            reading.wrong(f"[[scanner]] {_label(entry, position)}", "identity", "same",
                          "\"derived\", because the address in scan does not reveal the scanner's uuid; give device or "
                          "uuid instead")


def _alike(key: str, value: str) -> str:
    """Normalizes a value, so that equal results name the same thing."""
    return identity_of(value) if key == "uuid" else value


CANDIDATES = ("gateway.toml", "/etc/wsdgateway/gateway.toml")


def find_config() -> str:
    """Returns the configuration file that is used when none is named. Raises `ConfigError`."""
    for candidate in CANDIDATES:
        try:
            Path(candidate).stat()
        except PermissionError:
            return candidate  # it may exist; reading it will report the problem
        except OSError:
            continue
        return candidate
    raise ConfigError([f"no configuration: neither ./{CANDIDATES[0]} nor {CANDIDATES[1]} exists; give a file with "
                       "--config FILE, or try --demo"])
