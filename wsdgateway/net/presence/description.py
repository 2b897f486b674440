"""The description of a scanner, as the scanner provides it."""

import hashlib

import attrs
from lxml import etree

from wsdgateway.metadata.standin import digest


@attrs.frozen(eq=False)
class Description:
    """The description of a scanner: its metadata, or if it has none, its name and its information text."""

    metadata: etree._Element | None
    name: str = ""
    info: str = ""

    def digest(self) -> str:
        """A hash that is the same for equal descriptions."""
        told = digest(self.metadata) if self.metadata is not None else f"{self.name}\n{self.info}".encode()
        return hashlib.sha256(told).hexdigest()
