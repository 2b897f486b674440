"""The settings of a job that a client asks for. eSCL, ScanSettings, ScanRegion."""

from typing import Self

import attrs
from lxml import etree

from wsdgateway.escl.reading import as_truth, child, count, number, parse_document, text, truth
from wsdgateway.escl.writing import DEFAULT_VERSION, document, element, group

PLATEN, FEEDER, CAMERA = "Platen", "Feeder", "Camera"
UNITS = "ThreeHundredthsOfInches"


@attrs.frozen
class ScanRegion:
    """The area to scan. Without `width` or `height` it ends where the source ends. `units` are those of all lengths."""

    x: int = 0
    y: int = 0
    width: int | None = None
    height: int | None = None
    units: str = UNITS


@attrs.frozen
class ScanSettings:
    """The settings of a job; None for those that are left to the scanner.

    `must_honor` is true if the region must not be changed. `format` is a media type, `pages` a number of pages from the
    feeder. The adjustments have the ranges of ScannerCapabilities.
    """

    version: str = DEFAULT_VERSION
    intent: str | None = None
    region: ScanRegion | None = None
    must_honor: bool = False
    format: str | None = None
    content_type: str | None = None
    source: str | None = None
    x_resolution: int | None = None
    y_resolution: int | None = None
    color_mode: str | None = None
    duplex: bool | None = None
    pages: int | None = None
    brightness: int | None = None
    compression: int | None = None
    contrast: int | None = None
    sharpen: int | None = None

    def write(self) -> bytes:
        """The document. The format is written twice, since servers read DocumentFormat or DocumentFormatExt."""
        return document("ScanSettings", self.content())

    def content(self) -> str:
        """The elements in it."""
        return (
            element("pwg:Version", self.version) + element("scan:Intent", self.intent) + self._region()
            + element("pwg:DocumentFormat", self.format) + element("scan:DocumentFormatExt", self.format)
            + element("pwg:ContentType", self.content_type) + element("pwg:InputSource", self.source)
            + element("scan:XResolution", self.x_resolution) + element("scan:YResolution", self.y_resolution)
            + element("scan:ColorMode", self.color_mode) + element("scan:Duplex", self.duplex)
            + element("scan:NumberOfPages", self.pages) + element("scan:Brightness", self.brightness)
            + element("scan:CompressionFactor", self.compression) + element("scan:Contrast", self.contrast)
            + element("scan:Sharpen", self.sharpen))

    def _region(self) -> str:
        region = self.region
        if region is None:
            return ""
        # Nobody declares the prefix escl, but this is the text that devices expect.
        units = f"escl:{UNITS}" if region.units == UNITS else region.units
        written = group("pwg:ScanRegion", (
            element("pwg:Height", region.height) + element("pwg:ContentRegionUnits", units)
            + element("pwg:Width", region.width) + element("pwg:XOffset", region.x)
            + element("pwg:YOffset", region.y)))
        honor = f' pwg:MustHonor="{str(self.must_honor).lower()}"'
        return f"<pwg:ScanRegions{honor}>{written}</pwg:ScanRegions>"

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The settings in a document; of several regions the first. Raises `escl.reading.Unreadable`.

        SANE writes an adjustment as ThresholdSupport where Threshold is meant, and the others alike.
        """
        return cls.read_element(parse_document(data, "ScanSettings"))

    @classmethod
    def read_element(cls, root: etree._Element) -> Self:
        """The settings in an element."""
        regions = child(root, "ScanRegions")
        region = child(regions, "ScanRegion")
        brightness, compression, contrast, sharpen = (
            number(root, name, f"{name}Support")
            for name in ("Brightness", "CompressionFactor", "Contrast", "Sharpen"))
        return cls(
            text(root, "Version") or DEFAULT_VERSION, text(root, "Intent"), None if region is None else _region(region),
            _must_honor(regions), text(root, "DocumentFormatExt") or text(root, "DocumentFormat"),
            _local(text(root, "ContentType")), _local(text(root, "InputSource")), count(root, "XResolution"),
            count(root, "YResolution"), text(root, "ColorMode"), truth(root, "Duplex"), count(root, "NumberOfPages"),
            brightness, compression, contrast, sharpen)


def _region(region: etree._Element) -> ScanRegion:
    return ScanRegion(
        count(region, "XOffset") or 0, count(region, "YOffset") or 0, count(region, "Width") or None,
        count(region, "Height") or None, _local(text(region, "ContentRegionUnits")) or UNITS)


def _must_honor(regions: etree._Element | None) -> bool:
    """MustHonor with any prefix, or none."""
    values = () if regions is None else regions.attrib.items()
    return any(str(name).rpartition("}")[2] == "MustHonor" and as_truth(str(value)) for name, value in values)


def _local(value: str | None) -> str | None:
    """A value without a prefix, as in scan:Camera."""
    return None if value is None else value.rpartition(":")[2].strip() or None
