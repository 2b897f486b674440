"""Makes the tickets of a scan that was started at the panel.

WS-Scan, ScanTicket, DefaultScanTicket, ScannerConfiguration, ValidateScanTicketResponse. What the destination leaves
open is what the panel has chosen: the InputSource in its event, and the default ticket, which the scanner changes with
the settings of its panel. A setting that the scanner does not have is replaced by its nearest.
"""

import attrs
from lxml import etree

from wsdgateway.bridge.destinations.settings import Settings
from wsdgateway.bridge.frontends.escl.formats import BILEVEL, DEEP, JPEG, PDF, PNG, TIFF, formats_for
from wsdgateway.bridge.frontends.escl.sources import USUAL_RESOLUTION, Source, formats_of, sources_of
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.quirks import SOME_IMAGES
from wsdgateway.scan.reading import child, in_current_namespace, tag, text
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration
from wsdgateway.scan.scannerstatus import INPUT_TRAY_EMPTY, ScannerStatus
from wsdgateway.scan.scanticket import ScanTicket

USER = "wsdgateway"
MAX_TICKETS = 4  # tried for a scan
ALL_IMAGES = 0
NUMBERS = (500, SOME_IMAGES)  # of images, for scanners that do not take 0
MEDIA = {"pdf": PDF, "jpeg": JPEG, "png": PNG, "tiff": TIFF}
_FEEDERS = (ADF, ADF_DUPLEX)
_SOURCES = {"platen": (PLATEN, ADF), "adf": (ADF, PLATEN), "duplex": (ADF_DUPLEX, ADF, PLATEN)}
_COLORS = {"color": ("RGB24", "Grayscale8", BILEVEL), "gray": ("Grayscale8", "RGB24", BILEVEL),
           "bw": (BILEVEL, "Grayscale8", "RGB24")}


@attrs.frozen
class PanelOffer:
    """The offer of a scanner at the time of a press; each part is empty or None if the scanner has not told it."""

    configuration: ScannerConfiguration = attrs.field(factory=lambda: ScannerConfiguration((), {}))
    default: DocumentParameters = attrs.field(factory=DocumentParameters)
    status: ScannerStatus | None = None


@attrs.frozen
class Plan:
    """The tickets to try in turn. `images` is the number of pages, 0 for all in the feeder.

    `guessed`: neither the destination nor the panel says where the pages are, and the feeder seemed to have paper.
    """

    tickets: tuple[ScanTicket, ...]
    images: int
    feeder: bool
    guessed: bool = False

    @property
    def parameters(self) -> DocumentParameters:
        """The parameters of the first ticket."""
        return self.tickets[0].parameters


def make_plan(wanted: Settings, offer: PanelOffer, pressed_source: str | None, *, may_guess: bool = True) -> Plan:
    """The plan for a press. `pressed_source` is the InputSource of the event.

    Without `may_guess` a feeder that nobody has named is not used.
    """
    configuration, default = offer.configuration, offer.default
    sources = sources_of(configuration, default)
    name, guessed = _source(wanted, offer, pressed_source, may_guess=may_guess)
    source = sources.get(name) or next(iter(sources.values()), None)
    color = _color(wanted, default, source)
    images = 1 if name not in _FEEDERS else ALL_IMAGES
    offset, size = _area(default, source)
    base = attrs.evolve(
        default, source=name, images=images, color=color, resolution=_resolution(wanted, default, source),
        size=size, offset=offset, auto_detect=default.auto_detect and configuration.auto_detect)
    formats = _formats(wanted, color, configuration, default)
    found = [attrs.evolve(base, format=one) for one in formats[:MAX_TICKETS - len(NUMBERS)]]
    if images == ALL_IMAGES:
        found += [attrs.evolve(found[0], images=number) for number in NUMBERS]
    return Plan(tuple(ScanTicket(wanted.name, USER, one) for one in found), images, name in _FEEDERS, guessed)


