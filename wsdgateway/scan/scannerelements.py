"""Reads and writes GetScannerElements requests, and reads the answers.

WS-Scan, GetScannerElementsRequest, GetScannerElementsResponse, ElementData, ScannerDescription.
"""

from lxml import etree

from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS, action_of
from wsdgateway.scan.reading import attribute, in_current_namespace, tag, text, wanted_name
from wsdgateway.soap.envelope import compose
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import text_of

MAX_NAME = 256  # characters of ScannerName, ScannerInfo and ScannerLocation, which pages, logs and eSCL clients show
SCANNER_STATUS = "ScannerStatus"
ELEMENTS = frozenset(("ScannerDescription", "ScannerConfiguration", SCANNER_STATUS, "DefaultScanTicket"))


def write_elements_request(*names: str) -> str:
    """Write the Body's content of a request for those elements."""
    wanted = "".join(f"<wscn:Name>wscn:{name}</wscn:Name>" for name in names)
    return ("<wscn:GetScannerElementsRequest><wscn:RequestedElements>"
            f"{wanted}</wscn:RequestedElements></wscn:GetScannerElementsRequest>")


def read_elements_request(body: etree._Element | None) -> tuple[str, ...] | None:
    """The names in a request for elements of the specification, in order; None if it contains anything else."""
    requested = None if body is None or body.tag != tag("GetScannerElementsRequest") or body.attrib else list(
        body.iterchildren(tag=etree.Element))
    if not requested or len(requested) > 1 or requested[0].tag != tag("RequestedElements") or requested[0].attrib:
        return None
    names: list[str] = []
    for element in requested[0].iterchildren(tag=etree.Element):
        value = text_of(element) if element.tag == tag("Name") and not len(element) and not element.attrib else None
        name = wanted_name(element, value) if value else None
        if name not in ELEMENTS or name in names:
            return None
        names.append(name)
    return tuple(names) or None


def has_all(body: etree._Element | None, names: tuple[str, ...]) -> bool:
    """Return whether a GetScannerElementsResponse contains all those elements, and marks no element as invalid."""
    if body is None:
        return False
    body = in_current_namespace(body)
    if any(attribute(data, "Valid") in ("0", "false") for data in body.iter(tag("ElementData"))):
        return False
    return set(names) <= read_elements(body).keys()


def read_elements(body: etree._Element | None) -> dict[str, etree._Element]:
    """The valid elements in a GetScannerElementsResponse, by name; empty for another message."""
    body = None if body is None else in_current_namespace(body)
    if body is None or body.tag != tag("GetScannerElementsResponse"):
        return {}
    return {etree.QName(element).localname: element for data in body.iter(tag("ElementData"))
            if attribute(data, "Valid") not in ("0", "false") for element in data.iterchildren(tag=etree.Element)}


def write_status_request(*, to: str, message_id: str) -> bytes:
    """The request for a scanner's ScannerStatus."""
    return _write_request(SCANNER_STATUS, to=to, message_id=message_id)


def write_description_request(*, to: str, message_id: str) -> bytes:
    """The request for a scanner's ScannerDescription."""
    return _write_request("ScannerDescription", to=to, message_id=message_id)


def _write_request(name: str, *, to: str, message_id: str) -> bytes:
    return compose(
        action=action_of(GET_SCANNER_ELEMENTS.name), message_id=message_id, to=to, namespaces={"wscn": WSCN},
        body=write_elements_request(name), is_request=True)


def read_description(body: etree._Element | None) -> tuple[str, str] | None:
    """ScannerName and ScannerInfo in a GetScannerElementsResponse, each cut after `MAX_NAME` characters.

    They are empty if they are missing; None if it is another message.
    """
    body = None if body is None else in_current_namespace(body)
    if body is None or body.tag != tag("GetScannerElementsResponse"):
        return None
    description = next(body.iter(tag("ScannerDescription")), None)
    if description is None:
        return "", ""
    return described(description, "ScannerName"), described(description, "ScannerInfo")


def described(description: etree._Element, name: str) -> str:
    """An element of a ScannerDescription, cut after `MAX_NAME` characters; empty if it is missing."""
    return (text(description, name) or "")[:MAX_NAME]
