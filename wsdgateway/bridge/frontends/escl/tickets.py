"""Maps the settings of an eSCL client to a scan ticket.

eSCL, ScanSettings; WS-Scan, ScanTicket, DefaultScanTicket. Settings that the client leaves open are the scanner's own
defaults if its source has them, else 300 dpi, RGB24, JPEG and the whole area. A setting that the scanner does not have
is a conflict, which HTTP reports as 409; wishes without a promise, such as brightness and content type, are left out.
"""

import attrs

from wsdgateway.bridge.frontends.escl.adjustments import content_type_for, exposure_for, quality_for
from wsdgateway.bridge.frontends.escl.formats import DEEP, JPEG, MEDIA_TYPES, formats_for, is_deep, media_types
from wsdgateway.bridge.frontends.escl.lengths import largest, to_thousandths
from wsdgateway.bridge.frontends.escl.sources import USUAL_RESOLUTION, Source, formats_of, sources_of
from wsdgateway.escl.scansettings import FEEDER, UNITS, ScanRegion, ScanSettings
from wsdgateway.escl.scansettings import PLATEN as ESCL_PLATEN
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.quirks import SOME_IMAGES
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration
from wsdgateway.scan.scanticket import ScanTicket

JOB_NAME = "eSCL scan"
ALL_IMAGES = 0
MAX_FORMATS = 2  # tried for a job
ROUNDING = 2  # 1/300 inch, by which the sum of a rounded offset and a rounded size may exceed the area
_GRAY = ("Grayscale8", "RGB24", "BlackAndWhite1")
_COLOR = ("RGB24", "Grayscale8", "BlackAndWhite1")
_BY_INTENT = {"Document": _GRAY, "Photo": _COLOR}
_AUTOMATIC = "AutoColorDetection"  # which phones ask for and WS-Scan does not have


@attrs.frozen
class Conflict:
    """Settings that the scanner cannot meet; `reason` is for the log."""

    reason: str


@attrs.frozen
class PlannedJob:
    """The tickets for the scanner, and the media type that the client gets.

    Each further ticket is for a scanner that refuses those before it, with another format or number of images.
    """

    tickets: tuple[ScanTicket, ...]
    media_type: str

    @property
    def parameters(self) -> DocumentParameters:
        """The parameters of the first ticket."""
        return self.tickets[0].parameters


class _Unmet(Exception):
    """A setting cannot be met."""


def ticket_of(settings: ScanSettings, configuration: ScannerConfiguration, default: DocumentParameters, *,
              client: str, all_images: int = ALL_IMAGES) -> PlannedJob | Conflict:
    """The ticket for a client's settings. `default` has the parameters of the scanner's DefaultScanTicket.

    `client` is the client's address, which the scanner may show as the user. `all_images` is the scanner's number for
    all pages of the feeder.
    """
    try:
        return _planned(settings, configuration, default, client, all_images)
    except _Unmet as unmet:
        return Conflict(str(unmet))


def _planned(settings: ScanSettings, configuration: ScannerConfiguration, default: DocumentParameters, client: str,
             all_images: int) -> PlannedJob:
    sources = sources_of(configuration, default)
    name = _source_name(settings, sources)
    source, formats = sources[name], formats_of(configuration, default)
    media = _media(settings, default, media_types(formats))
    color = _color(settings, source, default, media)
    fitting = formats_for(media, color, formats)
    if not fitting:
        raise _Unmet(f"the scanner has no format for {media} in {color}")
    offset, size = _area(settings, source, default)
    images = 1 if name == PLATEN else settings.pages or all_images
    first, *others = (DocumentParameters(
        wire, name, images, color, _resolution(settings, source, default), size, False, offset,
        quality_for(settings.compression, configuration, default),
        content_type_for(settings.content_type, settings.intent, configuration),
        exposure_for(settings.brightness, settings.contrast, settings.sharpen, configuration, default),
        (100, 100) if default.scaling is not None else None, 0 if default.rotation is not None else None)
        for wire in fitting[:MAX_FORMATS])
    if images == ALL_IMAGES:
        others.append(attrs.evolve(first, images=SOME_IMAGES))
    return PlannedJob(tuple(ScanTicket(JOB_NAME, client, one) for one in (first, *others)), media)


