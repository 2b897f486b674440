"""Maps a planned job to the settings as they would be used, and to the size of its pages.

eSCL, ScanBufferInfo; WS-Scan, ScanTicket. It is an estimate: devices give some pixels more or less.
"""

import attrs

from wsdgateway.bridge.frontends.escl.formats import JPEG, PDF
from wsdgateway.bridge.frontends.escl.tickets import PlannedJob
from wsdgateway.escl.scanbufferinfo import ScanBufferInfo
from wsdgateway.escl.scansettings import FEEDER, ScanRegion, ScanSettings
from wsdgateway.escl.scansettings import PLATEN as ESCL_PLATEN
from wsdgateway.scan.scannerconfiguration import ADF_DUPLEX, PLATEN

_BITS = {"BlackAndWhite1": 1, "Grayscale4": 4, "Grayscale8": 8, "Grayscale16": 16, "RGB24": 24, "RGB48": 48}
_LEAST_IN_JPEG = 8  # bits of a pixel; a PDF contains a JPEG


def buffer_info_of(settings: ScanSettings, planned: PlannedJob) -> ScanBufferInfo:
    """The answer for a client that has asked for these settings."""
    wanted = planned.parameters
    dots, color = wanted.resolution or 0, wanted.color or ""
    (x, y), (across, down) = wanted.offset, wanted.size or (0, 0)
    bits = _BITS.get(color, 24)
    if planned.media_type in (JPEG, PDF):
        bits = max(bits, _LEAST_IN_JPEG)
    feeder = wanted.source != PLATEN
    used = attrs.evolve(
        settings, region=ScanRegion(_to_300ths(x), _to_300ths(y), _to_300ths(across), _to_300ths(down)),
        format=planned.media_type,
        source=FEEDER if feeder else ESCL_PLATEN, x_resolution=dots, y_resolution=dots, color_mode=color,
        duplex=wanted.source == ADF_DUPLEX if feeder else None, pages=settings.pages if feeder else None)
    width = _pixels(across, dots)
    return ScanBufferInfo(used, width, _pixels(down, dots), (width * bits + 7) // 8)


def _to_300ths(thousandths: int) -> int:
    return (thousandths * 6 + 10) // 20


def _pixels(thousandths: int, dots: int) -> int:
    return (thousandths * dots + 500) // 1000
