"""Makes the DNS-SD services of eSCL scanners from their capabilities, and decides where each one is left out.

eSCL, DNS-SD: `_uscan._tcp` and `_uscans._tcp`; RFC 6763, sections 4 and 6.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import attrs

from wsdgateway.bridge.frontends.escl.requests import ICON_PATH, ROOT
from wsdgateway.dnssd.scannerservice import MAX_LABEL, ScannerService, instance_name
from wsdgateway.escl.scannercapabilities import ScannerCapabilities

_COLORS = {"BlackAndWhite1": "binary", "Grayscale8": "grayscale", "Grayscale16": "grayscale", "RGB24": "color",
           "RGB48": "color"}
_COLOR_ORDER = ("binary", "grayscale", "color")


class Foreign(Protocol):
    """The properties of a scanner announced by another host that decide whether it is one of the gateway's.

    `uuid` is in lower case and without urn:uuid:, empty if it has none.
    """

    @property
    def name(self) -> str:
        """The instance name."""

    @property
    def uuid(self) -> str:
        """The uuid of the eSCL scanner."""

    @property
    def addresses(self) -> frozenset[IPv4Address | IPv6Address]:
        """The addresses of its host."""


def service_of(capabilities: ScannerCapabilities, scanner: str, name: str, port: int, *, admin_url: str = "",
               note: str = "") -> ScannerService:
    """The service of a scanner that is announced as `name`; in `admin_url`, `{host}` is an address of the interface."""
    profiles = [profile for caps in capabilities.sources for profile in caps.profiles]
    colors = {_COLORS[mode] for profile in profiles for mode in profile.color_modes if mode in _COLORS}
    adf = capabilities.adf
    return ScannerService(
        scanner, name, port, capabilities.make_and_model, (capabilities.uuid or "").lower(),
        formats=tuple(dict.fromkeys(media for profile in profiles for media in profile.formats)),
        colors=tuple(color for color in _COLOR_ORDER if color in colors),
        sources=(*(("platen",) if capabilities.platen is not None else ()), *(("adf",) if adf is not None else ())),
        duplex=adf is not None and adf.duplex is not None, admin_url=admin_url,
        icon_url=_icon_url(port, secure=False), note=note)


def secured(service: ScannerService, port: int) -> ScannerService:
    """The service of the same scanner with TLS, at its other port."""
    return attrs.evolve(service, port=port, secure=True, icon_url=_icon_url(port, secure=True))


def _icon_url(port: int, *, secure: bool) -> str:
    return f"http{'s' if secure else ''}://{{host}}:{port}{ROOT}{ICON_PATH}"


def distinct_names(names: Mapping[str, str]) -> dict[str, str]:
    """The names to announce, by scanner: " (SCANNER)" is added to each one that several scanners have."""
    counted = Counter(instance_name(name).casefold() for name in names.values())
    return {scanner: _with_scanner(name, scanner) if counted[instance_name(name).casefold()] > 1 else name
            for scanner, name in names.items()}


def _with_scanner(name: str, scanner: str) -> str:
    suffix = f" ({scanner})"
    room = max(0, MAX_LABEL - len(suffix.encode()))
    return f"{instance_name(name).encode()[:room].decode(errors='ignore').rstrip()}{suffix}"


def announced_by(others: Iterable[Foreign], uuid: str, addresses: frozenset[IPv4Address | IPv6Address]
                 ) -> Foreign | None:
    """The one of the scanners announced by other hosts that is the scanner itself; None if there is none.

    `uuid` is the scanner's own, with or without urn:uuid:, empty if it is not known; `addresses` are its own.
    """
    own = uuid.lower().removeprefix("urn:uuid:")
    return next((one for one in sorted(others, key=lambda other: other.name)
                 if (own and one.uuid == own) or one.addresses & addresses), None)
