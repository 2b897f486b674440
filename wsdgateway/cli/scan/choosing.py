"""Chooses the parameters of a scan: the user's wishes as far as they are offered, else the scanner's defaults.

WS-Scan, ScannerConfiguration, DefaultScanTicket, DocumentParameters.
"""

from collections.abc import Iterable

import attrs

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.filekinds import formats_for
from wsdgateway.cli.scan.outcomes import ScanError, plain
from wsdgateway.cli.scan.sizes import Size, fitted
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration, SourceOffer

SOURCES = {"platen": PLATEN, "adf": ADF, "duplex": ADF_DUPLEX}
_BILEVEL = "BlackAndWhite1"
_COLOR, _GRAY, _BW = ("RGB24", "RGB48"), ("Grayscale8", "Grayscale16", "Grayscale4"), (_BILEVEL,)
COLORS = {"color": _COLOR, "colour": _COLOR, "gray": _GRAY, "grey": _GRAY, "bw": _BW, "lineart": _BW,
          **{name: (name,) for name in (*_COLOR, *_GRAY, *_BW)}}
USUAL_RESOLUTION = 300
A4 = (8270, 11690)  # thousandths of an inch


@attrs.frozen
class Wishes:
    """The user's choices; None for those left open.

    `kind` is the kind of file, `format` a format of the specification.
    """

    kind: str
    source: str = "platen"
    resolution: int | None = None
    color: str | None = None
    format: str | None = None
    size: Size | None = None


def choose(wishes: Wishes, offered: ScannerConfiguration | None,
           default: DocumentParameters) -> tuple[DocumentParameters, ...]:
    """The parameters to request, the best first; they differ by format. Raises `ScanError` for what is not offered.

    If the scanner does not say what it offers, only the user's choices are requested.
    """
    source = SOURCES[wishes.source]
    images = 1 if source == PLATEN else 0
    if offered is None:
        color = None if wishes.color is None else COLORS[wishes.color][0]
        size = None if wishes.size is None else wishes.size.mils
        return tuple(DocumentParameters(name, source, images, color, wishes.resolution, size)
                     for name in _formats(wishes, color, ()))
    if offered.sources and source not in offered.sources:
        there = [name for name, wire in SOURCES.items() if wire in offered.sources]
        raise _not_offered("--source", wishes.source, there or offered.sources, "")
    offer = offered.sources.get(source, SourceOffer())
    color = _color(wishes, offer, default)
    size = None if wishes.size is None else fitted(wishes.size, offer, wishes.source)
    auto = offered.auto_detect and source != PLATEN and size is None
    return tuple(DocumentParameters(name, source, images, color, _resolution(wishes, offer, default),
                                    None if auto else size or _size(source, offer, default), auto)
                 for name in _formats(wishes, color, offered.formats))


def _not_offered(option: str, wanted: object, there: Iterable[object], where: str) -> ScanError:
    offered = ", ".join(map(plain, there)) or "none"
    return ScanError(f"{option} {wanted}: the scanner offers {offered}{where}", WRONG)


def _color(wishes: Wishes, offer: SourceOffer, default: DocumentParameters) -> str | None:
    if wishes.color is not None:
        fitting = COLORS[wishes.color]
        found = next((color for color in fitting if color in offer.colors), None)
        if found is None and offer.colors:
            raise _not_offered("--color", wishes.color, offer.colors, f" from its {wishes.source}")
        return found or fitting[0]
    if default.color is not None and (default.color in offer.colors or not offer.colors):
        return default.color
    return next((color for color in (*_COLOR, *_GRAY, *_BW) if color in offer.colors), None)


def _resolution(wishes: Wishes, offer: SourceOffer, default: DocumentParameters) -> int | None:
    if wishes.resolution is not None:
        if offer.resolutions and wishes.resolution not in offer.resolutions:
            raise _not_offered("--resolution", wishes.resolution, offer.resolutions,
                               f" dots per inch from its {wishes.source}")
        return wishes.resolution
    if not offer.resolutions:
        return default.resolution
    usual = default.resolution or USUAL_RESOLUTION
    return min(offer.resolutions, key=lambda dots: abs(dots - usual))


def _size(source: str, offer: SourceOffer, default: DocumentParameters) -> tuple[int, int] | None:
    """The scanner's default size, limited to what this source can scan. For a feeder it defaults to one sheet of A4."""
    largest = offer.maximum
    usual = default.size or (largest if source == PLATEN else A4)
    if usual is None or largest is None:
        return default.size
    return min(usual[0], largest[0]), min(usual[1], largest[1])


def _formats(wishes: Wishes, color: str | None, offered: tuple[str, ...]) -> tuple[str, ...]:
    if wishes.format is not None:
        if offered and wishes.format not in offered:
            raise _not_offered("--format", wishes.format, offered, "")
        return (wishes.format,)
    fitting = formats_for(wishes.kind, bilevel=color == _BILEVEL)
    there = tuple(name for name in fitting if name in offered) if offered else fitting
    if not there:
        raise ScanError(f"The scanner offers no format that can be written as {wishes.kind}, only "
                        f"{', '.join(map(plain, offered))}", WRONG)
    return there
