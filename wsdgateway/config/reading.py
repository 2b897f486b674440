"""Reads the configuration from TOML into frozen values, or raises one error that lists every mistake."""

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from wsdgateway.bridge.discovery.adoption import NAME
from wsdgateway.config.certificates import check_tls
from wsdgateway.config.cluster import check_cluster
from wsdgateway.config.destinations import check_destinations
from wsdgateway.config.endpoints import listening_place
from wsdgateway.config.esclports import check_escl
from wsdgateway.config.headerfile import check_header_files
from wsdgateway.config.positions import EMPTY, TomlPath, find_positions, position_of
from wsdgateway.config.sections import (
    Admin,
    Allow,
    Cache,
    Cluster,
    Config,
    Destination,
    Discovery,
    Escl,
    Events,
    ExchangeLog,
    Gateway,
    LimitsConfig,
    Listen,
    ScannerConfig,
    UploadsConfig,
)
from wsdgateway.config.wrong import Section, Wrong, shown
from wsdgateway.discovery.identity import identity_of
from wsdgateway.program import folder_of


class ConfigError(Exception):
    """A configuration has mistakes: `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TABLES = {"gateway": Gateway, "cache": Cache, "events": Events, "discovery": Discovery, "limits": LimitsConfig,
           "exchange_log": ExchangeLog, "admin": Admin, "escl": Escl, "uploads": UploadsConfig, "cluster": Cluster}
_ARRAYS = {"listen": Listen, "scanner": ScannerConfig, "allow": Allow,
           "destination": Destination}
_SECTIONS = {**{name: f"[{name}]" for name in _TABLES}, **{name: f"[[{name}]]" for name in _ARRAYS}}
_SYNTAX = re.compile(r"\(at line (\d+), column")
MAX_FILE = 1 << 20  # bytes
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
    def __init__(self, file: str, lines: Mapping[TomlPath, int]) -> None:
        self.file = file
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    @property
    def problems(self) -> list[str]:
        """The mistakes in the order of the file, those without a line last."""
        return [text for _, text in sorted(self._found, key=lambda found: found[0] or sys.maxsize)]

    def mistake(self, text: str, path: TomlPath = ()) -> None:
        line = position_of(self._lines, path)
        self._found.append((line or 0, f"{_place(self.file, line)}: {text}"))

    def wrong(self, section: Section, key: str, value: Any, wanted: str) -> None:
        self.mistake(f"{section} {_name(key)} = {shown(value)}: must be {wanted}", (*section.path, key))

    def line_of(self, path: TomlPath) -> str:
        """Names the line of a value in a message: ` in line 7`; empty if it is not known."""
        line = position_of(self._lines, path)
        return "" if line is None else f" in line {line}"

    def section(self, kind: Any, section: Section, table: Any) -> Any:
        """Reads a section; returns None if it has mistakes."""
        if not isinstance(table, dict):
            name = section.label.strip("[] 0123456789")
            self.mistake(f"{name} = {shown(table)}: must be a section that begins with "
                         f"{section.label.rstrip(' 0123456789')}", section.path)
            return None
        before = len(self._found)
        fields = {field.name: field for field in attrs.fields(kind)}
        values = {}
        for key, value in table.items():
            if key not in fields:
                known = {name: name for name in fields}
                self.mistake(f"{section} {_name(key)}: unknown key; {_alternative(key, known, 'the keys')}",
                             (*section.path, key))
                continue
            try:
                values[key] = fields[key].metadata["check"](value)
            except Wrong as wrong:
                show = fields[key].metadata.get("show")
                self.wrong(section, key, show(value) if show else value, str(wrong))
        for name, field in fields.items():
            if field.default is attrs.NOTHING and name not in table:
                self.mistake(f"{section}: {name} is missing; it must be {_wanted(field.metadata['check'])}",
                             section.path)
        return kind(**values) if len(self._found) == before else None


def _wanted(check: Callable[[Any], Any]) -> str:
    try:
        check(None)
    except Wrong as wrong:
        return str(wrong)
    return "a value"


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def places_in(file: str) -> Callable[[TomlPath], str]:
    """Returns a function that names the place of a section or key in a configuration file: `gateway.toml:7`.

    Reads the file, which should be valid; if it cannot be read any more, places are named without a line.
    """
    try:
        lines = find_positions(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        lines = {}
    return lambda path: _place(file, position_of(lines, path))


def read_config(path: str, environment: Mapping[str, str] = os.environ) -> Config:
    """Reads the configuration from a file. Raises `ConfigError`.

    The store is in `$STATE_DIRECTORY` of the environment, if there is one and the file does not say where.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ConfigError([f"{path}: must be a file of at most {MAX_FILE} bytes"])
        text = content.decode("utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"{path}: cannot read the file: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object[:error.start].count(b"\n") + 1
        raise ConfigError([f"{path}:{line}: the file is not UTF-8 text"]) from None
    # tomllib raises these also for numbers of 5,000 digits and for deeply nested lists.
    except (ValueError, RecursionError) as error:
        hint = "; is a quotation mark missing?" if "Illegal character '\\n'" in str(error) else (
            "; save the file as UTF-8 without a byte order mark" if text.startswith("\ufeff") else "")
        found = _SYNTAX.search(str(error))
        place = _place(path, int(found[1]) if found else None)
        raise ConfigError([f"{place}: not valid TOML: {error}{hint}"]) from None
    config = make_config(data, path, find_positions(text))
    config = attrs.evolve(config, state_directory=folder_of("STATE_DIRECTORY", environment))
    return config if "state" in data.get("gateway", {}) else _in_state_directory(config)


def read_config_again(path: str) -> Config:
    """Reads the configuration of a running gateway from its file. Raises `ConfigError`, also for a pipe.

    Nobody may write to a pipe again, and the gateway would wait for that.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError([f"{path}: must be a regular file to be read again; restart the gateway with one"])
    return read_config(path)


def _in_state_directory(config: Config) -> Config:
    """Moves the default store to the folder that systemd makes for the service, unless one lies at the former place."""
    if config.state_directory is None:
        return config
    default = config.state_directory / config.gateway.state.partition(":")[2]
    if default.parent != config.folder and os.path.exists(config.folder / default.name):
        return attrs.evolve(config, unused_state=default)
    return attrs.evolve(config, gateway=attrs.evolve(config.gateway, state=f"sqlite:{default}"))


def make_config(data: dict[str, Any], path: str, lines: Mapping[TomlPath, int] = EMPTY) -> Config:
    """Builds the configuration from parsed TOML. Raises `ConfigError`.

    `path` is the file named in messages; `lines` gives the line of each section and key in it.
    """
    reading = _Reading(path, lines)
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name in _TABLES:
            values[name] = reading.section(_TABLES[name], Section(f"[{name}]", (name,)), table)
        elif name in _ARRAYS:
            if not isinstance(table, list):
                written = f"[{name}]" if isinstance(table, dict) else f"{name} = {shown(table)}"
                reading.mistake(f"{written}: must be written as a section [[{name}]], in double brackets", (name,))
                continue
            values[name] = tuple(reading.section(_ARRAYS[name], _section(name, position, entry), entry)
                                 for position, entry in enumerate(table))
        else:
            reading.mistake(f"[{_name(name)}]: unknown section; {_alternative(name, _SECTIONS, 'the sections')}",
                            (name,))
    if not data.get("listen"):
        reading.mistake('there is no [[listen]] section; at least one is needed, with an endpoint such as "tcp:5357"')
    _check_together(reading, data)
    _check_ports(reading, values)
    check_escl(values, reading)
    check_destinations(values, reading)
    folder = Path(path).resolve().parent
    check_header_files(values, folder, reading.wrong)
    check_tls(values, folder, reading.wrong)
    check_cluster(values, folder, reading.wrong)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Config(folder=folder, file=path, **values)


def _section(array: str, position: int, entry: Any) -> Section:
    """A section of an array, named by its `name` or, without one, by its position, counted from 1."""
    name = entry.get("name") if isinstance(entry, dict) else None
    label = name if isinstance(name, str) and NAME.fullmatch(name) else str(position + 1)
    return Section(f"[[{array}]] {label}", (array, position))


def _check_together(reading: _Reading, data: dict[str, Any]) -> None:
    """Checks values against each other: each scanner has one address, and no name, uuid or endpoint occurs twice."""
    for array, key in (("scanner", "name"), ("scanner", "uuid"), ("listen", "endpoint")):
        seen: dict[str, TomlPath] = {}
        entries = data.get(array)
        for position, entry in enumerate(entries if isinstance(entries, list) else []):
            value = entry.get(key) if isinstance(entry, dict) else None
            path = (array, position, key)
            if isinstance(value, str) and _alike(key, value) in seen:
                reading.wrong(Section(f"[[{array}]] {position + 1}", path[:-1]), key, value,
                              f"unique among the [[{array}]] sections; it is also given"
                              f"{reading.line_of(seen[_alike(key, value)]) or ' before'}")
            elif isinstance(value, str):
                seen[_alike(key, value)] = path
    scanners = data.get("scanner")
    for position, entry in enumerate(scanners if isinstance(scanners, list) else []):
        if not isinstance(entry, dict):
            continue
        section = _section("scanner", position, entry)
        given = [key for key in ("scan", "device", "uuid") if key in entry]
        if not given:
            reading.mistake(f"{section} has no address; give scan, device or uuid", section.path)
        elif len(given) > 1:
            reading.mistake(f"{section} has {' and '.join(given)}; give only one of scan, device and uuid",
                            (*section.path, given[1]))
        if given == ["scan"] and entry.get("identity") == "same":
            reading.wrong(section, "identity", "same",
                          "\"derived\", because the address in scan does not reveal the scanner's uuid; give device or "
                          "uuid instead")


def _check_ports(reading: _Reading, values: dict[str, Any]) -> None:
    """Checks that no two of [[listen]], [admin] and [cluster] have the same port and interface, in any spelling."""
    listeners = [*((_section("listen", position, None), one) for position, one in enumerate(values.get("listen", ()))),
                 (Section("[admin]", ("admin",)), values.get("admin")),
                 (Section("[cluster]", ("cluster",)), values.get("cluster"))]
    seen: dict[tuple[str, int], tuple[Section, str]] = {}
    for section, one in listeners:
        place = None if one is None or one.endpoint is None else listening_place(one.endpoint)
        if one is None or place is None:
            continue
        former, endpoint = seen.setdefault(place, (section, one.endpoint))
        if former is not section and (endpoint != one.endpoint or not section.label.startswith("[[")):
            reading.wrong(section, "endpoint", one.endpoint, f"unique: {former} has the same port and interface"
                          f"{reading.line_of((*former.path, 'endpoint'))}")


def _alike(key: str, value: str) -> str:
    """Normalizes a value, so that equal results name the same thing."""
    return identity_of(value) if key == "uuid" else value


CANDIDATES = ("gateway.toml", "/etc/wsdgateway/gateway.toml")
_GIVE = "give a file with --config FILE, or try --demo"


def find_config(do: str = _GIVE) -> str:
    """Returns the configuration file that is used when none is named. Raises `ConfigError`, which says what to `do`."""
    for candidate in CANDIDATES:
        try:
            Path(candidate).stat()
        except PermissionError:
            return candidate  # it may exist; reading it will report the problem
        except OSError:
            continue
        return candidate
    raise ConfigError([f"no configuration: neither ./{CANDIDATES[0]} nor {CANDIDATES[1]} exists; {do}"])
