"""Endpoint references and the anonymous address.

WS-Addressing 2004/08, section 2: reference parameters and the older reference properties of an
endpoint reference come back as SOAP headers in every message to it.
"""

import re

import attrs
from lxml import etree

from wsdgateway.soap.namespaces import SOAP, WSA
from wsdgateway.soap.parsing import Malformed, escape, text_of

MAX_MESSAGE_ID = 1024  # a longer MessageID is nobody's, and is not kept
MAX_PARAMETERS = 16
MAX_PARAMETER = 8192
MAX_PREFIXES = 64
ANONYMOUS = f"{WSA}/role/anonymous"
FAULT_ACTION = f"{WSA}/fault"
_NAME = re.compile(r"<[^\s/>]+")


def anonymous(addressing: str) -> str:
    """The anonymous address of a version of WS-Addressing, by its namespace."""
    return ANONYMOUS if addressing == WSA else f"{addressing}/anonymous"


@attrs.frozen
class EndpointReference:
    """Where a message goes: an address, and the headers that it must carry, as XML."""

    address: str
    parameters: tuple[str, ...] = ()

    @property
    def headers(self) -> str:
        """The reference parameters as the text of SOAP headers."""
        return "".join(self.parameters)


def read_reference(element: etree._Element) -> EndpointReference | None:
    """The endpoint reference in an element of that type; None if it holds no address.

    Raises `Malformed` for parameters that can't be headers of their own, or that are too many or too large to be kept.
    """
    address = text_of(element.find(f"{{{WSA}}}Address"))
    if address is None:
        return None
    parameters = [parameter for name in ("ReferenceProperties", "ReferenceParameters")
                  for parameter in element.iterfind(f"{{{WSA}}}{name}/{{*}}*")]
    if len(parameters) > MAX_PARAMETERS:
        raise Malformed(f"an endpoint reference has more than {MAX_PARAMETERS} reference parameters")
    return EndpointReference(address, tuple(map(_standing_alone, parameters)))


def _standing_alone(parameter: etree._Element) -> str:
    """An element as text that means the same in any other place: it brings its prefixes, and no default but its own."""
    if etree.QName(parameter).namespace in (WSA, SOAP):
        raise Malformed(f"{parameter.tag!s} can't be a reference parameter, being a header in its own right")
    if len(parameter.nsmap) > MAX_PREFIXES:
        raise Malformed(f"more than {MAX_PREFIXES} namespaces are declared around a reference parameter")
    written = etree.tostring(parameter, encoding="unicode", with_tail=False)
    if len(written) > MAX_PARAMETER:
        raise Malformed(f"a reference parameter is longer than {MAX_PARAMETER} characters")
    return written if None in parameter.nsmap else _NAME.sub(r'\g<0> xmlns=""', written, count=1)


def write_reference(reference: EndpointReference) -> str:
    """The content of an element of endpoint reference type."""
    parameters = ""
    if reference.parameters:
        parameters = f"<wsa:ReferenceParameters>{reference.headers}</wsa:ReferenceParameters>"
    return f"<wsa:Address>{escape(reference.address)}</wsa:Address>{parameters}"
