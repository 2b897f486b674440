"""Reads the configuration from TOML into frozen values, or raises one error that lists every mistake."""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from wsdgateway.config.arraysections import array_section
from wsdgateway.config.certificates import check_tls
from wsdgateway.config.cluster import check_cluster
from wsdgateway.config.conflicts import check_addresses, check_names, check_ports
from wsdgateway.config.destinations import check_destinations
from wsdgateway.config.esclports import check_escl
from wsdgateway.config.headerfile import check_header_files
from wsdgateway.config.mistakes import Mistakes, place_in, written
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
from wsdgateway.program import folder_of


class ConfigError(Exception):
    """A configuration has mistakes: `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


_TABLES = {"gateway": Gateway, "cache": Cache, "events": Events, "discovery": Discovery, "limits": LimitsConfig,
           "exchange_log": ExchangeLog, "admin": Admin, "escl": Escl, "uploads": UploadsConfig, "cluster": Cluster}
_ARRAYS = {"listen": Listen, "scanner": ScannerConfig, "allow": Allow,
           "destination": Destination}
_SECTIONS = {**{name: f"[{name}]" for name in _TABLES}, **{name: f"[[{name}]]" for name in _ARRAYS}}
_SYNTAX = re.compile(r"\(at line (\d+), column")
MAX_FILE = 1 << 20  # bytes
_MAX_COMPARED = 100  # characters of an unknown name that are compared with the known ones


def _alternative(name: str, known: dict[str, str], what: str) -> str:
    """Completes a message about an unknown name: the similar one or, if there is none, all of them.

    `known` has the form in which each name is shown.
    """
    similar = difflib.get_close_matches(name[:_MAX_COMPARED].lower(), known, 1)
    return f"did you mean {known[similar[0]]}?" if similar else f"{what} are {', '.join(known.values())}"


def _read_section(kind: Any, section: Section, table: Any, mistakes: Mistakes) -> Any:
    """Reads a section; returns None if it has mistakes."""
    if not isinstance(table, dict):
        name = section.label.strip("[] 0123456789")
        mistakes.mistake(f"{name} = {shown(table)}: must be a section that begins with "
                         f"{section.label.rstrip(' 0123456789')}", section.path)
        return None
    before = len(mistakes)
    fields = {field.name: field for field in attrs.fields(kind)}
    values = {}
    for key, value in table.items():
        if key not in fields:
            known = {name: name for name in fields}
            mistakes.mistake(f"{section} {written(key)}: unknown key; {_alternative(key, known, 'the keys')}",
                             (*section.path, key))
            continue
        try:
            values[key] = fields[key].metadata["check"](value)
        except Wrong as wrong:
            show = fields[key].metadata.get("show")
            mistakes.wrong(section, key, show(value) if show else value, str(wrong))
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in table:
            mistakes.mistake(f"{section}: {name} is missing; it must be {_wanted(field.metadata['check'])}",
                             section.path)
    return kind(**values) if len(mistakes) == before else None


def _wanted(check: Callable[[Any], Any]) -> str:
    try:
        check(None)
    except Wrong as wrong:
        return str(wrong)
    return "a value"


def places_in(file: str) -> Callable[[TomlPath], str]:
    """Returns a function that names the place of a section or key in a configuration file: `gateway.toml:7`.

    Reads the file, which should be valid; if it cannot be read any more, places are named without a line.
    """
    try:
        lines = find_positions(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        lines = {}
    return lambda path: place_in(file, position_of(lines, path))


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
        place = place_in(path, int(found[1]) if found else None)
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
    mistakes = Mistakes(path, lines)
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name in _TABLES:
            values[name] = _read_section(_TABLES[name], Section(f"[{name}]", (name,)), table, mistakes)
        elif name in _ARRAYS:
            if not isinstance(table, list):
                given = f"[{name}]" if isinstance(table, dict) else f"{name} = {shown(table)}"
                mistakes.mistake(f"{given}: must be written as a section [[{name}]], in double brackets", (name,))
                continue
            values[name] = tuple(
                _read_section(_ARRAYS[name], array_section(
                    name, position, entry.get("name") if isinstance(entry, dict) else None), entry, mistakes)
                for position, entry in enumerate(table))
        else:
            mistakes.mistake(f"[{written(name)}]: unknown section; {_alternative(name, _SECTIONS, 'the sections')}",
                            (name,))
    if not data.get("listen"):
        mistakes.mistake('there is no [[listen]] section; at least one is needed, with an endpoint such as "tcp:5357"')
    check_names(data, mistakes)
    check_addresses(data, mistakes)
    check_ports(values, mistakes)
    check_escl(values, mistakes)
    check_destinations(values, mistakes)
    folder = Path(path).resolve().parent
    check_header_files(values, folder, mistakes.wrong)
    check_tls(values, folder, mistakes.wrong)
    check_cluster(values, folder, mistakes.wrong)
    if mistakes.problems:
        raise ConfigError(mistakes.problems)
    return Config(folder=folder, file=path, **values)


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
