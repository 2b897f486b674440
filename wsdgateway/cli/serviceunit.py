"""The systemd unit that runs the gateway on this host, as far as `wsdgateway check` needs it.

Its files are read, and not systemd's state, because a check may also run in a container, or inside the unit itself.
systemd.unit(5), systemd.exec(5).
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import attrs

UNIT = "wsdgateway.service"
FOLDERS = tuple(Path(name) for name in (
    "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
    "/lib/systemd/system"))  # a unit in an earlier one hides those in later ones
MAX_UNIT = 1 << 18  # characters of one file
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")
_HOMES = ("/home", "/root", "/run/user")
_FOLDERS = {"StateDirectory": "/var/lib", "LogsDirectory": "/var/log", "CacheDirectory": "/var/cache",
            "RuntimeDirectory": "/run"}
_TEMPORARY = ("/tmp", "/var/tmp")  # replaced by empty ones with PrivateTmp
_NO = ("", "no", "false", "0", "off", "n", "f")


@attrs.frozen
class ServiceUnit:
    """A unit: the settings of its section `[Service]`, with drop-ins, in order."""

    settings: Mapping[str, Sequence[str]]

    @classmethod
    def installed(cls, folders: Sequence[Path] | None = None) -> "ServiceUnit | None":
        """Read the unit, by default from systemd's folders; None if there is none that can be read."""
        folders = FOLDERS if folders is None else folders
        main = next((folder / UNIT for folder in folders if (folder / UNIT).is_file()), None)
        if main is None:
            return None
        added = {file.name: file for folder in reversed(folders) for file in (folder / f"{UNIT}.d").glob("*.conf")}
        found: dict[str, list[str]] = {}
        for file in (main, *(added[name] for name in sorted(added))):
            try:
                with file.open(encoding="utf-8") as opened:
                    text = opened.read(MAX_UNIT)
            except (OSError, ValueError):
                continue
            for key, value in _settings(text):
                found[key] = [*found.get(key, ()), value] if value else []  # an empty value resets a list
        return cls(found)

    def runs(self, configuration: str) -> bool:
        """True if the gateway of this unit uses that configuration file."""
        words = self._words("ExecStart")
        given = [after for word, after in pairwise(words) if word in ("--config", "-c")]
        given += [word.partition("=")[2] for word in words if word.startswith("--config=")]
        return any(os.path.realpath(one) == os.path.realpath(configuration) for one in given)

    def environment(self) -> dict[str, str]:
        """The variables with the folders that systemd makes for the unit."""
        return {variable: ":".join(folders) for variable, folders in (
            ("STATE_DIRECTORY", self._made("StateDirectory")), ("LOGS_DIRECTORY", self._made("LogsDirectory")))
            if folders}

    def will_make(self, path: Path) -> bool:
        """True if systemd makes the folder in which the path is, for the service's user, when the unit starts."""
        return any(path.is_relative_to(one) and not os.path.lexists(one) for one in self._folders())

    def shuts(self, path: Path) -> bool:
        """True if the sandbox keeps the gateway from writing below a path."""
        if self._is_home(path):
            return not _is_below(path, self._bound())
        allowed = [one.lstrip("-+") for one in self._words("ReadWritePaths")]
        return self._last("ProtectSystem") == "strict" and not self.is_private(path) and not _is_below(
            path, (*allowed, *self._bound(), *self._folders()))

    def is_private(self, path: Path) -> bool:
        """True if the path is in temporary folders of the unit's own, which systemd removes when the unit stops."""
        return (self._last("PrivateTmp") not in _NO and _is_below(path, _TEMPORARY)
                and not _is_below(path, self._bound()))

    def cure(self, path: Path) -> str:
        """The lines of a drop-in that let the gateway write below a path."""
        return f"ProtectHome=tmpfs and BindPaths={_quoted(str(path))}" if self._is_home(path) else writable(path)

    def _is_home(self, path: Path) -> bool:
        return self._last("ProtectHome") not in (*_NO, "read-only") and _is_below(path, _HOMES)

    def _bound(self) -> list[str]:
        """The places of BindPaths in the unit's view: of each SOURCE, SOURCE:PLACE or SOURCE:PLACE:OPTIONS."""
        pairs = (one.lstrip("-").split(":") for one in self._words("BindPaths"))
        return [pair[1] if pair[1:] and pair[1] else pair[0] for pair in pairs]

    def _made(self, key: str) -> list[str]:
        return [f"{_FOLDERS[key]}/{name.partition(':')[0]}" for name in self._words(key)]

    def _folders(self) -> list[str]:
        return [folder for key in _FOLDERS for folder in self._made(key)]

    def _last(self, key: str) -> str:
        return next(iter(reversed(self.settings.get(key, ()))), "")

    def _words(self, key: str) -> list[str]:
        found = []
        for value in self.settings.get(key, ()):
            try:
                found += shlex.split(value.replace("%%", "%"))
            except ValueError:  # an open quotation mark: systemd ignores the line, too
                continue
        return found


def _is_below(path: Path, folders: Iterable[str]) -> bool:
    return any(path.is_relative_to(one) for one in folders)


def writable(path: Path) -> str:
    """The line of a unit that lets its service write below a path."""
    return f"ReadWritePaths={_quoted(str(path))}"


def _quoted(path: str) -> str:
    """A path as a unit takes it: in quotation marks if it has special characters, and each percent sign twice."""
    if _PLAIN.fullmatch(path):
        return path
    escaped = path.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """The keys and values of the section `[Service]`."""
    section = ""
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    for line in lines:
        if line.startswith("["):
            section = line
        key, equals, value = line.partition("=")
        if section == "[Service]" and equals and not line.startswith(("#", ";")):
            yield key.strip(), value.strip()
