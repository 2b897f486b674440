"""The capture folder: file names, size budget, and reading captures back.

A file name such as `20261122T103411.123Z-000042-front-desk-CreateScanJob-8ms.client.request.http` holds the time, the
number within this run, the scanner, the operation, the duration, the side, and request or response. File times are not
used, so a folder can be copied, packed and sent.
"""

import os
import re
import stat
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import attrs

from wsdgateway.exchangelog.tape import CLIENT, DEVICE, EVENT, Message

MAX_FILE = 1 << 30
MODE = 0o640
_NAME = re.compile(r"(?P<name>(?P<time>\d{8}T\d{6}\.\d{3})Z-(?P<number>\d{6,})-(?P<scanner>[a-z0-9-]{1,63}|_)-"
                   r"(?P<operation>[A-Za-z]+)-(?P<took>\d{1,9})ms)\.(?P<side>client|device|event)\.(?P<kind>request|response)\.http")
PART = ".part"
_PART = re.compile(r"\.\d+\.(client|device|event)\.(request|response)\.http\.part")
NOBODY = "_"  # stands in for the name if there is no scanner


class CaptureError(Exception):
    """A capture folder cannot be read; the text says why."""


def capture_name(time: float, number: int, scanner: str | None, operation: str, took: float) -> str:
    """Returns the name that the files of an exchange begin with. `time` is in seconds since 1970, `took` in seconds."""
    whole, thousandths = divmod(round(time * 1000), 1000)
    moment = datetime.fromtimestamp(whole, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{moment}.{thousandths:03d}Z-{number:06d}-{scanner or NOBODY}-{operation}-{round(took * 1000)}ms"


@attrs.frozen(eq=False)
class Captured:
    """A captured exchange. `time` is its start in seconds since 1970, `seconds` its duration.

    `files` maps each side to the files of its request and its response.
    """

    name: str
    time: float
    number: int
    scanner: str
    operation: str
    seconds: float
    files: dict[str, dict[str, Path]]

    @property
    def side(self) -> str:
        """The side on which the scanner was recorded; otherwise the client's side."""
        return next(side for side in (DEVICE, EVENT, CLIENT) if side in self.files)

    def read(self, side: str, kind: str) -> bytes | None:
        """Returns a message as it was on the wire; `kind` is `request` or `response`. Raises `CaptureError`."""
        path = self.files.get(side, {}).get(kind)
        if path is None:
            return None
        try:
            # A folder may come from anyone, attached to a bug report: only regular files in it are read.
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_FILE:
                    raise CaptureError(f"{path}: not a regular file, or larger than {MAX_FILE} bytes")
                return file.read()
        except OSError as error:
            raise CaptureError(f"{path}: {error.strerror}") from None


def read_folder(folder: Path) -> list[Captured]:
    """Returns the exchanges in a folder, ordered by time. Raises `CaptureError`."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise CaptureError(f"{folder}: {error.strerror}; give the folder in [exchange_log] capture") from None
    found: dict[str, Captured] = {}
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        captured = found.get(match["name"])
        if captured is None:
            try:
                time = datetime.strptime(match["time"], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
            captured = found[match["name"]] = Captured(
                match["name"], time, int(match["number"]), match["scanner"], match["operation"],
                int(match["took"]) / 1000, {})
        captured.files.setdefault(match["side"], {})[match["kind"]] = path
    if not found:
        raise CaptureError(f"{folder}: contains no captures; give the folder in [exchange_log] capture")
    return sorted(found.values(), key=lambda one: (one.time, one.number))


class CaptureFolder:
    """Writes captures; called in a thread, one call at a time. Raises `OSError`.

    `budget` is in bytes; the oldest exchanges are removed first. `is_first`: nothing else in this process writes to the
    folder, so unfinished files in it were left by an earlier run.
    """

    def __init__(self, folder: Path, budget: int, *, is_first: bool = True) -> None:
        self._folder = folder
        self._is_first = is_first
        self.budget = budget
        self._kept: deque[tuple[list[Path], int]] | None = None
        self._total = 0

    def _open(self) -> None:
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        sizes: dict[str, tuple[list[Path], int]] = {}
        for path in sorted(self._folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            about = path.lstat()
            if not stat.S_ISREG(about.st_mode):
                continue  # not a file of ours
            if match is not None:
                paths, size = sizes.get(match["name"], ([], 0))
                sizes[match["name"]] = ([*paths, path], size + about.st_size)
            elif _PART.fullmatch(path.name) and self._is_first:
                path.unlink()
        self._is_first = False
        self._kept = deque(sizes.values())
        self._total = sum(size for _, size in self._kept)

    def append(self, part: str, data: bytes, *, begins: bool) -> None:
        """Writes a piece of a message to its unfinished file; the first one if `begins`."""
        if self._kept is None or not self._folder.is_dir():
            self._open()
        with _private(self._folder / f".{part}{PART}", os.O_CREAT | os.O_TRUNC if begins else os.O_APPEND) as file:
            file.write(data)

    def finish(self, key: str, name: str, messages: Iterable[Message]) -> None:
        """Completes an exchange: writes its messages and renames its files to `name`."""
        if self._kept is None or not self._folder.is_dir():
            self._open()
        assert self._kept is not None
        paths: list[Path] = []
        size = 0
        try:
            for message in messages:
                part = self._folder / f".{key}.{message.suffix}{PART}"
                with _private(part, os.O_APPEND if message.spilled else os.O_CREAT | os.O_TRUNC) as file:
                    file.write(message.raw)
                size += part.stat().st_size
                path = self._folder / f"{name}.{message.suffix}"
                part.rename(path)
                paths.append(path)
        except OSError:
            for path in paths:
                path.unlink(missing_ok=True)
            self.drop(key)
            raise
        self._kept.append((paths, size))
        self._total += size
        while self._total > self.budget and self._kept:
            old, size = self._kept.popleft()
            self._total -= size
            for path in old:
                path.unlink(missing_ok=True)

    def drop(self, key: str) -> None:
        """Deletes the unfinished files of an exchange."""
        for path in self._folder.glob(f".{key}.*{PART}"):
            path.unlink(missing_ok=True)


def _private(path: Path, flags: int) -> BinaryIO:
    """Opens a file for writing with mode `MODE`; does not follow a symbolic link."""
    return open(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | flags, MODE), "wb")
