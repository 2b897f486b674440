"""Derives a stand-in's metadata from that of its scanner: the same, except for every address.

DPWS 2006/02, section 5 (ThisDevice, ThisModel, Relationship, Host, Hosted). For Windows, PnP-X ids and the namespaces
must stay as the scanner has them.
"""

import re
from itertools import chain, count
from urllib.parse import urlsplit

from lxml import etree

from wsdgateway.http.urls import ip_of
from wsdgateway.metadata.messages import SCANNER_SERVICE_TYPE, offers
from wsdgateway.metadata.names import name_of
from wsdgateway.soap.fragments import write_fragment
from wsdgateway.soap.namespaces import GATEWAY, PNPX, STAND_IN_TYPE, WSA, WSCN, WSDP, WSX
from wsdgateway.soap.parsing import escape, parse, set_text, text_of

COMPATIBLE = f"{WSCN}/{SCANNER_SERVICE_TYPE}"

_LITERAL = re.compile(r"\[([0-9a-fA-F:.]+)(?:%\w+)?\]")
_WSDP, _WSA = f"{{{WSDP}}}", f"{{{WSA}}}"


def find_metadata(body: etree._Element | None) -> etree._Element | None:
    """Returns the wsx:Metadata in a GetResponse's body."""
    return body if body is not None and body.tag == f"{{{WSX}}}Metadata" else None


def host_endpoint(metadata: etree._Element) -> str | None:
    """Returns the endpoint address that a device's metadata gives for the device itself."""
    host = metadata.find(f".//{_WSDP}Host/{_WSA}EndpointReference/{_WSA}Address")
    return text_of(host)


