"""Writes WS-Discovery's messages.

WS-Discovery 2005/04, sections 4 to 6 and Appendix I; 1.1 in its namespaces. Multicast messages are addressed to the
version's own URN, answers to the anonymous address.
"""

from collections.abc import Iterable, Iterator

from wsdgateway.discovery.matching import QName
from wsdgateway.discovery.messages import MAX_ENVELOPE, MAX_SERVICES, Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04, WS_2009_01, Version
from wsdgateway.soap.addressing import anonymous
from wsdgateway.soap.envelope import compose
from wsdgateway.soap.namespaces import WSCN, WSDP
from wsdgateway.soap.parsing import escape

MATCH_TAGS = 2 * len("<wsd:ResolveMatch>") + 1
_LARGEST, _LONGEST = Sequence(1 << 63, 1 << 63), "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"

_PREFIXES = {WSDP: "wsdp", WSCN: "wscn"}


def _types(types: Iterable[QName]) -> str:
    """Returns a Types element, on which unusual prefixes are declared."""
    prefixes = dict(_PREFIXES)
    declared, names = "", []
    for uri, local in types:
        if uri and uri not in prefixes:
            prefixes[uri] = f"t{len(prefixes)}"
            declared += f' xmlns:{prefixes[uri]}="{escape(uri)}"'
        names.append(f"{prefixes[uri]}:{local}" if uri else local)
    return f"<wsd:Types{declared}>{escape(' '.join(names))}</wsd:Types>" if names else ""


def _reference(endpoint: str) -> str:
    return f"<wsa:EndpointReference><wsa:Address>{escape(endpoint)}</wsa:Address></wsa:EndpointReference>"


def _listed(name: str, items: tuple[str, ...]) -> str:
    return f"<wsd:{name}>{escape(' '.join(items))}</wsd:{name}>" if items else ""


def _service(service: TargetService) -> str:
    return (f"{_reference(service.endpoint)}{_types(service.types)}{_listed('Scopes', service.scopes)}"
            f"{_listed('XAddrs', service.xaddrs)}<wsd:MetadataVersion>{service.metadata_version}</wsd:MetadataVersion>")


def _write(name: str, body: str, *, version: Version, message_id: str, to: str | None = None,
           sequence: Sequence | None = None, relates_to: str | None = None, is_request: bool = False) -> bytes:
    headers = "" if sequence is None else (
        f'<wsd:AppSequence InstanceId="{sequence.instance_id}" MessageNumber="{sequence.message_number}"/>')
    return compose(action=version.action(name), message_id=message_id, to=to or version.everybody, body=body,
                   relates_to=relates_to, headers=headers, addressing=version.addressing,
                   namespaces={"wsd": version.uri, "wsdp": WSDP, "wscn": WSCN}, is_request=is_request)


def write_hello(service: TargetService, *, sequence: Sequence, message_id: str) -> bytes:
    """Writes a Hello: a service has started or changed."""
    return _write("Hello", f"<wsd:Hello>{_service(service)}</wsd:Hello>", version=WS_2005_04, message_id=message_id,
                  sequence=sequence)


def write_bye(endpoint: str, *, sequence: Sequence, message_id: str) -> bytes:
    """Writes a Bye: a service is leaving."""
    return _write("Bye", f"<wsd:Bye>{_reference(endpoint)}</wsd:Bye>", version=WS_2005_04, message_id=message_id,
                  sequence=sequence)


def write_probe(types: Iterable[QName], *, message_id: str, directed: bool = False) -> bytes:
    """Writes a Probe for targets of these types; a directed one is sent to a single device as an HTTP request."""
    return _write("Probe", f"<wsd:Probe>{_types(types)}</wsd:Probe>", version=WS_2005_04, message_id=message_id,
                  is_request=directed)


def write_resolve(endpoint: str, *, message_id: str) -> bytes:
    """Writes a Resolve for an endpoint."""
    return _write("Resolve", f"<wsd:Resolve>{_reference(endpoint)}</wsd:Resolve>", version=WS_2005_04,
                  message_id=message_id)


def in_envelopes(matches: Iterable[TargetService], relates_to: str | None, *,
                 at_most: int = MAX_SERVICES) -> Iterator[list[TargetService]]:
    """Splits the matches into groups that fit into one answer of at most `MAX_ENVELOPE` bytes.

    A group has at most `at_most` matches. A match that does not fit into any answer is omitted.
    """
    whole = MAX_ENVELOPE - len(write_matches("ResolveMatches", (), version=WS_2009_01, sequence=_LARGEST,
                                             relates_to=relates_to, message_id=_LONGEST))
    room, together = whole, list[TargetService]()
    for match in matches:
        size = len(_service(match).encode()) + MATCH_TAGS
        if size > whole:
            continue
        if size > room or len(together) == at_most:
            yield together
            room, together = whole, []
        room -= size
        together.append(match)
    if together:
        yield together


def write_matches(name: str, matches: Iterable[TargetService], *, version: Version, sequence: Sequence,
                  relates_to: str | None, message_id: str) -> bytes:
    """Writes `ProbeMatches` or `ResolveMatches` (`name`); `in_envelopes` splits matches that need several."""
    kind = name.removesuffix("es")
    body = "".join(f"<wsd:{kind}>{_service(match)}</wsd:{kind}>" for match in matches)
    return _write(name, f"<wsd:{name}>{body}</wsd:{name}>", version=version, message_id=message_id,
                  to=anonymous(version.addressing), sequence=sequence, relates_to=relates_to)
