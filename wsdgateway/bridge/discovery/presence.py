"""Describes the stand-in of a scanner for discovery: its endpoint, the Probes that it matches, its Hello and Bye.

WS-Discovery 2005/04, sections 4 to 6. The endpoint is a uuid derived from the scanner's, so that a client that can see
both can tell them apart; it stays the same across restarts and moves.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID, uuid5

import attrs

from wsdgateway.discovery.identity import identity_of, is_same
from wsdgateway.discovery.matching import matches
from wsdgateway.discovery.messages import Message, Probe, Resolve, TargetService
from wsdgateway.soap.namespaces import GATEWAY, STAND_IN_TYPE, WSCN, WSD_1_1, WSD_CD1, WSDP

# A gateway recognizes the stand-in of another by this type, and does not bridge it again.
STAND_IN = (GATEWAY, STAND_IN_TYPE)
TYPES = ((WSDP, "Device"), (WSCN, "ScanDeviceType"), (WSCN, "ScannerServiceType"), STAND_IN)
PROXY_TYPES = ((WSD_CD1, "DiscoveryProxy"), (WSD_1_1, "DiscoveryProxy"))

_FAMILY = UUID("6ba21f34-7f2c-4a7e-9b34-0f8f5f0a5c11")


def derived_endpoint(scanner: str) -> str:
    """Returns the stand-in's endpoint address, derived from `scanner`.

    This is the scanner's own endpoint address or, if that is unknown, its name in the gateway.
    """
    return f"urn:uuid:{uuid5(_FAMILY, identity_of(scanner))}"


def stand_in_service(endpoint: str, scopes: tuple[str, ...], metadata_version: int) -> TargetService:
    """Returns a stand-in as a target service without addresses, which depend on the client that asks."""
    return TargetService(endpoint, TYPES, scopes, (), metadata_version)


def located(service: TargetService, address: str, *others: str) -> TargetService:
    """Returns the service for clients that reach it at that address, and at the others with the same scheme.

    An https address is also its endpoint reference, as Windows requires. Over http the endpoint is the uuid.
    """
    endpoint = address if address.startswith("https:") else service.endpoint
    return attrs.evolve(service, endpoint=endpoint, xaddrs=(address, *others))


def proxy_service(gateway: str) -> TargetService:
    """Returns the gateway as a discovery proxy; its endpoint is derived from its name. WS-Discovery 1.1, section 6."""
    return TargetService(derived_endpoint(f"discovery proxy {gateway}"), PROXY_TYPES, (), (), 1)


def is_meant(probe: Probe, service: TargetService) -> bool:
    """True if the service matches a Probe. Raises `UnknownRule`."""
    return matches(probe.types, probe.scopes, probe.match_by, offered_types=service.types,
                   offered_scopes=service.scopes)


def is_asked_for(message: Message, service: TargetService) -> bool:
    """True if the service matches a Probe or Resolve. Raises `UnknownRule`."""
    if isinstance(message.content, Probe):
        return is_meant(message.content, service)
    return isinstance(message.content, Resolve) and is_same(service.endpoint, message.content.endpoint)


def asked_for(message: Message, services: Mapping[str, TargetService], base: str,
              others: Iterable[str] = ()) -> list[TargetService]:
    """Returns the services, by their paths, that match a Probe or Resolve, with addresses under `base`.

    `others` are further bases, at which they are reached, too. A Resolve may name an endpoint that is an address, or
    the uuid used over http. Raises `UnknownRule`.
    """
    found, others = [], tuple(others)
    for path, service in services.items():
        here = located(service, base + path, *(other + path for other in others))
        if is_asked_for(message, here):
            found.append(here)
        elif here.endpoint != service.endpoint and isinstance(message.content, Resolve) and (
                is_asked_for(message, service)):
            found.append(attrs.evolve(service, xaddrs=here.xaddrs))
    return found


@attrs.frozen
class Hello:
    """Announce that the service is present, or has changed."""

    service: TargetService


@attrs.frozen
class Bye:
    """Announce that the service is leaving."""

    endpoint: str


class Presence:
    """Tracks the announcements of one stand-in, and decides on the next Hello or Bye::

        absent ── present / Hello ──► announced ── changed / Hello ──► announced
           ▲                              │
           └──────── gone / Bye ──────────┘
    """

    def __init__(self) -> None:
        self.announced: TargetService | None = None

    def update(self, service: TargetService | None) -> list[Hello | Bye]:
        """Sets the stand-in's current service (None: the scanner is gone, or unknown); returns the messages to send."""
        former, self.announced = self.announced, service
        if former == service:
            return []
        told: list[Hello | Bye] = []
        if former is not None and (service is None or not is_same(service.endpoint, former.endpoint)):
            told.append(Bye(former.endpoint))
        if service is not None:
            told.append(Hello(service))
        return told
