"""GetScannerElements, as far as a gateway asks by itself: what a scanner calls itself.

WS-Scan, GetScannerElementsRequest, ScannerDescription.
"""

from lxml import etree

from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS, action_of
from wsdgateway.scan.reading import tag, text
from wsdgateway.soap.envelope import compose
from wsdgateway.soap.namespaces import WSCN


def write_description_request(*, to: str, message_id: str) -> bytes:
    """The request for a scanner's ScannerDescription."""
    return compose(
        action=action_of(GET_SCANNER_ELEMENTS.name), message_id=message_id, to=to, namespaces={"wscn": WSCN},
        body="<wscn:GetScannerElementsRequest><wscn:RequestedElements><wscn:Name>wscn:ScannerDescription</wscn:Name>"
             "</wscn:RequestedElements></wscn:GetScannerElementsRequest>")


def read_description(body: etree._Element | None) -> tuple[str, str] | None:
    """ScannerName and ScannerInfo in a GetScannerElementsResponse, empty where one is missing; None if it is none."""
    if body is None or body.tag != tag("GetScannerElementsResponse"):
        return None
    description = next(body.iter(tag("ScannerDescription")), None)
    if description is None:
        return "", ""
    return text(description, "ScannerName") or "", text(description, "ScannerInfo") or ""
