"""Checks messages of the gateway and the virtual scanner against the schema in `schemas/`, and against rules that no
schema can express.

`problems` lists what is wrong with a message; `checked` parses a message and fails if anything is wrong with it.
"""

from pathlib import Path

from lxml import etree

from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import GATEWAY, SOAP, WSA, WSA_2005_08, WSCN, WSD, WSD_1_1, WSD_CD1, WSDP, WSE, WSX, WXF

ADDRESSING = ("To", "Action", "MessageID", "RelatesTo", "From", "ReplyTo", "FaultTo")
HEADERS = frozenset((
    *(f"{{{uri}}}{name}" for uri in (WSA, WSA_2005_08) for name in ADDRESSING), f"{{{SOAP}}}NotUnderstood",
    *(f"{{{uri}}}AppSequence" for uri in (WSD, WSD_CD1, WSD_1_1)), f"{{{WSE}}}Identifier"))
SUBCODES = {
    # The error codes of WS-Scan's operations, and the common ones.
    WSCN: {"InvalidArgs", "OperationFailed", "ServerErrorTemporaryError", "ServerErrorInternalError",
           "ServerErrorNotAcceptingJobs", "ClientErrorFormatNotSupported", "ClientErrorInvalidScanIdentifier",
           "ClientErrorInvalidDestinationToken", "ClientErrorNoImagesAvailable", "ClientErrorJobIdNotFound",
           "ClientErrorInvalidJobToken", "ClientErrorJobCancelled", "ClientErrorConflictingRequiredParameters"},
    WSA: {"ActionNotSupported", "MessageInformationHeaderRequired", "InvalidMessageInformationHeader",
          "DestinationUnreachable", "EndpointUnavailable"},
    WSE: {"DeliveryModeRequestedUnavailable", "InvalidExpirationTime", "UnsupportedExpirationType",
          "FilteringRequestedUnavailable", "EventSourceUnableToProcess", "UnableToRenew", "InvalidMessage"},
    WSDP: {"FilterActionNotSupported"},
    WSD: {"MatchingRuleNotSupported"},
    GATEWAY: {"NotAllowed"},  # our own: a rule of the configuration refuses the client
}
UNCOMPRESSED = ("dib", "tiff-single-uncompressed", "tiff-multi-uncompressed")

_schema = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "messages.xsd"))


def problems(message):
    """Returns a list of what is wrong with a message."""
    root = etree.fromstring(message) if isinstance(message, bytes) else message
    if not _schema.validate(root):
        return [f"{error.path}: {error.message}" for error in _schema.error_log]
    header, body = root
    content = next(iter(body), None)
    return [*_header(header, content), *_action(header, content), *_inside(root)]


def checked(message):
    """Returns the message as an envelope; fails if anything is wrong with it."""
    found = problems(message)
    assert not found, "\n".join([*found, message.decode()])
    return read(message)


def _header(header, content):
    addressing = WSA_2005_08 if header.find(f"{{{WSA}}}Action") is None else WSA
    for name in ("To", "Action", "MessageID"):
        if len(header.findall(f"{{{addressing}}}{name}")) != 1:
            yield f"the Header must hold one wsa:{name}"
    for element in header:
        if etree.QName(element).namespace in (SOAP, WSA, WSA_2005_08, WSD, WSE) and element.tag not in HEADERS:
            yield f"the Header holds {element.tag}"
    root = "" if content is None else etree.QName(content).localname
    if root.endswith(("Response", "Matches")) and header.find(f"{{{addressing}}}RelatesTo") is None:
        yield "an answer must hold wsa:RelatesTo"


def _action(header, content):
    action = header.findtext(f"{{{WSA}}}Action") or header.findtext(f"{{{WSA_2005_08}}}Action")
    if content is None:
        expected = {f"{WSE}/UnsubscribeResponse", f"{WXF}/Get"}
    else:
        name = etree.QName(content)
        expected = {{f"{{{SOAP}}}Fault": f"{WSA}/fault", f"{{{WSX}}}Metadata": f"{WXF}/GetResponse"}.get(
            content.tag, f"{name.namespace}/{name.localname.removesuffix('Request')}")}
    if action not in expected:
        yield f"the Action is {action}, and must be one of {expected}"


def _inside(root):
    for data in root.iter(f"{{{WSCN}}}ElementData"):
        prefix, _, local = data.get("Name").rpartition(":")
        wanted = [f"{{{data.nsmap.get(prefix or None)}}}{local}"] if data.get("Valid") in ("1", "true") else []
        if [element.tag for element in data] != wanted:
            yield f"ElementData {dict(data.attrib)} holds {[element.tag for element in data]}"
    for created in root.iter(f"{{{WSCN}}}CreateScanJobResponse"):
        format = created.findtext(f".//{{{WSCN}}}Format")
        lines = {element.text for element in created.iter(f"{{{WSCN}}}BytesPerLine")}
        if format not in UNCOMPRESSED and lines != {"0"}:
            yield f"BytesPerLine must be 0 for the compressed format {format}"
    for section in root.iter(f"{{{WSX}}}MetadataSection"):
        if section.get("Dialect") != f"{WSDP}/{etree.QName(section[0]).localname}":
            yield f"a section {section.get('Dialect')} holds {section[0].tag}"
    for subcode in root.iterfind(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value"):
        prefix, _, local = subcode.text.partition(":")
        if local not in SUBCODES.get(subcode.nsmap.get(prefix), ()):
            yield f"no specification has the fault {subcode.text}"
