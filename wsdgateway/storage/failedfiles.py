"""The folder `failed/` of the upload queue: files that were given up, and a file with the reason beside each.

Nothing in it is ever replaced or deleted, except by the user.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from wsdgateway.bridge.uploads.upload import Upload, as_record
from wsdgateway.storage.ownfolder import sync

REASON = ".json"  # is added to the name of a file
MAX_NAME = 255  # bytes of a file name
_SHOWN = ("destination", "scanner", "pages", "queued", "attempts", "reason")


class FailedFiles:
    """The folder. It is made again if the user has removed it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: Path, name: str, upload: Upload | None = None) -> Path:
        """Move a file here under a name that is free, with the reason of the upload; returns its path.

        Raises `OSError`.
        """
        self.folder.mkdir(0o700, exist_ok=True)
        target = self._free(name)
        if upload is not None:
            reason = target.with_name(f"{target.name}{REASON}")
            record = as_record(upload)
            reason.write_text(json.dumps({key: record[key] for key in _SHOWN}, indent=1) + "\n")
            reason.chmod(0o600)
        path.rename(target)
        sync(self.folder)
        return target

    def _free(self, name: str) -> Path:
        """A new, empty file, which holds the name: a rename alone would replace a file that the user has put here."""
        for target in _names(self.folder, name):
            if target.with_name(f"{target.name}{REASON}").exists():
                continue
            try:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                return target
            except FileExistsError:
                continue
        raise AssertionError("there is always another number")

    def sizes(self) -> list[int]:
        """The sizes of the files, without those of the reasons."""
        try:
            with os.scandir(self.folder) as entries:
                return [entry.stat(follow_symlinks=False).st_size for entry in entries
                        if not entry.name.endswith(REASON)]
        except OSError:
            return []  # the user has removed it meanwhile


def _names(folder: Path, name: str) -> Iterator[Path]:
    """A name in a folder, then the same with numbers before its extension."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 8:
        stem, dot, extension = name, "", ""
    kept = os.fsencode(stem)[:MAX_NAME - 32].decode(errors="ignore") or "file"
    yield folder / f"{kept}{dot}{extension}"
    number = 1
    while True:
        number += 1
        yield folder / f"{kept}-{number}{dot}{extension}"
