"""The folder of captures: names of files, its budget, and reading it back.

`20261122T103411.123Z-000042-front-desk-CreateScanJob.client.request.http` and its like: when, the number in this run,
the scanner, the operation, the side, and which of the two messages. A response's time of change is when it was whole.
"""

import os
import re
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import attrs

from wsdgateway.exchangelog.tape import CLIENT, DEVICE, EVENT, Message

MAX_FILE = 1 << 30
MODE = 0o640
_NAME = re.compile(r"(?P<name>(?P<time>\d{8}T\d{6}\.\d{3})Z-(?P<number>\d{6,})-(?P<scanner>[a-z0-9-]{1,63})-"
                   r"(?P<operation>[A-Za-z]+))\.(?P<side>client|device|event)\.(?P<kind>request|response)\.http")
PART = ".part"


class CaptureError(Exception):
    """A folder of captures can't be read; the text says why."""


def capture_name(time: float, number: int, scanner: str | None, operation: str) -> str:
    """The name that the files of an exchange begin with. `time` in seconds since 1970."""
    whole, thousandths = divmod(round(time * 1000), 1000)
    moment = datetime.fromtimestamp(whole, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{moment}.{thousandths:03d}Z-{number:06d}-{scanner or 'gateway'}-{operation}"


@attrs.frozen(eq=False)
class Captured:
    """An exchange as it was captured. `time` is when it began, `seconds` how long it took, where that is known.

    `files` leads from a side to the files of its request and its response.
    """

    name: str
    time: float
    number: int
    scanner: str
    operation: str
    files: dict[str, dict[str, Path]]

    @property
    def side(self) -> str:
        """The side on which the scanner itself was heard, or else the other."""
        return next(side for side in (DEVICE, EVENT, CLIENT) if side in self.files)

    def seconds(self, side: str) -> float:
        """How long it took until the answer was whole."""
        response = self.files.get(side, {}).get("response")
        return 0.0 if response is None else max(0.0, response.stat().st_mtime - self.time)

    def read(self, side: str, kind: str) -> bytes | None:
        """A message as on the wire, `request` or `response`. Raises `CaptureError`."""
        path = self.files.get(side, {}).get(kind)
        if path is None:
            return None
        try:
            if path.stat().st_size > MAX_FILE:
                raise CaptureError(f"{path}: larger than {MAX_FILE} bytes")
            return path.read_bytes()
        except OSError as error:
            raise CaptureError(f"{path}: {error.strerror}") from None


def read_folder(folder: Path) -> list[Captured]:
    """The exchanges in a folder, in the order of their time. Raises `CaptureError`."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise CaptureError(f"{folder}: {error.strerror}; name a folder that [exchange_log] capture wrote") from None
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
                match["name"], time, int(match["number"]), match["scanner"], match["operation"], {})
        captured.files.setdefault(match["side"], {})[match["kind"]] = path
    if not found:
        raise CaptureError(f"{folder}: there are no captures in it; name a folder that [exchange_log] capture wrote")
    return sorted(found.values(), key=lambda one: (one.time, one.number))


class CaptureFolder:
    """Writes captures; called in a thread, one call at a time. Raises `OSError`.

    `budget` is in bytes: the oldest exchanges are removed first.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self.budget = budget
        self._kept: deque[tuple[list[Path], int]] | None = None
        self._total = 0

    def _open(self) -> None:
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        sizes: dict[str, tuple[list[Path], int]] = {}
        for path in sorted(self._folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is not None:
                paths, size = sizes.get(match["name"], ([], 0))
                sizes[match["name"]] = ([*paths, path], size + path.stat().st_size)
            elif path.name.endswith(PART):
                path.unlink()
        self._kept = deque(sizes.values())
        self._total = sum(size for _, size in self._kept)

    def append(self, part: str, data: bytes) -> None:
        """More of a message that goes to disk as it passes."""
        if self._kept is None:
            self._open()
        with _private(self._folder / f".{part}{PART}", os.O_APPEND) as file:
            file.write(data)

    def finish(self, key: str, name: str, messages: Iterable[Message], ended: float) -> None:
        """The exchange is over; its files appear."""
        if self._kept is None:
            self._open()
        assert self._kept is not None
        paths: list[Path] = []
        size = 0
        try:
            for message in messages:
                part = self._folder / f".{key}.{message.suffix}{PART}"
                with _private(part, os.O_APPEND if message.spilled else os.O_TRUNC) as file:
                    file.write(message.raw)
                size += part.stat().st_size
                os.utime(part, (ended, ended))
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
        """The exchange is not kept."""
        for path in self._folder.glob(f".{key}.*{PART}"):
            path.unlink(missing_ok=True)


def _private(path: Path, flags: int) -> BinaryIO:
    """A file for writing that is nobody else's business."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | flags, MODE), "wb")
