"""What a scanner has told of itself."""

import hashlib

import attrs
from lxml import etree

from wsdgateway.metadata.standin import digest


@attrs.frozen(eq=False)
class Description:
    """What a scanner has told of itself: its metadata, or where it has none, a name and something about it."""

    metadata: etree._Element | None
    name: str = ""
    info: str = ""

    def digest(self) -> str:
        """What two equal descriptions have in common."""
        told = digest(self.metadata) if self.metadata is not None else f"{self.name}\n{self.info}".encode()
        return hashlib.sha256(told).hexdigest()