def _source_name(settings: ScanSettings, sources: dict[str, Source]) -> str:
    asked = settings.source or (ESCL_PLATEN if PLATEN in sources else FEEDER)
    wanted = {ESCL_PLATEN: PLATEN, FEEDER: ADF_DUPLEX if settings.duplex else ADF}.get(asked)
    if wanted is None or wanted not in sources:
        raise _Unmet(f"the scanner has no source {asked}" + (" for both sides" if wanted == ADF_DUPLEX else ""))
    return wanted


def _media(settings: ScanSettings, default: DocumentParameters, offered: tuple[str, ...]) -> str:
    usual = MEDIA_TYPES.get(default.format or "", JPEG)
    wanted = settings.format.lower() if settings.format else usual if usual in offered else offered[0]
    if wanted not in offered:
        raise _Unmet(f"the format {wanted} is not offered")
    return wanted


def _color(settings: ScanSettings, source: Source, default: DocumentParameters, media: str) -> str:
    """The colour mode; 8 bits instead of 16 for a media type that cannot hold these, if the scanner has both."""
    asked = None if settings.color_mode == _AUTOMATIC else settings.color_mode
    if asked is None:
        usual = _BY_INTENT.get(settings.intent or "") or (default.color or "", *_COLOR)
        asked = next((color for color in usual if color in source.colors), source.colors[0])
    if asked in source.colors and not is_deep(media) and DEEP.get(asked) in source.colors:
        asked = DEEP[asked]
    if asked not in source.colors:
        raise _Unmet(f"the colour mode {asked} is not offered")
    return asked


def _resolution(settings: ScanSettings, source: Source, default: DocumentParameters) -> int:
    across = settings.x_resolution or settings.y_resolution
    if not across:
        usual = default.resolution or USUAL_RESOLUTION
        return min(source.resolutions, key=lambda dots: abs(dots - usual))
    if (settings.y_resolution or across) != across or across not in source.resolutions:
        raise _Unmet(f"the resolution {across} x {settings.y_resolution or across} is not offered")
    return across


def _area(settings: ScanSettings, source: Source,
          default: DocumentParameters) -> tuple[tuple[int, int], tuple[int, int]]:
    """The offset and size in thousandths of an inch."""
    region = settings.region
    if region is None:
        wanted = default.size or source.maximum
        spans = [_span(default.offset[way], wanted[way], source, way) for way in (0, 1)]
    else:
        if region.units != UNITS:
            raise _Unmet(f"the unit {region.units} is not {UNITS}")
        if settings.must_honor:
            _check(region, source)
        spans = [_span(to_thousandths(start), None if length is None else to_thousandths(length), source, way)
                 for way, (start, length) in enumerate(((region.x, region.width), (region.y, region.height)))]
    return (spans[0][0], spans[1][0]), (spans[0][1], spans[1][1])


def _span(start: int, length: int | None, source: Source, way: int) -> tuple[int, int]:
    """The nearest offset and size inside the source, in one direction."""
    highest, lowest = source.maximum[way], source.minimum[way]
    if start >= highest:
        raise _Unmet("the region is outside the area that can be scanned")
    length = max(lowest, min(highest - start, highest if length is None else length))
    return min(start, highest - length), length


def _check(region: ScanRegion, source: Source) -> None:
    """Check that nothing of a region is outside the sizes that the capabilities show.

    A region that is smaller than the least size is scanned with more around it: NAPS2 and macOS want every region to be
    honored, and do not look at the least size.
    """
    for start, length, highest in ((region.x, region.width, source.maximum[0]),
                                   (region.y, region.height, source.maximum[1])):
        if start + (length or 0) > largest(highest) + ROUNDING:
            raise _Unmet("the region must be honored, but does not fit into the area that can be scanned")
