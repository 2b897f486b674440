"""Maps the adjustments of a scan: brightness, contrast, sharpness, quality, and the kind of document.

WS-Scan, ExposureSettings, CompressionQualityFactor, ContentType; eSCL, BrightnessSupport, ContrastSupport,
SharpenSupport, CompressionFactorSupport, Intent, ContentType.
"""

from wsdgateway.escl.scannercapabilities import Support
from wsdgateway.scan.documentparameters import DocumentParameters, Exposure
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration

TONE = Support(0, 2000, 1000)  # of brightness and contrast; WS-Scan has -1000 to 1000
SHARPEN = Support(0, 200, 100)  # WS-Scan has -100 to 100

# Some scanners report 1, the worst, as their default; sane-airscan asks for the usual value if the user does not.
LOWEST_USUAL_QUALITY = 75

# Of WS-Scan, by the name in eSCL.
CONTENT_TYPES = {"Text": "Text", "Photo": "Photo", "TextAndPhoto": "Mixed", "Auto": "Auto", "Halftone": "Halftone"}
_ALIKE = {"LineArt": "Text", "Magazine": "Mixed"}
INTENTS = {"Document": "Text", "Photo": "Photo", "TextAndGraphic": "Mixed"}
_OTHER_INTENTS = {"Preview": "Photo", "Object": "Photo", "BusinessCard": "Text"}
PREVIEW = "Preview"


def content_types_of(configuration: ScannerConfiguration) -> tuple[str, ...]:
    """The content types to offer."""
    return tuple(name for name, theirs in CONTENT_TYPES.items() if theirs in configuration.content_types)


def intents_of(configuration: ScannerConfiguration) -> tuple[str, ...]:
    """The intents to offer; Document and Photo if the scanner does not distinguish, since they choose a colour mode."""
    distinguished = tuple(name for name, theirs in INTENTS.items() if theirs in configuration.content_types)
    return (*(distinguished or ("Document", "Photo")), PREVIEW)


def content_type_for(asked: str | None, intent: str | None, configuration: ScannerConfiguration) -> str | None:
    """The ContentType of the ticket; None leaves it to the scanner, as for every type that it does not have."""
    wanted = {**CONTENT_TYPES, **_ALIKE}.get(asked or "") or {**INTENTS, **_OTHER_INTENTS}.get(intent or "")
    return wanted if wanted in configuration.content_types else None


def compression_of(configuration: ScannerConfiguration, default: DocumentParameters) -> Support | None:
    """The range of CompressionFactor, where low is good; None if the scanner has only one quality.

    The usual value is the scanner's default, but no worse than `LOWEST_USUAL_QUALITY` if the scanner reaches that.
    """
    if configuration.quality is None or configuration.quality[0] == configuration.quality[1]:
        return None
    lowest, highest = configuration.quality
    usual = min(highest, max(lowest, LOWEST_USUAL_QUALITY, highest if default.quality is None else default.quality))
    return Support(0, highest - lowest, highest - usual)


def quality_for(factor: int | None, configuration: ScannerConfiguration,
                default: DocumentParameters) -> int | None:
    """The CompressionQualityFactor, where high is good, for a CompressionFactor; None leaves it to the scanner."""
    offered = compression_of(configuration, default)
    if factor is None or offered is None or configuration.quality is None:
        return None
    lowest, highest = configuration.quality
    return highest - offered.clipped(factor) * (highest - lowest) // (offered.maximum - offered.minimum)


def supports_of(configuration: ScannerConfiguration) -> tuple[Support | None, Support | None, Support | None]:
    """The ranges of brightness, contrast and sharpness.

    WS-Scan has no element for whether a scanner can sharpen; it is assumed of those that take ExposureSettings.
    """
    brightness, contrast = configuration.brightness, configuration.contrast
    return TONE if brightness else None, TONE if contrast else None, SHARPEN if brightness or contrast else None


def exposure_for(brightness: int | None, contrast: int | None, sharpen: int | None,
                 configuration: ScannerConfiguration, default: DocumentParameters) -> Exposure | None:
    """The ExposureSettings; None leaves them to the scanner, as for values that are its own defaults.

    They turn the scanner's automatic exposure off, so they are sent only if the client changes one.
    """
    usual = default.exposure or Exposure()
    wanted = [kept if asked is None or support is None else support.clipped(asked) - support.normal
              for asked, support, kept in zip(
                  (brightness, contrast, sharpen), supports_of(configuration),
                  (usual.brightness, usual.contrast, usual.sharpness), strict=True)]
    exposure = Exposure(brightness=wanted[0], contrast=wanted[1], sharpness=wanted[2])
    return None if exposure == usual else exposure
