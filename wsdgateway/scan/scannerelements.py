"""GetScannerElements: the request written, the answer taken apart.

WS-Scan, GetScannerElementsRequest, GetScannerElementsResponse, ElementData, ScannerDescription.
"""

from lxml import etree

from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS, action_of
from wsdgateway.scan.reading import attribute, tag, text
from wsdgateway.soap.envelope import compose
from wsdgateway.soap.namespaces import WSCN


def write_elements_request(*names: str) -> str:
    """The Body's content that asks for those elements."""
    wanted = "".join(f"<wscn:Name>wscn:{name}</wscn:Name>" for name in names)
    return ("<wscn:GetScannerElementsRequest><wscn:RequestedElements>"
            f"{wanted}</wscn:RequestedElements></wscn:GetScannerElementsRequest>")


def read_elements(body: etree._Element | None) -> dict[str, etree._Element]:
    """The valid elements in a GetScannerElementsResponse, by name; none where it is another message."""
    if body is None or body.tag != tag("GetScannerElementsResponse"):
        return {}
    return {etree.QName(element).localname: element for data in body.iter(tag("ElementData"))
            if attribute(data, "Valid") not in ("0", "false") for element in data.iterchildren(tag=etree.Element)}


def write_description_request(*, to: str, message_id: str) -> bytes:
    """The request for a scanner's ScannerDescription."""
    return compose(
        action=action_of(GET_SCANNER_ELEMENTS.name), message_id=message_id, to=to, namespaces={"wscn": WSCN},
        body=write_elements_request("ScannerDescription"))


def read_description(body: etree._Element | None) -> tuple[str, str] | None:
    """ScannerName and ScannerInfo in a GetScannerElementsResponse, empty where one is missing; None if it is none."""
    if body is None or body.tag != tag("GetScannerElementsResponse"):
        return None
    description = next(body.iter(tag("ScannerDescription")), None)
    if description is None:
        return "", ""
    return text(description, "ScannerName") or "", text(description, "ScannerInfo") or ""
