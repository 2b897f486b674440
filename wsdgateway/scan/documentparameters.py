"""Reads and writes the parameters that a page is scanned with: the main part of every scan ticket.

WS-Scan, ScanTicket, DefaultScanTicket, DocumentParameters, DocumentFinalParameters.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import child, number, text
from wsdgateway.scan.scannerconfiguration import ADF_DUPLEX, MAX_VALUE
from wsdgateway.soap.parsing import escape


@attrs.frozen
class DocumentParameters:
    """The parameters of a document; None leaves a choice to the scanner.

    `images` 0 means all pages; `size` is in thousandths of an inch. With `auto_detect` the scanner detects the size,
    and `size` is ignored.
    """

    format: str | None = None
    source: str | None = None
    images: int | None = None
    color: str | None = None
    resolution: int | None = None
    size: tuple[int, int] | None = None
    auto_detect: bool = False


def read_parameters(element: etree._Element | None) -> DocumentParameters:
    """Read DocumentParameters or DocumentFinalParameters; unreadable values are left out."""
    if element is None:
        return DocumentParameters()
    sides, input_size = child(element, "MediaSides"), child(element, "InputSize")
    front = None if sides is None else child(sides, "MediaFront")
    dots = None if front is None else child(front, "Resolution")
    media = None if input_size is None else child(input_size, "InputMediaSize")
    width, height = (None, None) if media is None else (number(media, "Width"), number(media, "Height"))
    return DocumentParameters(
        _word(element, "Format"), _word(element, "InputSource"), number(element, "ImagesToTransfer"),
        None if front is None else _word(front, "ColorProcessing"),
        (number(dots, "Width") or None) if dots is not None else None,
        (width, height) if width and height else None,
        input_size is not None and text(input_size, "DocumentSizeAutoDetect") in ("1", "true"))


def _word(element: etree._Element, name: str) -> str | None:
    value = text(element, name)
    return value if value is not None and len(value) <= MAX_VALUE else None


def write_scan_ticket(wanted: DocumentParameters, *, job_name: str, user: str) -> str:
    """Write a ScanTicket with its elements in the specification's order."""
    def element(name: str, value: object) -> str:
        return "" if value is None else f"<wscn:{name}>{escape(str(value))}</wscn:{name}>"

    side = _side(wanted)
    sides = f"<wscn:MediaFront>{side}</wscn:MediaFront>"
    if wanted.source == ADF_DUPLEX:
        sides += f"<wscn:MediaBack>{side}</wscn:MediaBack>"
    return (
        f"<wscn:ScanTicket><wscn:JobDescription>{element('JobName', job_name)}"
        f"{element('JobOriginatingUserName', user)}</wscn:JobDescription><wscn:DocumentParameters>"
        f"{element('Format', wanted.format)}{element('ImagesToTransfer', wanted.images)}"
        f"{element('InputSource', wanted.source)}{_input_size(wanted)}"
        f"{f'<wscn:MediaSides>{sides}</wscn:MediaSides>' if side else ''}"
        "</wscn:DocumentParameters></wscn:ScanTicket>")


def _input_size(wanted: DocumentParameters) -> str:
    if wanted.auto_detect:
        inside = "<wscn:DocumentSizeAutoDetect>true</wscn:DocumentSizeAutoDetect>"
    elif wanted.size is not None:
        inside = (f"<wscn:InputMediaSize><wscn:Width>{wanted.size[0]}</wscn:Width>"
                  f"<wscn:Height>{wanted.size[1]}</wscn:Height></wscn:InputMediaSize>")
    else:
        return ""
    return f"<wscn:InputSize>{inside}</wscn:InputSize>"


def _side(wanted: DocumentParameters) -> str:
    """The content of MediaFront, and of MediaBack."""
    region = ""
    if wanted.size is not None and not wanted.auto_detect:
        # Other clients send it beside InputSize, and scanners use either.
        region = ("<wscn:ScanRegion><wscn:ScanRegionXOffset>0</wscn:ScanRegionXOffset>"
                  "<wscn:ScanRegionYOffset>0</wscn:ScanRegionYOffset>"
                  f"<wscn:ScanRegionWidth>{wanted.size[0]}</wscn:ScanRegionWidth>"
                  f"<wscn:ScanRegionHeight>{wanted.size[1]}</wscn:ScanRegionHeight></wscn:ScanRegion>")
    color = "" if wanted.color is None else f"<wscn:ColorProcessing>{escape(wanted.color)}</wscn:ColorProcessing>"
    dots = "" if wanted.resolution is None else (
        f"<wscn:Resolution><wscn:Width>{wanted.resolution}</wscn:Width>"
        f"<wscn:Height>{wanted.resolution}</wscn:Height></wscn:Resolution>")
    return region + color + dots
