"""Reads the scan ticket of a job, as far as the virtual scanner supports it.

WS-Scan, ScanTicket, DocumentParameters. An unsupported value leads to a fault in CreateScanJob, and to a
ValidScanTicket in the answer to ValidateScanTicket.
"""

import attrs
from lxml import etree

from wsdgateway.scan.reading import child, number, tag, text
from wsdgateway.simulator.description import RESOLUTIONS, SOURCES, write_ticket
from wsdgateway.simulator.pages import COLORS, FORMATS, MAX_HEIGHT, MAX_WIDTH, PageFormat
from wsdgateway.soap.faults import Fault, Refused, invalid_args

MAX_NAME = 255  # characters of a JobName or a JobOriginatingUserName


@attrs.frozen
class Ticket:
    """A client's scan ticket: `images` is the number of pages, 0 for all there are.

    `problem` is the fault for an unsupported value, which a supported one replaces.
    """

    source: str
    page: PageFormat
    images: int
    name: str
    user: str
    problem: Fault | None = None

    def written(self, element: str) -> str:
        """The ticket as the given element, ScanTicket or ValidScanTicket."""
        return write_ticket(element, name=self.name, user=self.user, source=self.source, page=self.page,
                            images=self.images)


def read_ticket(body: etree._Element) -> Ticket:
    """The ticket in a CreateScanJob or ValidateScanTicket request. Raises `Refused` if there is none."""
    ticket = child(body, "ScanTicket")
    if ticket is None:
        raise Refused(invalid_args("The request contains no ScanTicket."))
    description = child(ticket, "JobDescription")
    wanted = child(ticket, "DocumentParameters")
    if wanted is None:
        wanted = etree.Element(tag("DocumentParameters"))
    problem = None
    source = text(wanted, "InputSource") or SOURCES[0]
    if source not in SOURCES:
        problem, source = invalid_args(f"There is no input source {source}."), SOURCES[0]
    page, unsupported = _page(wanted)
    images = 1 if source == "Platen" else number(wanted, "ImagesToTransfer") or 0
    return Ticket(
        source, page, images, _described(description, "JobName", "Scan"),
        _described(description, "JobOriginatingUserName", "Anonymous"), problem or unsupported)


def _described(description: etree._Element | None, name: str, otherwise: str) -> str:
    return ((text(description, name) if description is not None else None) or otherwise)[:MAX_NAME]


def _page(wanted: etree._Element) -> tuple[PageFormat, Fault | None]:
    """The requested page, or the supported one nearest to it with the fault for the unsupported value."""
    page, problem = PageFormat(), None
    kind = text(wanted, "Format") or page.format
    if kind not in FORMATS:
        problem, kind = Fault("Sender", "wscn:ClientErrorFormatNotSupported",
                              "The Document Format parameter value is not supported.", 400), page.format
    front = wanted.find(f"{tag('MediaSides')}/{tag('MediaFront')}")
    if front is None:
        return attrs.evolve(page, format=kind), problem
    region, resolution = child(front, "ScanRegion"), child(front, "Resolution")
    width = number(region, "ScanRegionWidth") if region is not None else None
    height = number(region, "ScanRegionHeight") if region is not None else None
    dots = (number(resolution, "Width") if resolution is not None else None) or page.resolution
    color = text(front, "ColorProcessing") or page.color
    if color not in COLORS or dots not in RESOLUTIONS:
        problem = problem or invalid_args(f"{color} at {dots} dpi is not supported.")
        color = color if color in COLORS else page.color
        dots = min(RESOLUTIONS, key=lambda offered: abs(offered - dots))
    return PageFormat(min(width or page.width, MAX_WIDTH), min(height or page.height, MAX_HEIGHT), dots, color,
                      kind), problem