def stand_in(metadata: etree._Element, *, endpoint: str, scan: str, hosts: frozenset[str], suffix: str = "",
             name: str = "") -> str:
    """Returns the stand-in's metadata as XML.

    It has our endpoint and scan service, and neither other services nor mentions of the scanner's hosts. `hosts` are
    known hosts in addition to those in the metadata's own addresses; `suffix` is appended to each FriendlyName. A
    FriendlyName that is only an address is replaced by the model, or else by `name`. Metadata without a Host gets one.
    Everything else stays: sections, vendor elements, and the prefixes that they use.
    """
    # Not deepcopy, which drops prefixes that are used only in text, and types are QNames in text.
    copy = parse(etree.tostring(metadata, encoding="utf-8", with_tail=False))  # names may contain non-ASCII characters
    etree.strip_elements(copy, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    named = _Hosts(hosts | {urlsplit(address).hostname or "" for address in _addresses(copy)})
    ours = _name(copy, name, suffix, named)
    _complete(copy, endpoint)
    for relationship in copy.iter(f"{_WSDP}Relationship"):
        for host in relationship.iterchildren(f"{_WSDP}Host"):
            ours |= _point(host, endpoint, endpoint, named)
            _mark(host)
        for hosted in list(relationship.iterchildren(f"{_WSDP}Hosted")):
            if offers(hosted.find(f"{_WSDP}Types"), SCANNER_SERVICE_TYPE):
                ours |= _point(hosted, scan, f"{endpoint}/scan", named)
                _declare(hosted)
            else:
                relationship.remove(hosted)
    for element in list(copy.iter(etree.Element)):
        if element.tail and named.search(element.tail):  # the parent's text, even after an element of ours
            element.tail = _without(element.tail, named)
        if element not in ours:
            _hide(element, named)
    return write_fragment(copy, defaults=True)


def digest(metadata: etree._Element) -> bytes:
    """Returns the canonical form of the metadata, which is equal for copies of the same metadata."""
    try:
        return etree.tostring(metadata, method="c14n", with_comments=False)
    except etree.C14NError:  # a namespace that is not an absolute URI
        return etree.tostring(metadata, encoding="utf-8", with_tail=False)


def _addresses(metadata: etree._Element) -> list[str]:
    """Returns the web addresses in the endpoint references, and that of the device's own page."""
    found = []
    for element in metadata.iter(f"{_WSA}Address", f"{_WSDP}PresentationUrl"):
        address = text_of(element) or ""
        try:
            urlsplit(address)
        except ValueError:
            continue
        if address.startswith(("http://", "https://")):
            found.append(address)
    return found


class _Hosts:
    """Finds mentions of hosts in text: addresses and names with dots anywhere, single-word names only as a URL's host.

    A word may mean anything else; some scanners have their makers' names as host names.
    """

    def __init__(self, hosts: frozenset[str]) -> None:
        addresses = {host: ip_of(host) for host in hosts if host}
        self._ipv6 = {address for address in addresses.values() if address is not None and address.version == 6}
        words = "|".join(re.escape(host) for host in addresses if "." not in host and ":" not in host)
        others = "|".join(re.escape(host) for host in addresses if "." in host or ":" in host)
        self._named = re.compile(
            rf"(?<=://)(?:{words or '(?!)'})(?![\w.-])|(?<![\w.-])(?:{others or '(?!)'})(?![\w-]|\.\w)", re.IGNORECASE)

    def search(self, text: str) -> bool:
        """True if the text names one of the hosts."""
        return self._named.search(text) is not None or any(
            ip_of(literal) in self._ipv6 for literal in _LITERAL.findall(text))


def _point(service: etree._Element, address: str, service_id: str, named: _Hosts) -> set[etree._Element]:
    """Sets the address of a Host or Hosted, and removes others; returns the elements that hold our values."""
    first, *others = service.findall(f"{_WSA}EndpointReference") or [
        etree.SubElement(service, f"{_WSA}EndpointReference")]
    for other in others:
        service.remove(other)
    found = first.find(f"{_WSA}Address")
    element = found if found is not None else etree.SubElement(first, f"{_WSA}Address")
    set_text(element, address)
    identifier = service.find(f"{_WSDP}ServiceId")
    if identifier is None or not named.search(text_of(identifier) or ""):
        return {element}
    identifier.text = service_id
    return {element, identifier}


def _name(metadata: etree._Element, name: str, suffix: str, named: _Hosts) -> set[etree._Element]:
    """Sets each FriendlyName to a display name with the suffix; returns these elements."""
    def visible(element: etree._Element) -> str:
        text = text_of(element) or ""
        return name_of(_without(text, named) if named.search(text) else text)

    found = set(metadata.iter(f"{_WSDP}FriendlyName"))
    models = [visible(element) for element in metadata.iter(f"{_WSDP}ModelName")]
    for friendly in found:
        set_text(friendly, (visible(friendly) or next(filter(None, models), name)) + suffix)
    return found


def _complete(metadata: etree._Element, endpoint: str) -> None:
    """Adds a Host with that endpoint if there is none: some scanners omit it, and the mark has to be on it."""
    if metadata.find(f".//{_WSDP}Relationship/{_WSDP}Host") is not None:
        return
    relationships = list(metadata.iter(f"{_WSDP}Relationship"))
    with_scanner = [one for one in relationships if any(
        offers(hosted.find(f"{_WSDP}Types"), SCANNER_SERVICE_TYPE) for hosted in one.iterchildren(f"{_WSDP}Hosted"))]
    for relationship in (with_scanner or relationships)[:1]:
        # lxml drops a declaration that repeats one in scope, even if its prefix is used only in text: use the one in
        # scope.
        known = next((prefix for prefix, uri in relationship.nsmap.items() if prefix and uri == WSCN), None)
        host = etree.Element(f"{_WSDP}Host")
        etree.SubElement(etree.SubElement(host, f"{_WSA}EndpointReference"), f"{_WSA}Address").text = endpoint
        types = etree.SubElement(host, f"{_WSDP}Types", nsmap=None if known else {"wscn": WSCN})
        types.text = f"{known or 'wscn'}:ScanDeviceType"
        etree.SubElement(host, f"{_WSDP}ServiceId").text = endpoint
        relationship.insert(0, host)


def _declare(hosted: etree._Element) -> None:
    """Declares the type of the scan service where the device has not: clients resolve its prefix."""
    types = hosted.find(f"{_WSDP}Types")
    assert types is not None
    declared = types.nsmap
    names = (text_of(types) or "").split()
    bare = [name for name in names if name.rpartition(":")[2] == SCANNER_SERVICE_TYPE
            and (name.rpartition(":")[0] or None) not in declared]
    if not bare:
        return
    known = next((prefix for prefix, uri in declared.items() if prefix and uri == WSCN), None)
    prefix = known or next(one for one in chain(["wscn"], map("wscn{}".format, count())) if one not in declared)
    ours = etree.Element(f"{_WSDP}Types", nsmap=declared if known else {**declared, prefix: WSCN})
    ours.text = " ".join(f"{prefix}:{SCANNER_SERVICE_TYPE}" if name in bare else name for name in names)
    hosted.replace(types, ours)


def _mark(host: etree._Element) -> None:
    """Marks the device's types as those of a stand-in, so that no gateway takes it for a scanner."""
    types = host.find(f"{_WSDP}Types")
    marked = etree.Element(f"{_WSDP}Types", nsmap={**(types.nsmap if types is not None else {}), "gateway": GATEWAY})
    marked.text = f"{text_of(types) or ''} gateway:{STAND_IN_TYPE}".strip()
    if types is None:
        host.append(marked)
    else:
        host.replace(types, marked)


def is_stand_in(metadata: etree._Element) -> bool:
    """True if the metadata is that of a stand-in rather than of a scanner."""
    return any(name.endswith(f":{STAND_IN_TYPE}") and types.nsmap.get(name.partition(":")[0]) == GATEWAY
               for types in metadata.iter(f"{_WSDP}Types") for name in (text_of(types) or "").split())


def _hide(element: etree._Element, named: _Hosts) -> None:
    """Removes mentions of the scanner's own host: an attribute, words, or an element that contains nothing else."""
    for name, value in list(element.attrib.items()):
        if named.search(str(value)):
            del element.attrib[name]
    if element.text and named.search(element.text):
        element.text = _without(element.text, named)
        parent = element.getparent()
        if not element.text and not len(element) and parent is not None:
            parent.remove(element)


def _without(text: str, named: _Hosts) -> str:
    return " ".join(word for word in text.split() if not named.search(word))


def make_metadata(*, endpoint: str, name: str, info: str, scan: str) -> str:
    """Builds metadata for a scanner that has provided only its ScannerDescription (name and information)."""
    return (
        f'<wsx:Metadata xmlns:wsx="{WSX}" xmlns:wsdp="{WSDP}" xmlns:wsa="{WSA}" xmlns:wscn="{WSCN}" '
        f'xmlns:pnpx="{PNPX}"><wsx:MetadataSection Dialect="{WSDP}/ThisDevice"><wsdp:ThisDevice>'
        f'<wsdp:FriendlyName xml:lang="en">{escape(name)}</wsdp:FriendlyName></wsdp:ThisDevice></wsx:MetadataSection>'
        f'<wsx:MetadataSection Dialect="{WSDP}/ThisModel"><wsdp:ThisModel>'
        f'<wsdp:Manufacturer xml:lang="en">unknown</wsdp:Manufacturer>'
        f'<wsdp:ModelName xml:lang="en">{escape(info or name)}</wsdp:ModelName>'
        "<pnpx:DeviceCategory>Scanners</pnpx:DeviceCategory></wsdp:ThisModel></wsx:MetadataSection>"
        f'<wsx:MetadataSection Dialect="{WSDP}/Relationship"><wsdp:Relationship Type="{WSDP}/host"><wsdp:Host>'
        f"<wsa:EndpointReference><wsa:Address>{escape(endpoint)}</wsa:Address></wsa:EndpointReference>"
        f'<wsdp:Types xmlns:gateway="{GATEWAY}">wscn:ScanDeviceType gateway:{STAND_IN_TYPE}</wsdp:Types>'
        f"<wsdp:ServiceId>{escape(endpoint)}</wsdp:ServiceId></wsdp:Host>"
        f"<wsdp:Hosted><wsa:EndpointReference><wsa:Address>{escape(scan)}</wsa:Address></wsa:EndpointReference>"
        f"<wsdp:Types>wscn:{SCANNER_SERVICE_TYPE}</wsdp:Types><wsdp:ServiceId>{escape(endpoint)}/scan</wsdp:ServiceId>"
        f"<pnpx:CompatibleId>{COMPATIBLE}</pnpx:CompatibleId><pnpx:HardwareId>{COMPATIBLE}</pnpx:HardwareId>"
        "</wsdp:Hosted></wsdp:Relationship></wsx:MetadataSection></wsx:Metadata>")
