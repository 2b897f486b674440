"""Probe and Resolve, and the matches that answer them.

WS-Discovery 2005/04, sections 5.2, 5.3, 6.2 and 6.3; DPWS 2006/02, section 4 (directed Probe over HTTP).
"""

from collections.abc import Iterable

import attrs
from lxml import etree

from wsdgateway.discovery.matching import QName
from wsdgateway.discovery.versions import Version
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.namespaces import SOAP, WSA, WSCN, WSDP
from wsdgateway.soap.parsing import escape, text_of

MAX_ENVELOPE = 32767  # Windows closes the connection on a larger one
MAX_ITEMS = 64

_PREFIXES = {WSDP: "wsdp", WSCN: "wscn"}


@attrs.frozen
class Probe:
    """What is looked for: types, and scopes with the URI of their rule (None: the usual one)."""

    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    match_by: str | None = None


@attrs.frozen
class Match:
    """A target service as it answers: `types` of the prefixes `wsdp` and `wscn`."""

    endpoint: str
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    xaddrs: tuple[str, ...]
    metadata_version: int


@attrs.frozen
class Sequence:
    """Where a message stands among its sender's: `instance_id` grows at each start, the number with each message."""

    instance_id: int
    message_number: int


def read_probe(envelope: Envelope, version: Version) -> Probe | None:
    """What a Probe looks for; None if the message is none, or its types can't be read."""
    body = envelope.body
    if body is None or body.tag != version.tag("Probe"):
        return None
    types = _qnames(next(body.iterchildren(version.tag("Types")), None))
    scopes = next(body.iterchildren(version.tag("Scopes")), None)
    if types is None:
        return None
    if scopes is None:
        return Probe(types)
    wanted = (text_of(scopes) or "").split()
    return None if len(wanted) > MAX_ITEMS else Probe(types, tuple(wanted), scopes.get("MatchBy"))


def _qnames(element: etree._Element | None) -> tuple[QName, ...] | None:
    """The QNames in an element's text; None if one has an unknown prefix, or there are too many."""
    items = (text_of(element) or "").split() if element is not None else []
    names = []
    for item in items:
        prefix, _, local = item.rpartition(":")
        uri = element.nsmap.get(prefix or None) if element is not None else None
        if uri is None and prefix:
            return None
        names.append((uri or "", local))
    return tuple(names) if len(names) <= MAX_ITEMS else None


def read_resolve(envelope: Envelope, version: Version) -> str | None:
    """The endpoint address that a Resolve asks for; None if the message is none."""
    body = envelope.body
    if body is None or body.tag != version.tag("Resolve"):
        return None
    reference = next(body.iterchildren(f"{{{WSA}}}EndpointReference"), None)
    return None if reference is None else text_of(reference.find(f"{{{WSA}}}Address"))


def _match(kind: str, match: Match) -> str:
    types = " ".join(f"{_PREFIXES[uri]}:{local}" for uri, local in match.types)
    scopes = f"<wsd:Scopes>{escape(' '.join(match.scopes))}</wsd:Scopes>" if match.scopes else ""
    return (f"<wsd:{kind}Match><wsa:EndpointReference><wsa:Address>{escape(match.endpoint)}</wsa:Address>"
            f"</wsa:EndpointReference><wsd:Types>{types}</wsd:Types>{scopes}"
            f"<wsd:XAddrs>{escape(' '.join(match.xaddrs))}</wsd:XAddrs>"
            f"<wsd:MetadataVersion>{match.metadata_version}</wsd:MetadataVersion></wsd:{kind}Match>")


def write_matches(kind: str, matches: Iterable[Match], *, version: Version, sequence: Sequence, relates_to: str | None,
                  message_id: str) -> bytes:
    """The ProbeMatches or ResolveMatches (`kind` is `Probe` or `Resolve`): as many as fit in `MAX_ENVELOPE` bytes."""
    related = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    before = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}" xmlns:wsd="{version.uri}"'
        f' xmlns:wsdp="{WSDP}" xmlns:wscn="{WSCN}"><soap:Header><wsa:To>{ANONYMOUS}</wsa:To>'
        f"<wsa:Action>{version.action(kind)}Matches</wsa:Action><wsa:MessageID>{escape(message_id)}</wsa:MessageID>"
        f'{related}<wsd:AppSequence InstanceId="{sequence.instance_id}" MessageNumber="{sequence.message_number}"/>'
        f"</soap:Header><soap:Body><wsd:{kind}Matches>").encode()
    after = f"</wsd:{kind}Matches></soap:Body></soap:Envelope>".encode()
    room = MAX_ENVELOPE - len(before) - len(after)
    written = []
    for match in matches:
        text = _match(kind, match).encode()
        room -= len(text)
        if room < 0:
            break
        written.append(text)
    return b"%b%b%b" % (before, b"".join(written), after)
