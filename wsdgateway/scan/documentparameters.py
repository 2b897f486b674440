"""Reads and writes the parameters that a page is scanned with: the main part of every scan ticket.

WS-Scan, ScanTicket, DefaultScanTicket, DocumentParameters, DocumentFinalParameters.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import child, number, signed_number, text
from wsdgateway.scan.scannerconfiguration import ADF_DUPLEX, MAX_VALUE
from wsdgateway.soap.parsing import escape


@attrs.frozen
class Exposure:
    """ExposureSettings: `contrast` and `brightness` from -1000 to 1000, `sharpness` from -100 to 100; 0 is neutral."""

    contrast: int = 0
    brightness: int = 0
    sharpness: int = 0


@attrs.frozen
class DocumentParameters:
    """The parameters of a document; None leaves a choice to the scanner.

    `images` 0 means all pages; `size` and `offset`, the distance of the region from the left and top edges, are in
    thousandths of an inch. With `auto_detect` the scanner detects the size, and `size` and `offset` are ignored.
    `quality` is CompressionQualityFactor, from 0 to 100; `scaling` is in percent of the width and height, `rotation` in
    degrees. `exposure` turns the scanner's own exposure off.
    """

    format: str | None = None
    source: str | None = None
    images: int | None = None
    color: str | None = None
    resolution: int | None = None
    size: tuple[int, int] | None = None
    auto_detect: bool = False
    offset: tuple[int, int] = (0, 0)
    quality: int | None = None
    content_type: str | None = None
    exposure: Exposure | None = None
    scaling: tuple[int, int] | None = None
    rotation: int | None = None


def read_parameters(element: etree._Element | None) -> DocumentParameters:
    """Read DocumentParameters or DocumentFinalParameters; unreadable values are left out."""
    if element is None:
        return DocumentParameters()
    sides, input_size = child(element, "MediaSides"), child(element, "InputSize")
    front = None if sides is None else child(sides, "MediaFront")
    dots = None if front is None else child(front, "Resolution")
    return DocumentParameters(
        _word(element, "Format"), _word(element, "InputSource"), number(element, "ImagesToTransfer"),
        None if front is None else _word(front, "ColorProcessing"),
        (number(dots, "Width") or None) if dots is not None else None,
        _pair(None if input_size is None else child(input_size, "InputMediaSize"), "Width", "Height"),
        input_size is not None and text(input_size, "DocumentSizeAutoDetect") in ("1", "true"),
        _offset(None if front is None else child(front, "ScanRegion")),
        number(element, "CompressionQualityFactor"), _word(element, "ContentType"),
        _exposure(child(element, "Exposure")),
        _pair(child(element, "Scaling"), "ScalingWidth", "ScalingHeight"), number(element, "Rotation"))


def _pair(element: etree._Element | None, width: str, height: str) -> tuple[int, int] | None:
    found = (None, None) if element is None else (number(element, width), number(element, height))
    return (found[0], found[1]) if found[0] and found[1] else None


def _offset(region: etree._Element | None) -> tuple[int, int]:
    if region is None:
        return 0, 0
    return number(region, "ScanRegionXOffset") or 0, number(region, "ScanRegionYOffset") or 0


def _exposure(element: etree._Element | None) -> Exposure | None:
    settings = None if element is None else child(element, "ExposureSettings")
    if settings is None:
        return None
    return Exposure(*(signed_number(settings, name) or 0 for name in ("Contrast", "Brightness", "Sharpness")))


def _word(element: etree._Element, name: str) -> str | None:
    value = text(element, name)
    return value if value is not None and len(value) <= MAX_VALUE else None


def write_scan_ticket(wanted: DocumentParameters, *, job_name: str, user: str) -> str:
    """Write a ScanTicket with its elements in the specification's order."""
    side = _side(wanted)
    sides = f"<wscn:MediaFront>{side}</wscn:MediaFront>"
    if wanted.source == ADF_DUPLEX:
        sides += f"<wscn:MediaBack>{side}</wscn:MediaBack>"
    return (
        f"<wscn:ScanTicket><wscn:JobDescription>{_element('JobName', job_name)}"
        f"{_element('JobOriginatingUserName', user)}</wscn:JobDescription><wscn:DocumentParameters>"
        f"{_element('Format', wanted.format)}{_element('CompressionQualityFactor', wanted.quality)}"
        f"{_element('ImagesToTransfer', wanted.images)}{_element('InputSource', wanted.source)}"
        f"{_element('ContentType', wanted.content_type)}{_input_size(wanted)}{_processing(wanted)}"
        f"{f'<wscn:MediaSides>{sides}</wscn:MediaSides>' if side else ''}"
        "</wscn:DocumentParameters></wscn:ScanTicket>")


def _element(name: str, value: object) -> str:
    return "" if value is None else f"<wscn:{name}>{escape(str(value))}</wscn:{name}>"


def _input_size(wanted: DocumentParameters) -> str:
    if wanted.auto_detect:
        inside = "<wscn:DocumentSizeAutoDetect>true</wscn:DocumentSizeAutoDetect>"
    elif wanted.size is not None:
        inside = (f"<wscn:InputMediaSize><wscn:Width>{wanted.size[0]}</wscn:Width>"
                  f"<wscn:Height>{wanted.size[1]}</wscn:Height></wscn:InputMediaSize>")
    else:
        return ""
    return f"<wscn:InputSize>{inside}</wscn:InputSize>"


def _processing(wanted: DocumentParameters) -> str:
    """Exposure, Scaling and Rotation."""
    exposure, scaling = wanted.exposure, wanted.scaling
    written = "" if exposure is None else (
        f"<wscn:Exposure><wscn:ExposureSettings>{_element('Contrast', exposure.contrast)}"
        f"{_element('Brightness', exposure.brightness)}{_element('Sharpness', exposure.sharpness)}"
        "</wscn:ExposureSettings></wscn:Exposure>")
    if scaling is not None:
        written += (f"<wscn:Scaling>{_element('ScalingWidth', scaling[0])}{_element('ScalingHeight', scaling[1])}"
                    "</wscn:Scaling>")
    return written + _element("Rotation", wanted.rotation)


def _side(wanted: DocumentParameters) -> str:
    """The content of MediaFront, and of MediaBack."""
    region = ""
    if wanted.size is not None and not wanted.auto_detect:
        # Other clients send it beside InputSize, and scanners use either.
        region = (f"<wscn:ScanRegion><wscn:ScanRegionXOffset>{wanted.offset[0]}</wscn:ScanRegionXOffset>"
                  f"<wscn:ScanRegionYOffset>{wanted.offset[1]}</wscn:ScanRegionYOffset>"
                  f"<wscn:ScanRegionWidth>{wanted.size[0]}</wscn:ScanRegionWidth>"
                  f"<wscn:ScanRegionHeight>{wanted.size[1]}</wscn:ScanRegionHeight></wscn:ScanRegion>")
    color = "" if wanted.color is None else f"<wscn:ColorProcessing>{escape(wanted.color)}</wscn:ColorProcessing>"
    dots = "" if wanted.resolution is None else (
        f"<wscn:Resolution><wscn:Width>{wanted.resolution}</wscn:Width>"
        f"<wscn:Height>{wanted.resolution}</wscn:Height></wscn:Resolution>")
    return region + color + dots
