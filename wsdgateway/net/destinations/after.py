"""Interface between destinations and the handling of their files: uploads and commands."""

from pathlib import Path
from typing import Protocol

import attrs


@attrs.frozen
class WrittenFile:
    """A complete file of a destination: its path, the names of scanner and destination, and the number of its pages."""

    path: Path
    scanner: str
    destination: str
    pages: int


class IAfterScan(Protocol):
    """Uploads files and runs commands after destinations have written files."""

    def refusal(self, destination: str) -> str | None:
        """Return why a scan to `destination` must be refused before CreateScanJob, as a clause, or None."""

    def upload_folder(self, destination: str) -> Path:
        """Return the folder for files of a destination without `folder`, on the file system of the upload queue.

        A complete file in it is uploaded after the next start if the process ends before `written` was called. Raises
        `OSError`.
        """

    def written(self, file: WrittenFile) -> None:
        """Upload `file` and run the command for it, as the destination's settings say; returns at once."""

    async def stop(self) -> None:
        """End running uploads and commands; queued files are kept for the next start."""
