"""The folder of the upload queue: each waiting file, with a record of it in JSON beside it.

A file is in the queue from the moment its record exists: `ID.json` is written first and names the source of the scan,
then `ID.file` is made from it by a rename, a hard link or a copy. A record whose file is missing at a start has it made
again. A record that says `sent` or `failed` has its file deleted or moved, whatever has been done of that already. So
the process may end at any moment: a file that its server has not accepted is sent again, and nothing else is deleted.

`incoming/` has a folder for each destination without one of its own, with the scans that are being written, whose names
begin with a dot, and a file with the name of the destination beside it. `failed/` has the files that were given up; the
gateway never deletes anything there.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from wsdgateway.bridge.uploads.upload import FAILED, SENT, WAITING, Upload, as_record, from_record
from wsdgateway.storage.failedfiles import FailedFiles
from wsdgateway.storage.ownfolder import OwnFolder, problem_with_own_folder, sync
from wsdgateway.storage.store import NotOurs, StoreError

LOCK = "uploads.lock"
FAILED_FOLDER, INCOMING = "failed", "incoming"
MAX_ENTRIES = 100000  # in the folder at the start; a folder with more is another program's
MAX_RECORD = 65536  # bytes
_OURS = re.compile(r"([0-9a-f]{32})\.(json|file|tmp|part)")
_COPIED = 1 << 20  # bytes at a time


@attrs.frozen
class Found:
    """The rest of an earlier start: the files that wait, those without a record, and a line for each oddity.

    `scans` are complete scans in `incoming/`, each with the name of its destination.
    """

    uploads: list[Upload]
    scans: list[tuple[str, Path]]
    remarks: list[str]


class UploadFolder:
    """The folder, from `open` to `close`; no other process can use it meanwhile. Methods raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failed = FailedFiles(folder / FAILED_FOLDER)
        self.incoming = folder / INCOMING
        self._own = OwnFolder(folder, "upload queue", LOCK)

    def exists(self) -> bool:
        """True if a gateway has used the folder."""
        return os.path.lexists(self.folder / LOCK)

    def open(self) -> Found:
        """Make the folder, or read what an earlier start has left in it, and finish what was interrupted.

        Raises `NotOurs` for a folder that holds other files or that another gateway uses, and `StoreError` for one that
        cannot be used.
        """
        try:
            self._open()
            return self._recover()
        except OSError as error:
            self.close()
            raise StoreError(
                f"{error.filename or self.folder}: the upload queue cannot be used: {error.strerror}; it must be a "
                "folder of the gateway's own, or a new one in an existing folder, writable for its user") from None
        except StoreError:
            self.close()
            raise

    def _open(self) -> None:
        self._own.claim(self.check)
        for folder in (self.failed.folder, self.incoming):
            folder.mkdir(0o700, exist_ok=True)

    def check(self) -> None:
        """Raise `NotOurs` if there are other files."""
        for _ in self.entries():
            pass

    def entries(self) -> Iterator[tuple[str, str]]:
        """The id and the kind of each file of the queue. Raises `NotOurs` if there are other files."""
        with os.scandir(self.folder) as entries:
            for count, entry in enumerate(entries):
                if entry.name in (FAILED_FOLDER, INCOMING) and entry.is_dir(follow_symlinks=False):
                    continue
                is_file = entry.is_file(follow_symlinks=False)
                if entry.name == LOCK and is_file:
                    continue
                ours = _OURS.fullmatch(entry.name)
                if ours is None or not is_file or count > MAX_ENTRIES:
                    raise NotOurs(f"{self.folder}: the upload queue must be a folder of its own, but it contains "
                                  f"{entry.name!r}; move that away, or give another folder")
                yield ours[1], ours[2]

    def _recover(self) -> Found:
        found = Found([], [], [])
        kinds: dict[str, set[str]] = {}
        for name, kind in self.entries():
            kinds.setdefault(name, set()).add(kind)
        for name, present in kinds.items():
            for kind in present & {"tmp", "part"}:
                self._path(name, kind).unlink(missing_ok=True)
            if "json" in present:
                self._recover_record(name, found)
            elif "file" in present:
                self._set_aside(name, "it has no record", found)
        for folder in self.incoming.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                self._recover_scans(folder, found)
        return found

    def _recover_scans(self, folder: Path, found: Found) -> None:
        try:
            with folder.with_suffix(".json").open("rb") as file:
                destination = str(json.loads(file.read(MAX_RECORD)))
        except (OSError, ValueError, RecursionError):
            destination = ""
        recorded = {upload.source for upload in found.uploads}
        found.scans.extend((destination, path) for path in folder.iterdir() if not (
            path.name.startswith(".") or str(path) in recorded) and path.is_file())

    def _recover_record(self, name: str, found: Found) -> None:
        try:
            with self._path(name, "json").open("rb") as file:
                upload = from_record(json.loads(file.read(MAX_RECORD)))
            if upload.id != name:
                raise ValueError("its id is wrong")
        except (ValueError, RecursionError) as error:
            self._set_aside(name, f"its record cannot be read ({error})", found)
            self._path(name, "json").unlink(missing_ok=True)
            return
        if upload.state == WAITING:
            found.uploads.append(upload)
        else:
            self.finish(upload)

    def _set_aside(self, name: str, why: str, found: Found) -> None:
        path = self._path(name, "file")
        if path.exists():
            found.remarks.append(f"{path.name}: {why}; moved to {self.failed.add(path, path.name)}")

    # One file.

    def path_of(self, upload: Upload) -> Path:
        """The file to send."""
        return self._path(upload.id, "file")

    def write(self, upload: Upload) -> None:
        """Write the record; the one before is replaced as a whole."""
        temporary = self._path(upload.id, "tmp")
        try:
            temporary.write_text(json.dumps(as_record(upload)), encoding="utf-8")
            temporary.chmod(0o600)
            temporary.rename(self._path(upload.id, "json"))
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def take(self, upload: Upload) -> int | None:
        """Make the file from its source without waiting for the disk.

        Returns None, or a descriptor of the source, which the caller passes to `secure`, if the file must be copied.
        """
        source, path = Path(upload.source), self.path_of(upload)
        if path.exists():
            return None
        if self.is_incoming(source):
            source.rename(path)
            return None
        try:
            os.link(source, path, follow_symlinks=False)
            return None
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without hard links
            return os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def secure(self, upload: Upload, source: int | None) -> None:
        """Copy the file from a descriptor, which is closed, if there is one; then wait until all is on the disk."""
        if source is not None:
            part = self._path(upload.id, "part")
            try:
                with open(source, "rb") as file, part.open("wb") as copy:
                    os.fchmod(copy.fileno(), 0o600)
                    while data := file.read(_COPIED):
                        copy.write(data)
                    copy.flush()
                    os.fsync(copy.fileno())
                part.rename(self.path_of(upload))
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        for path in (self._path(upload.id, "json"), self.folder):
            sync(path)

    def update(self, upload: Upload) -> None:
        """Write the record, and wait until it is on the disk."""
        self.write(upload)
        sync(self._path(upload.id, "json"))
        sync(self.folder)

    def finish(self, upload: Upload) -> Path | None:
        """Remove a file from the queue that was sent, or move one that was given up; returns where it is then."""
        self.update(upload)
        path, moved = self.path_of(upload), None
        if upload.state == SENT:
            path.unlink(missing_ok=True)
        elif upload.state == FAILED and path.exists():
            moved = self.failed.add(path, upload.name, upload)
        self._path(upload.id, "json").unlink(missing_ok=True)
        return moved

    def forget(self, upload: Upload) -> None:
        """Remove the record of a file whose source is gone."""
        self._path(upload.id, "json").unlink(missing_ok=True)

    # The folders for scans and for files that were given up.

    def scan_folder(self, destination: str) -> Path:
        """The folder in which the scans of a destination without a folder are written."""
        name = hashlib.sha256(destination.encode()).hexdigest()[:32]  # a destination's may have any character
        folder = self.incoming / name
        if not folder.is_dir():
            folder.with_suffix(".json").write_text(json.dumps(destination))
            folder.mkdir(0o700, exist_ok=True)
        return folder

    def is_incoming(self, path: Path) -> bool:
        """True if a file is in the folder of a destination that has none of its own."""
        return path.parent.parent == self.incoming

    def give_up_scan(self, path: Path) -> Path:
        """Move a complete scan from `incoming/` to `failed/`."""
        return self.failed.add(path, path.name)

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"

    def close(self) -> None:
        """Let other processes use the folder."""
        self._own.release()


def problem_with_uploads(folder: Path) -> str | None:
    """The reason why the gateway could not use a folder for its uploads; None if it could. Nothing is changed."""
    return problem_with_own_folder(folder, UploadFolder(folder).check)
