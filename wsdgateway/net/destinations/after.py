"""What happens to a scanned file after it was written: the interface between destinations and uploads and commands."""

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
        """Return a sentence that says why a scan to `destination` must be refused before CreateScanJob, or None."""

    def upload_folder(self) -> Path:
        """Return the folder for files of destinations without `folder`, on the same file system as the upload queue."""

    def written(self, file: WrittenFile) -> None:
        """Upload `file` and run the command for it, as the destination's settings say; returns at once."""

    async def stop(self) -> None:
        """End running uploads and commands; queued files are kept for the next start."""
