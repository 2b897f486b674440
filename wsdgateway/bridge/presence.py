"""What a scanner's stand-in tells of itself: whether a Probe or a Resolve means it, and where it is.

WS-Discovery 2005/04, sections 5 and 6. Its endpoint is a uuid derived from the scanner's, so that a client that can see
both keeps them apart; it stays the same over restarts and moves.
"""

from uuid import UUID, uuid5

from wsdgateway.discovery.matching import matches
from wsdgateway.discovery.messages import Match, Probe
from wsdgateway.soap.namespaces import WSCN, WSDP

TYPES = ((WSDP, "Device"), (WSCN, "ScanDeviceType"), (WSCN, "ScannerServiceType"))
METADATA_VERSION = 1

_FAMILY = UUID("6ba21f34-7f2c-4a7e-9b34-0f8f5f0a5c11")


def derived_endpoint(scanner: str) -> str:
    """The stand-in's endpoint address, from the scanner's own or, where that is not known, from its name here."""
    return f"urn:uuid:{uuid5(_FAMILY, scanner.lower())}"


def match(endpoint: str, address: str) -> Match:
    """The stand-in at an address that the asking client can reach."""
    return Match(endpoint, TYPES, (), (address,), METADATA_VERSION)


def is_meant(probe: Probe) -> bool:
    """Whether a Probe looks for such a service. Raises `UnknownRule`."""
    return matches(probe.types, probe.scopes, probe.match_by, offered_types=TYPES, offered_scopes=())
