"""The size of a scanned page in pixels. eSCL, ScanImageInfo."""

from typing import Self

import attrs

from wsdgateway.escl.reading import count, parse_document, text
from wsdgateway.escl.writing import document, element


@attrs.frozen
class ScanImageInfo:
    """The size of the page that was fetched last: pixels in a line, lines, and bytes in a line if they are known."""

    job_uri: str
    width: int
    height: int
    bytes_per_line: int | None = None
    job_uuid: str | None = None

    def write(self) -> bytes:
        """The document."""
        return document("ScanImageInfo", (
            element("pwg:JobUri", self.job_uri) + element("pwg:JobUuid", self.job_uuid)
            + element("scan:ActualWidth", self.width) + element("scan:ActualHeight", self.height)
            + element("scan:ActualBytesPerLine", self.bytes_per_line)))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The size in a document; 0 for a missing value. Raises `escl.reading.Unreadable`."""
        root = parse_document(data, "ScanImageInfo")
        return cls(text(root, "JobUri") or "", count(root, "ActualWidth") or 0, count(root, "ActualHeight") or 0,
                   count(root, "ActualBytesPerLine"), text(root, "JobUuid"))
