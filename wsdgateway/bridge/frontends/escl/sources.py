"""The sources of a scanner as eSCL clients can use them, for its capabilities and for the check of settings.

WS-Scan, ScannerConfiguration, DefaultScanTicket. For capabilities that the scanner does not report, its default ticket
counts, then the usual values.
"""

import attrs

from wsdgateway.bridge.frontends.escl.formats import DEEP, MEDIA_TYPES, holds_deep, media_types
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, SourceOffer

USUAL_RESOLUTION = 300
USUAL_SIZE = (8270, 11690)  # A4 in thousandths of an inch
USUAL_COLORS = ("RGB24", "Grayscale8")
# SANE's escl preselects the first.
_COLORS = ("RGB24", "Grayscale8", "BlackAndWhite1", *DEEP)
_USUAL_FORMAT = "jfif"


@attrs.frozen
class Source:
    """A source: colour modes, resolutions in dots per inch for both directions, sizes in thousandths of an inch."""

    colors: tuple[str, ...]
    resolutions: tuple[int, ...]
    maximum: tuple[int, int]
    minimum: tuple[int, int]
    optical: tuple[int, int] | None


def formats_of(configuration: ScannerConfiguration, default: DocumentParameters) -> tuple[str, ...]:
    """The scanner's formats that can be used."""
    reported = configuration.formats or (default.format or _USUAL_FORMAT,)
    return tuple(name for name in reported if name in MEDIA_TYPES)


def sources_of(configuration: ScannerConfiguration, default: DocumentParameters) -> dict[str, Source]:
    """The usable sources by the names of WS-Scan; empty if no eSCL client can use the scanner."""
    formats = formats_of(configuration, default)
    if not media_types(formats):
        return {}
    found = {name: _source(offer, default, formats) for name, offer in configuration.sources.items()}
    return {name: source for name, source in found.items() if source.colors}


def _source(offer: SourceOffer, default: DocumentParameters, formats: tuple[str, ...]) -> Source:
    reported = offer.colors or ((default.color,) if default.color else USUAL_COLORS)
    maximum = offer.maximum or default.size or USUAL_SIZE
    minimum = offer.minimum or (1, 1)
    return Source(
        tuple(color for color in _COLORS if color in reported and (color not in DEEP or holds_deep(formats))),
        offer.resolutions or (default.resolution or USUAL_RESOLUTION,), maximum,
        (min(minimum[0], maximum[0]), min(minimum[1], maximum[1])), offer.optical)
