"""The size of the page that settings would give. eSCL, ScanBufferInfo."""

from typing import Self

import attrs

from wsdgateway.escl.reading import child, count, parse_document
from wsdgateway.escl.scansettings import ScanSettings
from wsdgateway.escl.writing import document, element, group


@attrs.frozen
class ScanBufferInfo:
    """The settings as they would be used; pixels in a line, lines, and bytes in a line of the decoded image."""

    settings: ScanSettings
    width: int
    height: int
    bytes_per_line: int

    def write(self) -> bytes:
        """The document."""
        return document("ScanBufferInfo", (
            group("scan:ScanSettings", self.settings.content()) + element("scan:ImageWidth", self.width)
            + element("scan:ImageHeight", self.height) + element("scan:BytesPerLine", self.bytes_per_line)))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The size in a document; 0 for a missing value. Raises `escl.reading.Unreadable`."""
        root = parse_document(data, "ScanBufferInfo")
        settings = child(root, "ScanSettings")
        return cls(ScanSettings() if settings is None else ScanSettings.read_element(settings),
                   *(count(root, name) or 0 for name in ("ImageWidth", "ImageHeight", "BytesPerLine")))
