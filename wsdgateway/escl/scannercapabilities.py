"""The capabilities of a scanner: its names, its sources and the ranges of its adjustments.

eSCL, ScannerCapabilities, Platen, Adf, AdfOption; BrightnessSupport and the like.
"""

from typing import Self

import attrs
from lxml import etree

from wsdgateway.escl.inputcaps import InputCaps, read_caps
from wsdgateway.escl.reading import child, count, descendant, number, parse_document, text, texts
from wsdgateway.escl.settingprofile import named_profiles
from wsdgateway.escl.writing import DEFAULT_VERSION, document, element, group, listed

DETECT_PAPER, DUPLEX = "DetectPaperLoaded", "Duplex"


@attrs.frozen
class Support:
    """The range of an adjustment and its usual value; an element such as BrightnessSupport."""

    minimum: int
    maximum: int
    normal: int
    step: int = 1

    def write(self, name: str) -> str:
        """The element with that name."""
        return group(name, element("scan:Min", self.minimum) + element("scan:Max", self.maximum)
                     + element("scan:Normal", self.normal) + element("scan:Step", self.step))

    def clipped(self, value: int) -> int:
        """The nearest value inside the range."""
        return max(self.minimum, min(self.maximum, value))


@attrs.frozen
class Adf:
    """The document feeder: its capabilities for one side and for both sides of a sheet."""

    simplex: InputCaps | None = None
    duplex: InputCaps | None = None
    capacity: int | None = None
    options: tuple[str, ...] = ()

    def write(self) -> str:
        """The Adf element."""
        return group("scan:Adf", (
            ("" if self.simplex is None else self.simplex.write("scan:AdfSimplexInputCaps"))
            + ("" if self.duplex is None else self.duplex.write("scan:AdfDuplexInputCaps"))
            + element("scan:FeederCapacity", self.capacity)
            + listed("scan:AdfOptions", "scan:AdfOption", self.options)))


@attrs.frozen
class ScannerCapabilities:
    """A scanner's capabilities. `uuid` has no `urn:uuid:` and lower case, as in DNS-SD; sources are None if missing."""

    make_and_model: str
    uuid: str | None = None
    platen: InputCaps | None = None
    adf: Adf | None = None
    version: str = DEFAULT_VERSION
    serial_number: str | None = None
    manufacturer: str | None = None
    admin_uri: str | None = None
    icon_uri: str | None = None
    brightness: Support | None = None
    compression: Support | None = None
    contrast: Support | None = None
    sharpen: Support | None = None

    @property
    def sources(self) -> tuple[InputCaps, ...]:
        """The capabilities of each source that the scanner has."""
        adf = self.adf or Adf()
        return tuple(caps for caps in (self.platen, adf.simplex, adf.duplex) if caps is not None)

    def write(self) -> bytes:
        """The document, with a full profile for each source: clients do not follow references to common profiles."""
        supports = (("Brightness", self.brightness), ("CompressionFactor", self.compression),
                    ("Contrast", self.contrast), ("Sharpen", self.sharpen))
        return document("ScannerCapabilities", (
            element("pwg:Version", self.version) + element("pwg:MakeAndModel", self.make_and_model)
            + element("pwg:SerialNumber", self.serial_number) + element("scan:Manufacturer", self.manufacturer)
            + element("scan:UUID", self.uuid) + element("scan:AdminURI", self.admin_uri)
            + element("scan:IconURI", self.icon_uri)
            + ("" if self.platen is None else group("scan:Platen", self.platen.write("scan:PlatenInputCaps")))
            + ("" if self.adf is None else self.adf.write())
            + "".join(one.write(f"scan:{name}Support") for name, one in supports if one is not None)))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The capabilities in a document. Raises `escl.reading.Unreadable`."""
        root = parse_document(data, "ScannerCapabilities")
        common, feeder = named_profiles(root), child(root, "Adf")
        adf = Adf(read_caps(child(feeder, "AdfSimplexInputCaps"), common),
                  read_caps(child(feeder, "AdfDuplexInputCaps"), common), count(feeder, "FeederCapacity"),
                  texts(child(feeder, "AdfOptions"), "AdfOption"))
        brightness, compression, contrast, sharpen = (
            _support(child(root, f"{name}Support"))
            for name in ("Brightness", "CompressionFactor", "Contrast", "Sharpen"))
        uuid = text(root, "UUID")
        return cls(
            text(root, "MakeAndModel") or "", None if uuid is None else uuid.lower().removeprefix("urn:uuid:"),
            read_caps(descendant(root, "Platen", "PlatenInputCaps"), common),
            adf if adf.simplex or adf.duplex else None,
            text(root, "Version") or DEFAULT_VERSION, text(root, "SerialNumber"), text(root, "Manufacturer"),
            text(root, "AdminURI"), text(root, "IconURI"), brightness, compression, contrast, sharpen)


def _support(found: etree._Element | None) -> Support | None:
    lowest, highest, normal = (number(found, name) for name in ("Min", "Max", "Normal"))
    if lowest is None or highest is None or lowest > highest:
        return None
    return Support(lowest, highest, lowest if normal is None else normal, number(found, "Step") or 1)
