"""WS-Discovery's messages as values, and a parser for them.

WS-Discovery 2005/04, sections 4 to 6 and Appendix I; 1.1, sections 4 to 6.
"""

import attrs
from lxml import etree

from wsdgateway.discovery.matching import QName
from wsdgateway.discovery.versions import NAMES, Version, name_of, version_of
from wsdgateway.soap.addressing import MAX_MESSAGE_ID
from wsdgateway.soap.envelope import Envelope, read, readdressed
from wsdgateway.soap.namespaces import WSA_2005_08
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed, text_of

MAX_ENVELOPE = 32767  # Windows closes the connection on a larger one; DPWS' MAX_ENVELOPE_SIZE
MAX_ITEMS = 64
MAX_SERVICES = 1000
MAX_ENDPOINT = 256
MAX_SCOPES = 2048  # characters of a service's scopes, which are forwarded to every client


@attrs.frozen
class Probe:
    """The criteria of a Probe: types, and scopes with the URI of their rule (None: the default rule)."""

    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    match_by: str | None = None


@attrs.frozen
class Resolve:
    """The endpoint whose addresses a Resolve asks for."""

    endpoint: str


@attrs.frozen
class TargetService:
    """A target service as described by an announcement or a match."""

    endpoint: str
    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    xaddrs: tuple[str, ...] = ()
    metadata_version: int = 0


@attrs.frozen
class Sequence:
    """The position of a message in its sender's sequence.

    `instance_id` grows at each start, `message_number` with each message. Numbers of sequences with different
    `sequence_id` cannot be compared.
    """

    instance_id: int
    message_number: int
    sequence_id: str = ""


@attrs.frozen(eq=False)
class Message:
    """A discovery message. `name` is `Hello`, `Bye`, `Probe`, `ProbeMatches`, `Resolve` or `ResolveMatches`.

    `content` is the content of its Body: services for announcements and matches, one for Hello and Bye.
    """

    version: Version
    name: str
    message_id: str | None
    relates_to: str | None
    sequence: Sequence | None
    content: Probe | Resolve | tuple[TargetService, ...]


def read_addressed(data: bytes, charset: str | None = None) -> Envelope:
    """Reads an envelope in either of the WS-Addressing versions that discovery uses. Raises `Malformed`.

    `charset` is that of the Content-Type; a datagram has none.
    """
    envelope = read(data, charset)
    newer = readdressed(envelope, WSA_2005_08) if envelope.action is None else envelope
    return envelope if newer.action is None else newer


def read_message(data: bytes, names: frozenset[str] = frozenset(NAMES)) -> Message | None:
    """Returns the discovery message in a datagram; None if it is not one with these names.

    Raises `Malformed`, also for mandatory headers that are not understood, because a datagram is not answered with a
    fault.
    """
    envelope = read_addressed(data)
    name = name_of(envelope.action or "")
    if name is not None and name not in names:
        return None
    fault = not_understood(envelope)
    if fault is not None:
        raise Malformed(fault.reason, envelope.message_id)
    return message_in(envelope)


def message_in(envelope: Envelope) -> Message:
    """Returns the discovery message in an envelope. Raises `Malformed` for anything else, and for unusable content."""
    action = envelope.action or ""
    name, version = name_of(action), version_of(action)
    if name is None or version is None:
        raise Malformed(f"the action {action[:200]} is not one of WS-Discovery", envelope.message_id)
    if max(len(envelope.message_id or ""), len(envelope.relates_to or "")) > MAX_MESSAGE_ID:
        raise Malformed(f"a MessageID is longer than {MAX_MESSAGE_ID} characters")
    body = envelope.body
    if body is None or body.tag != version.tag(name):
        raise Malformed(f"the Body contains no {name}", envelope.message_id)
    content: Probe | Resolve | tuple[TargetService, ...]
    if name == "Probe":
        content = _probe(body, version)
    elif name == "Resolve":
        content = Resolve(_endpoint(body, version))
    elif name in ("Hello", "Bye"):
        content = (_service(body, version),)
    else:
        content = _matches(body, version, name.removesuffix("es"))
    return Message(version, name, envelope.message_id, envelope.relates_to, _sequence(envelope, version), content)


def _matches(body: etree._Element, version: Version, name: str) -> tuple[TargetService, ...]:
    """Returns the readable matches; raises `Malformed` if all are bad.

    Some devices add a match without endpoint to good ones.
    """
    matches = list(body.iterchildren(version.tag(name)))
    if len(matches) > MAX_SERVICES:
        raise Malformed(f"it contains more than {MAX_SERVICES} matches")
    services = []
    problem: Malformed | None = None
    for match in matches:
        try:
            services.append(_service(match, version))
        except Malformed as bad:
            problem = bad
    if problem is not None and not services:
        raise problem
    return tuple(services)


def _probe(body: etree._Element, version: Version) -> Probe:
    scopes = body.find(version.tag("Scopes"))
    types = _qnames(body.find(version.tag("Types")))
    if scopes is None:
        return Probe(types)
    wanted = _items(scopes)
    if _bounded(wanted) != wanted:
        raise Malformed(f"the scopes are longer than {MAX_SCOPES} characters")
    return Probe(types, wanted, scopes.get("MatchBy"))


def _service(element: etree._Element, version: Version) -> TargetService:
    """Reads a service, without unreadable types: a type with an undeclared prefix must not hide the scanner."""
    return TargetService(
        _endpoint(element, version), _qnames(element.find(version.tag("Types")), lenient=True),
        _bounded(_items(element.find(version.tag("Scopes")))), _items(element.find(version.tag("XAddrs"))),
        _number(text_of(element.find(version.tag("MetadataVersion")))) or 0)


def _bounded(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the first scopes, up to `MAX_SCOPES` characters in all."""
    room, kept = MAX_SCOPES, []
    for scope in scopes:
        room -= len(scope)
        if room >= 0:
            kept.append(scope)
    return tuple(kept)


def _endpoint(element: etree._Element, version: Version) -> str:
    path = f"{{{version.addressing}}}EndpointReference/{{{version.addressing}}}Address"
    address = text_of(element.find(path))
    if address is None or len(address) > MAX_ENDPOINT:
        raise Malformed("it contains no EndpointReference with a usable Address")
    return address


def _items(element: etree._Element | None) -> tuple[str, ...]:
    items = (text_of(element) or "").split()
    if len(items) > MAX_ITEMS:
        raise Malformed(f"a list has more than {MAX_ITEMS} items")
    return tuple(items)


def _qnames(element: etree._Element | None, *, lenient: bool = False) -> tuple[QName, ...]:
    """Returns the QNames in an element's text."""
    names = []
    items = _items(element)
    declared = element.nsmap if element is not None and items else {}  # lxml builds it on each access
    for item in items:
        prefix, _, local = item.rpartition(":")
        uri = declared.get(prefix or None)
        if (uri is None and prefix) or not local:
            if lenient:
                continue
            raise Malformed(f"the type {item[:200]} has no local name, or an undeclared prefix")
        names.append((uri or "", local))
    return tuple(names)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None


def _sequence(envelope: Envelope, version: Version) -> Sequence | None:
    element = None if envelope.header is None else envelope.header.find(version.tag("AppSequence"))
    if element is None:
        return None
    instance_id, number = _number(element.get("InstanceId")), _number(element.get("MessageNumber"))
    if instance_id is None:
        return None
    return Sequence(instance_id, number or 0, element.get("SequenceId", "")[:MAX_ENDPOINT])
