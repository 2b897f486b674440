"""Tests of tests/schema.py: messages that the programs write pass, and the same messages with one mistake fail.

Answers of whole operations are checked in `loopback/exchanges/test_messages_by_schema.py`.
"""

import pytest
from lxml import etree

from tests.schema import checked, problems
from tests.written import GATEWAY, SCANNER
from wsdgateway.scan.documentparameters import DocumentParameters, Exposure, read_parameters
from wsdgateway.soap.namespaces import PNPX, WSCN, WSD, WSDP, WSE, WSX

S = f"{{{WSCN}}}"
EMPTY = {"UnsubscribeResponse", "ask Get"}  # their Body is empty


@pytest.mark.parametrize("name", [*SCANNER, *GATEWAY])
def test_written_messages_are_valid(name):
    checked((SCANNER | GATEWAY)[name])


# Elements whose order does not matter, and elements that may be left out.
UNORDERED = {"MetadataSection"}
OPTIONAL = {
    "ScannerInfo", "ScannerLocation", "Platen", "ADF", "ADFBack", "ValidScanTicket", "MediaBack", "MediaBackImageInfo",
    "ElementData", "ScannerDescription", "ScannerConfiguration", "ScannerStatus", "DefaultScanTicket",  # see Valid
    "JobStatus", "ScanTicket", "Documents", "DeviceCondition", "JobSummary", "JobCreatedTime", "JobCompletedTime",
    "InputSource", "DestinationResponses", "Types", "Scopes", "XAddrs", "ProbeMatch", "ResolveMatch", "EndTo", "Filter",
    "FirmwareVersion", "SerialNumber", "ModelNumber", "PresentationUrl", "DeviceCategory", "CompatibleId", "HardwareId",
    "Host", "Hosted", "MetadataSection", "ReferenceParameters", "Reason", "Subcode", "Detail",
    "Expires", "ConditionHistory"}
# In a client's ticket everything below DocumentParameters is optional, except the contents of these elements.
TICKETS = {"ScanTicket", "DefaultScanTicket", "ValidScanTicket"}
WHOLE_IN_TICKETS = {"JobDescription", "InputMediaSize", "Scaling"}


def body_elements(root):
    return list(root[1].iter(etree.Element))


def mutated(message, change):
    """Yields copies of a message, each with one change; `change(element)` returns whether it made one."""
    for place in range(len(body_elements(etree.fromstring(message)))):
        root = etree.fromstring(message)
        element = body_elements(root)[place]
        if change(element):
            yield element.tag, root


def swap(element):
    """Swaps an element with its successor, if that has another name."""
    after = element.getnext()
    if after is None or after.tag == element.tag or etree.QName(element).localname in UNORDERED:
        return False
    if etree.QName(element).namespace == PNPX and etree.QName(after).namespace == PNPX:
        return False  # wildcards have no order
    element.addprevious(after)
    return True


def rename(element):
    """Gives an element a name that is unknown in its namespace."""
    element.tag = f"{{{etree.QName(element).namespace}}}Unheard{etree.QName(element).localname}"
    return True


def insert(element):
    """Adds an unknown element of the same namespace at the end of an element."""
    if len(element) == 0 and element.text:
        return False
    etree.SubElement(element, f"{{{etree.QName(element).namespace}}}Unheard")
    return etree.QName(element).localname not in ("ReferenceParameters",)


def leave_out(element):
    """Removes an element."""
    name = etree.QName(element).localname
    above = [etree.QName(one).localname for one in element.iterancestors()]
    if name in OPTIONAL or above[0] in ("Body", "ReferenceParameters"):
        return False
    if set(above) & TICKETS and "DocumentParameters" in (name, *above) and above[0] not in WHOLE_IN_TICKETS:
        return False
    before = element.getprevious()
    after = element.getnext()
    if any(other is not None and other.tag == element.tag for other in (before, after)):
        return False  # one of a list
    element.getparent().remove(element)
    return True


def spoil(element):
    """Replaces the text of an element by an invalid value."""
    if len(element) or not element.text or etree.QName(element).namespace != WSCN:
        return False
    if etree.QName(element).localname in FREE_TEXT:
        return False
    element.text = "nonsense?"
    return True


FREE_TEXT = {"ScannerName", "ScannerInfo", "ScannerLocation", "JobName", "JobOriginatingUserName", "JobToken",
             "DocumentName", "ClientContext", "DestinationToken", "ScanIdentifier", "Name"}