def _source(wanted: Settings, offer: PanelOffer, pressed: str | None, *, may_guess: bool) -> tuple[str, bool]:
    """The InputSource, and whether it is a guess."""
    offered = offer.configuration.sources
    if wanted.source != "auto":
        choices = _SOURCES[wanted.source]
        return next((name for name in choices if name in offered or not offered), choices[0]), False
    if pressed in (PLATEN, *_FEEDERS) and (pressed in offered or not offered):
        return pressed, False
    if may_guess and _is_loaded(offer):
        usual = offer.default.source
        return (usual if usual in _FEEDERS and usual in offered else ADF), True
    return (PLATEN if PLATEN in offered or not offered else next(iter(offered))), False


def _is_loaded(offer: PanelOffer) -> bool:
    """True if the feeder has paper, as far as the conditions tell; a scanner without any tells nothing."""
    status = offer.status
    return (ADF in offer.configuration.sources and status is not None and status.conditions is not None
            and INPUT_TRAY_EMPTY not in status.reasons)


def _color(wanted: Settings, default: DocumentParameters, source: Source | None) -> str | None:
    offered = () if source is None else source.colors
    usual = DEEP.get(default.color or "", default.color) if wanted.format in ("pdf", "jpeg") else default.color
    if wanted.color is None and (usual in offered or not offered):
        return usual
    return next((color for color in _COLORS[wanted.color or "color"] if color in offered or not offered), offered[0]
                if offered else None)


def _resolution(wanted: Settings, default: DocumentParameters, source: Source | None) -> int | None:
    asked = wanted.resolution or default.resolution or USUAL_RESOLUTION
    if source is None:
        return asked
    return min(source.resolutions, key=lambda dots: (abs(dots - asked), -dots))


def _formats(wanted: Settings, color: str | None, configuration: ScannerConfiguration,
             default: DocumentParameters) -> tuple[str | None, ...]:
    """The scanner's formats from which the files can be made, the best first; PDF only if there is nothing else."""
    offered = formats_of(configuration, default)
    fitting = formats_for(MEDIA[wanted.format], color or "", offered) or formats_for(JPEG, color or "", offered)
    images = tuple(name for name in fitting if name != "pdf-a")
    return images or fitting or (default.format,)


def _area(default: DocumentParameters, source: Source | None) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """The offset and size in thousandths of an inch, inside the source."""
    if source is None:
        return default.offset, default.size
    size = default.size or source.maximum
    width, height = (max(source.minimum[way], min(size[way], source.maximum[way])) for way in (0, 1))
    return ((min(default.offset[0], source.maximum[0] - width), min(default.offset[1], source.maximum[1] - height)),
            (width, height))


def write_validate(ticket: ScanTicket) -> str:
    """The Body's content of ValidateScanTicket."""
    return f"<wscn:ValidateScanTicketRequest>{ticket.text()}</wscn:ValidateScanTicketRequest>"


def validated(plan: Plan, body: etree._Element | None) -> Plan:
    """The plan, with the ticket that the scanner proposes in a ValidateScanTicketResponse in front, if it does."""
    body = None if body is None else in_current_namespace(body)
    if body is None or body.tag != tag("ValidateScanTicketResponse"):
        return plan
    information = child(body, "ValidationInfo")
    proposed = None if information is None else child(information, "ValidScanTicket")
    if information is None or proposed is None or text(information, "ValidTicket") in ("true", "1"):
        return plan
    parameters = ScanTicket.read(proposed).parameters
    if parameters.source != plan.parameters.source or parameters.format is None:
        return plan  # pages from elsewhere are not what the person at the panel wants
    ticket = attrs.evolve(plan.tickets[0], parameters=attrs.evolve(parameters, images=plan.parameters.images))
    return attrs.evolve(plan, tickets=(ticket, *plan.tickets[:MAX_TICKETS - 1]))
