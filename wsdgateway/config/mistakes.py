"""Collects the mistakes of a configuration file, each with its place, in the order of the file."""

import re
import sys
from collections.abc import Mapping
from typing import Any

from wsdgateway.config.positions import TomlPath, position_of
from wsdgateway.config.wrong import Section, shown

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(key: str) -> str:
    """Formats a key or a section name as it is written in the file."""
    return key if _BARE.fullmatch(key) else shown(key)


def place_in(file: str, line: int | None) -> str:
    """Formats a place in a file: `gateway.toml:7`, without the line if that is not known."""
    return file if line is None else f"{file}:{line}"


class Mistakes:
    """The mistakes of a configuration. `lines` has the line of each section and key in `file`."""

    def __init__(self, file: str, lines: Mapping[TomlPath, int]) -> None:
        self._file = file
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    @property
    def problems(self) -> list[str]:
        """The mistakes in the order of the file, those without a line last."""
        return [text for _, text in sorted(self._found, key=lambda found: found[0] or sys.maxsize)]

    def mistake(self, text: str, path: TomlPath = ()) -> None:
        """Records a mistake at a place in the file."""
        line = position_of(self._lines, path)
        self._found.append((line or 0, f"{place_in(self._file, line)}: {text}"))

    def wrong(self, section: Section, key: str, value: Any, wanted: str) -> None:
        """Records a wrong value: section, key, value, and what it must be."""
        self.mistake(f"{section} {written(key)} = {shown(value)}: must be {wanted}", (*section.path, key))

    def line_of(self, path: TomlPath) -> str:
        """Names the line of a value in a message: ` in line 7`; empty if it is not known."""
        line = position_of(self._lines, path)
        return "" if line is None else f" in line {line}"
