"""A scanner's metadata as its stand-in tells it: the same, but for every address.

DPWS 2006/02, section 5 (ThisDevice, ThisModel, Relationship, Host, Hosted); field notes on Windows: PnP-X ids and the
namespaces must stay as the scanner has them.
"""

from urllib.parse import urlsplit

from lxml import etree

from wsdgateway.metadata.messages import SCANNER_SERVICE_TYPE, offers
from wsdgateway.soap.namespaces import PNPX, WSA, WSCN, WSDP, WSX
from wsdgateway.soap.parsing import escape, parse, text_of

COMPATIBLE = f"{WSCN}/{SCANNER_SERVICE_TYPE}"

_WSDP, _WSA = f"{{{WSDP}}}", f"{{{WSA}}}"


def find_metadata(body: etree._Element | None) -> etree._Element | None:
    """The wsx:Metadata in a GetResponse's body."""
    return body if body is not None and body.tag == f"{{{WSX}}}Metadata" else None


def host_endpoint(metadata: etree._Element) -> str | None:
    """The endpoint address that a device gives itself."""
    host = metadata.find(f".//{_WSDP}Host/{_WSA}EndpointReference/{_WSA}Address")
    return text_of(host)


def stand_in(metadata: etree._Element, *, endpoint: str, scan: str, hosts: frozenset[str]) -> str:
    """The metadata as XML: endpoint and scan service are ours, other services and URLs on the scanner's `hosts` go.

    Everything else stays: sections, vendor elements, prefixes.
    """
    # Not deepcopy, which leaves out prefixes that only a text uses, and types are QNames in text.
    copy = parse(etree.tostring(metadata, with_tail=False))
    ours = set()
    for relationship in copy.iter(f"{_WSDP}Relationship"):
        for host in relationship.iterchildren(f"{_WSDP}Host"):
            ours |= _point(host, endpoint)
        for hosted in list(relationship.iterchildren(f"{_WSDP}Hosted")):
            if offers(hosted.find(f"{_WSDP}Types"), SCANNER_SERVICE_TYPE):
                ours |= _point(hosted, scan)
            else:
                relationship.remove(hosted)
    for element in list(copy.iter(etree.Element)):
        if element not in ours:
            _hide(element, hosts)
    return etree.tostring(copy, encoding="unicode", with_tail=False)


def _point(service: etree._Element, address: str) -> set[etree._Element]:
    """Let a Host or Hosted have that address alone; the elements that hold it."""
    first, *others = service.findall(f"{_WSA}EndpointReference") or [
        etree.SubElement(service, f"{_WSA}EndpointReference")]
    for other in others:
        service.remove(other)
    found = first.find(f"{_WSA}Address")
    element = found if found is not None else etree.SubElement(first, f"{_WSA}Address")
    element.text = address
    return {element}


def _hide(element: etree._Element, hosts: frozenset[str]) -> None:
    """Take away what names the scanner's own host: an attribute, or an element that holds nothing else."""
    for name, value in list(element.attrib.items()):
        if _leaks(str(value), hosts):
            del element.attrib[name]
    if element.text and _leaks(element.text, hosts):
        rest = [item for item in element.text.split() if not _leaks(item, hosts)]
        parent = element.getparent()
        if rest or len(element) or parent is None:
            element.text = " ".join(rest)
        else:
            parent.remove(element)


def _leaks(text: str, hosts: frozenset[str]) -> bool:
    for item in text.split():
        if "://" in item:
            try:
                host = urlsplit(item).hostname
            except ValueError:
                continue
            if host in hosts:
                return True
    return False


def make_metadata(*, endpoint: str, name: str, info: str, scan: str) -> str:
    """Metadata for a scanner that has told only its ScannerDescription: its name, and something about it."""
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
        f"<wsdp:Types>wscn:ScanDeviceType</wsdp:Types><wsdp:ServiceId>{escape(endpoint)}</wsdp:ServiceId></wsdp:Host>"
        f"<wsdp:Hosted><wsa:EndpointReference><wsa:Address>{escape(scan)}</wsa:Address></wsa:EndpointReference>"
        f"<wsdp:Types>wscn:{SCANNER_SERVICE_TYPE}</wsdp:Types><wsdp:ServiceId>{escape(endpoint)}/scan</wsdp:ServiceId>"
        f"<pnpx:CompatibleId>{COMPATIBLE}</pnpx:CompatibleId><pnpx:HardwareId>{COMPATIBLE}</pnpx:HardwareId>"
        "</wsdp:Hosted></wsdp:Relationship></wsx:MetadataSection></wsx:Metadata>")
