"""Maps a scanner's configuration to eSCL's capabilities.

WS-Scan, ScannerConfiguration, ScannerDescription; WS-Devices, ThisModel and ThisDevice; eSCL, ScannerCapabilities.
"""

from uuid import UUID, uuid5

import attrs

from wsdgateway.bridge.frontends.escl.adjustments import compression_of, content_types_of, intents_of, supports_of
from wsdgateway.bridge.frontends.escl.formats import media_types
from wsdgateway.bridge.frontends.escl.lengths import largest, smallest
from wsdgateway.bridge.frontends.escl.sources import Source, formats_of, sources_of
from wsdgateway.escl.inputcaps import InputCaps
from wsdgateway.escl.scannercapabilities import DETECT_PAPER, DUPLEX, Adf, ScannerCapabilities
from wsdgateway.escl.settingprofile import SettingProfile
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import ADF, ADF_DUPLEX, PLATEN, ScannerConfiguration

# Not the device's own uuid, which its own eSCL or printer half may announce. Clients store the result, so it is fixed.
_FAMILY = UUID("5b1d3b0e-6a0e-4b52-9c53-0f5d8f1c8a47")


@attrs.frozen
class Identity:
    """The names of a scanner from ThisModel, ThisDevice and its endpoint reference; the addresses are the gateway's.

    `serial_number` is empty if it is unknown.
    """

    manufacturer: str
    model: str
    endpoint: str
    serial_number: str = ""
    admin_uri: str | None = None
    icon_uri: str | None = None

    @property
    def make_and_model(self) -> str:
        """The manufacturer and the model, without the manufacturer's name twice."""
        if self.model.lower().startswith(self.manufacturer.lower()):
            return self.model or "Scanner"
        return f"{self.manufacturer} {self.model}".strip()

    @property
    def uuid(self) -> str:
        """The uuid of the eSCL scanner: the same for the same endpoint, whenever it is made."""
        return str(uuid5(_FAMILY, self.endpoint))


def capabilities_of(identity: Identity, configuration: ScannerConfiguration, default: DocumentParameters, *,
                    detects_paper: bool = False) -> ScannerCapabilities | None:
    """The capabilities to offer; None if the scanner has no source or format that an eSCL client can use.

    `detects_paper` is true if the scanner has ever reported an empty feeder. Clients that see the option rely on it.
    """
    found = sources_of(configuration, default)
    if not found:
        return None
    caps = {name: _caps(source, configuration, default) for name, source in found.items()}
    brightness, contrast, sharpen = supports_of(configuration)
    return ScannerCapabilities(
        identity.make_and_model, identity.uuid, caps.get(PLATEN), _feeder(caps, detects_paper=detects_paper),
        # ScanBridge reads no capabilities without one.
        serial_number=identity.serial_number or identity.uuid,
        manufacturer=identity.manufacturer or None, admin_uri=identity.admin_uri,
        icon_uri=identity.icon_uri, brightness=brightness, compression=compression_of(configuration, default),
        contrast=contrast, sharpen=sharpen)


def _feeder(caps: dict[str, InputCaps], *, detects_paper: bool) -> Adf | None:
    if ADF not in caps:
        return None
    options = ((DETECT_PAPER,) if detects_paper else ()) + ((DUPLEX,) if ADF_DUPLEX in caps else ())
    return Adf(caps[ADF], caps.get(ADF_DUPLEX), options=options)


def _caps(source: Source, configuration: ScannerConfiguration, default: DocumentParameters) -> InputCaps:
    widest, highest = map(largest, source.maximum)
    profile = SettingProfile(
        source.colors, content_types_of(configuration), media_types(formats_of(configuration, default)),
        tuple((dots, dots) for dots in source.resolutions), ("sRGB",))
    return InputCaps(
        min(smallest(source.minimum[0]), widest), widest, min(smallest(source.minimum[1]), highest), highest,
        (profile,), intents_of(configuration), source.optical)
