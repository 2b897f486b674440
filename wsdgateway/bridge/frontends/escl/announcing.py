"""The TXT record of a scanner's DNS-SD service, made from its capabilities.

eSCL, DNS-SD: `_uscan._tcp` and `_uscans._tcp`; RFC 6763, section 6.
"""

from wsdgateway.bridge.frontends.escl.requests import ROOT
from wsdgateway.escl.scannercapabilities import ScannerCapabilities

MAX_STRING = 255  # bytes of a key, "=" and its value; RFC 6763, section 6.1
_COLORS = {"BlackAndWhite1": "binary", "Grayscale8": "grayscale", "Grayscale16": "grayscale", "RGB24": "color",
           "RGB48": "color"}
_COLOR_ORDER = ("binary", "grayscale", "color")


def txt_of(capabilities: ScannerCapabilities, *, note: str = "", icon: str | None = None) -> dict[str, str]:
    """The keys and values in their order. `note` is the location, `icon` the URL of an icon.

    The root has no slash, since SANE compares it as text, and others put slashes around it. Values that are too long
    for a TXT record are cut off.
    """
    profiles = [profile for caps in capabilities.sources for profile in caps.profiles]
    colors = {_COLORS[mode] for profile in profiles for mode in profile.color_modes if mode in _COLORS}
    formats = dict.fromkeys(media for profile in profiles for media in profile.formats)
    adf = capabilities.adf
    sources = (["platen"] if capabilities.platen is not None else []) + (["adf"] if adf is not None else [])
    values = {
        "txtvers": "1", "rs": ROOT.strip("/"), "ty": capabilities.make_and_model, "uuid": capabilities.uuid or "",
        "pdl": ",".join(formats), "cs": ",".join(color for color in _COLOR_ORDER if color in colors),
        "is": ",".join(sources), "duplex": "T" if adf is not None and adf.duplex is not None else "F",
        "adminurl": capabilities.admin_uri, "representation": icon or capabilities.icon_uri, "note": note,
        "vers": capabilities.version}
    return {key: _cut(key, value) for key, value in values.items() if value}


def _cut(key: str, value: str) -> str:
    return value.encode()[:MAX_STRING - len(key) - 1].decode(errors="ignore")
