"""Reads a scanner's capabilities: its sources, resolutions, colours and formats.

WS-Scan, ScannerConfiguration, DeviceSettings, Platen, ADF, ADFFront, ADFBack.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import child, number, tag, text
from wsdgateway.soap.parsing import text_of

MAX_VALUES = 256
MAX_VALUE = 128

PLATEN, ADF, ADF_DUPLEX = "Platen", "ADF", "ADFDuplex"


@attrs.frozen
class SourceOffer:
    """The capabilities of one InputSource; those that the scanner does not report are empty or None.

    `resolutions` and `optical` are in dots per inch, and `resolutions` apply to both directions; `maximum` and
    `minimum` are in thousandths of an inch.
    """

    resolutions: tuple[int, ...] = ()
    colors: tuple[str, ...] = ()
    maximum: tuple[int, int] | None = None
    minimum: tuple[int, int] | None = None
    optical: tuple[int, int] | None = None


@attrs.frozen
class ScannerConfiguration:
    """The formats, and the capabilities of each InputSource by name.

    `auto_detect` is true if the scanner can detect a page's size. `quality` has the lowest and the highest
    CompressionQualityFactor. `brightness` and `contrast` are true if the scanner can adjust them.
    """

    formats: tuple[str, ...]
    sources: dict[str, SourceOffer]
    auto_detect: bool = False
    quality: tuple[int, int] | None = None
    content_types: tuple[str, ...] = ()
    brightness: bool = False
    contrast: bool = False


def read_configuration(element: etree._Element) -> ScannerConfiguration:
    """The capabilities in a ScannerConfiguration element; sources that the scanner does not have are left out."""
    settings = child(element, "DeviceSettings")
    sources: dict[str, SourceOffer] = {}
    platen, feeder = child(element, "Platen"), child(element, "ADF")
    if platen is not None:
        sources[PLATEN] = _offer(platen, "Platen")
    if feeder is not None:
        front, back = child(feeder, "ADFFront"), child(feeder, "ADFBack")
        sources[ADF] = _offer(front, "ADF")
        if _is_true(feeder, "ADFSupportsDuplex"):
            sources[ADF_DUPLEX] = sources[ADF] if back is None else _both(sources[ADF], _offer(back, "ADF"))
    return ScannerConfiguration(
        _values(settings, "FormatsSupported", "FormatValue"), sources,
        _is_true(settings, "DocumentSizeAutoDetectSupported"), _quality(settings),
        _values(settings, "ContentTypesSupported", "ContentTypeValue"),
        _is_true(settings, "BrightnessSupported"), _is_true(settings, "ContrastSupported"))


def _is_true(element: etree._Element | None, name: str) -> bool:
    return element is not None and text(element, name) in ("1", "true")


def _quality(settings: etree._Element | None) -> tuple[int, int] | None:
    found = None if settings is None else child(settings, "CompressionQualityFactorSupported")
    lowest, highest = (None, None) if found is None else (number(found, "MinValue"), number(found, "MaxValue"))
    return (lowest, highest) if lowest is not None and highest is not None and lowest <= highest <= 100 else None


def _values(element: etree._Element | None, listed: str, name: str) -> tuple[str, ...]:
    found = None if element is None else child(element, listed)
    if found is None:
        return ()
    values = (text_of(value) for value in found.iterchildren(tag(name)))
    return tuple(value for value in values if value and len(value) <= MAX_VALUE)[:MAX_VALUES]


def _offer(part: etree._Element | None, prefix: str) -> SourceOffer:
    """The capabilities of one source, whose elements have its name as a prefix."""
    if part is None:
        return SourceOffer()
    dots = child(part, f"{prefix}Resolutions")
    widths, heights = (
        [int(value) for value in _values(dots, f"{name}s", name) if value.isascii() and value.isdigit()]
        for name in ("Width", "Height"))
    maximum, minimum = _size(part, f"{prefix}MaximumSize"), _size(part, f"{prefix}MinimumSize")
    if maximum is not None and maximum[0] > maximum[1]:
        # Kyocera ECOSYS M2040dn: it scans a sheet of A4 upright all the same.
        maximum, minimum = maximum[::-1], None if minimum is None else minimum[::-1]
    return SourceOffer(
        tuple(sorted(value for value in set(widths) if value and (not heights or value in heights))),
        _values(part, f"{prefix}Color", "ColorEntry"), maximum, minimum, _size(part, f"{prefix}OpticalResolution"))


def _size(part: etree._Element, name: str) -> tuple[int, int] | None:
    found = child(part, name)
    width, height = (None, None) if found is None else (number(found, "Width"), number(found, "Height"))
    return (width, height) if width and height else None


def _both(front: SourceOffer, back: SourceOffer) -> SourceOffer:
    """The common capabilities of the front and the back; a side that reports none has those of the other."""
    if not back.resolutions and not back.colors:
        return front
    return SourceOffer(
        tuple(value for value in front.resolutions if not back.resolutions or value in back.resolutions),
        tuple(value for value in front.colors if not back.colors or value in back.colors),
        front.maximum, front.minimum, front.optical)