@pytest.mark.parametrize("change", [swap, rename, insert, leave_out, spoil])
@pytest.mark.parametrize("name", sorted({*SCANNER, *GATEWAY} - EMPTY))
def test_a_message_with_one_mistake_is_refused(name, change):
    for tag, root in mutated((SCANNER | GATEWAY)[name], change):
        assert problems(root), f"{change.__doc__} {tag}"


@pytest.mark.parametrize(("message", "path", "attribute", "value"), [
    (SCANNER["ScannerStatus"], f".//{S}DeviceCondition", "Id", None),
    (SCANNER["ScannerStatus"], f".//{S}DeviceCondition", "Id", "0"),
    (SCANNER["ScannerStatus"], f".//{S}DeviceCondition", f"{S}Id", "1"),
    (SCANNER["ScannerStatus"], f".//{S}ElementData", "Name", None),
    (SCANNER["ScannerStatus"], f".//{S}ElementData", "Name", "wscn:ScannerDescription"),
    (SCANNER["ScannerStatus"], f".//{S}ElementData", "Name", "undeclared:ScannerStatus"),
    (SCANNER["ScannerStatus"], f".//{S}ElementData", "Valid", "yes"),
    (SCANNER["ScannerStatus"], f".//{S}ElementData", "Valid", "false"),
    (SCANNER["CreateScanJob"], f".//{S}Rotation", f"{S}MustHonor", "true"),
    (SCANNER["ScanTicket"], f".//{S}Rotation", f"{S}Override", "true"),
    (GATEWAY["ask Subscribe"], f".//{{{WSE}}}Filter", "Dialect", "urn:other"),
    (GATEWAY["Hello"], f".//{{{WSD}}}AppSequence", "InstanceId", None),
    (SCANNER["Get"], f".//{{{WSX}}}MetadataSection", "Dialect", f"{WSDP}/ThisModel")])
def test_a_wrong_attribute_is_refused(message, path, attribute, value):
    root = etree.fromstring(message)
    element = root.find(path)
    if value is None:
        del element.attrib[attribute]
    else:
        element.set(attribute, value)
    assert problems(root)


@pytest.mark.parametrize(("message", "old", "new"), [
    (SCANNER["CreateScanJob"], b">0</wscn:BytesPerLine>", b">900</wscn:BytesPerLine>"),
    (SCANNER["CreateScanJob"], b"CreateScanJobResponse</wsa:Action>", b"CreateScanJob</wsa:Action>"),
    (SCANNER["CreateScanJob"], b"<wsa:RelatesTo>urn:uuid:theirs</wsa:RelatesTo>", b""),
    (SCANNER["CreateScanJob"], b"<wsa:MessageID>urn:uuid:mine</wsa:MessageID>", b"<wsa:Odd/>"),
    (SCANNER["JobStatus"], b"2001-09-09T01:46:40.000Z", b"yesterday"),
    (SCANNER["Get"], b"wscn:ScannerServiceType", b"undeclared:ScannerServiceType"),
    (GATEWAY["ask Renew"], b"PT3600S", b"-PT1S"), (GATEWAY["ask Renew"], b"PT3600S", b"an hour"),
    (GATEWAY["Fault InvalidArgs"], b"wscn:InvalidArgs", b"wscn:InvalidArg"),
    (GATEWAY["Fault InvalidArgs"], b"soap:Sender", b"soap:Client"),
    (GATEWAY["Fault InvalidArgs"], b' xml:lang="en"', b""),
    *((SCANNER[name], b"<wscn:ExposureSettings><wscn:Contrast>0</wscn:Contrast><wscn:Brightness>0</wscn:Brightness>"
       b"<wscn:Sharpness>0</wscn:Sharpness></wscn:ExposureSettings>", b"<wscn:AutoExposure>true</wscn:AutoExposure>")
      for name in ("CreateScanJob", "Documents"))])
def test_a_wrong_value_is_refused(message, old, new):
    assert old in message
    assert problems(message.replace(old, new))


def test_both_shapes_of_exposure_are_read():
    raw = SCANNER["DefaultScanTicket"]
    automatic = raw.replace(
        b"<wscn:ExposureSettings><wscn:Contrast>0</wscn:Contrast><wscn:Brightness>0</wscn:Brightness><wscn:Sharpness>0"
        b"</wscn:Sharpness></wscn:ExposureSettings>", b"<wscn:AutoExposure>true</wscn:AutoExposure>")
    assert automatic != raw
    for message, exposure in ((raw, Exposure()), (automatic, None)):
        assert read_parameters(next(checked(message).body.iter(f"{S}DocumentParameters"))) == DocumentParameters(
            "jfif", "Platen", 1, "RGB24", 150, (8270, 11690), quality=85, content_type="Auto", exposure=exposure,
            scaling=(100, 100), rotation=0)
