"""The scan ticket of a job, as far as the virtual scanner honours it.

WS-Scan, ScanTicket, DocumentParameters. What it can't do becomes a fault of the specification.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import child, number, tag, text
from wsdgateway.simulator.description import RESOLUTIONS, SOURCES
from wsdgateway.simulator.pages import COLORS, FORMATS, MAX_HEIGHT, MAX_WIDTH, PageFormat
from wsdgateway.soap.faults import Fault, Refused, invalid_args


@attrs.frozen
class Ticket:
    """What a client wants scanned; `images` pages, 0 for all there are."""

    source: str
    page: PageFormat
    images: int
    name: str
    user: str
    xml: str


def read_ticket(body: etree._Element) -> Ticket:
    """The ticket in a CreateScanJob or ValidateScanTicket request. Raises `Refused`."""
    ticket = child(body, "ScanTicket")
    if ticket is None:
        raise Refused(invalid_args("There is no ScanTicket."))
    description = child(ticket, "JobDescription")
    wanted = child(ticket, "DocumentParameters")
    if wanted is None:
        wanted = etree.Element(tag("DocumentParameters"))
    source = text(wanted, "InputSource") or "Platen"
    if source not in SOURCES:
        raise Refused(invalid_args(f"There is no source {source}."))
    images = number(wanted, "ImagesToTransfer")
    return Ticket(
        source, _page(wanted), 1 if source == "Platen" else images or 0,
        _described(description, "JobName", "Scan"), _described(description, "JobOriginatingUserName", "Anonymous"),
        etree.tostring(ticket, encoding="unicode", with_tail=False))


def _described(description: etree._Element | None, name: str, otherwise: str) -> str:
    return (text(description, name) if description is not None else None) or otherwise


def _page(wanted: etree._Element) -> PageFormat:
    page = PageFormat()
    kind = text(wanted, "Format") or page.format
    if kind not in FORMATS:
        raise Refused(Fault("Sender", "wscn:ClientErrorFormatNotSupported",
                              "The Document Format parameter value is not supported.", 400))
    front = wanted.find(f"{tag('MediaSides')}/{tag('MediaFront')}")
    if front is None:
        return attrs.evolve(page, format=kind)
    region, resolution = child(front, "ScanRegion"), child(front, "Resolution")
    width = number(region, "ScanRegionWidth") if region is not None else None
    height = number(region, "ScanRegionHeight") if region is not None else None
    dots = number(resolution, "Width") if resolution is not None else None
    color = text(front, "ColorProcessing") or page.color
    if color not in COLORS or (dots is not None and dots not in RESOLUTIONS):
        raise Refused(invalid_args(f"Colour {color} at {dots} dpi can't be scanned."))
    return PageFormat(min(width or page.width, MAX_WIDTH), min(height or page.height, MAX_HEIGHT),
                      dots or page.resolution, color, kind)
