"""Reads and writes endpoint references, and defines the anonymous address.

WS-Addressing 2004/08, section 2: reference parameters and the older reference properties of an endpoint reference are
returned as SOAP headers in every message to it.
"""

import attrs
from lxml import etree

from wsdgateway.soap.fragments import fits, write_fragment
from wsdgateway.soap.namespaces import SOAP, WSA, WSA_2005_08
from wsdgateway.soap.parsing import Malformed, escape, text_of

MAX_MESSAGE_ID = 1024  # characters; a longer MessageID is treated as missing
MAX_PARAMETERS = 16
MAX_PARAMETER = 8192  # characters, without namespace declarations
ANONYMOUS = f"{WSA}/role/anonymous"
FAULT_ACTION = f"{WSA}/fault"
_PLACELESS = frozenset((ANONYMOUS, f"{WSA_2005_08}/anonymous", f"{WSA_2005_08}/none"))


def is_placeless(address: str) -> bool:
    """Return whether an address is WS-Addressing's anonymous or none, to which no message can be sent."""
    return address in _PLACELESS


def anonymous(addressing: str) -> str:
    """The anonymous address of a version of WS-Addressing, given by its namespace."""
    return ANONYMOUS if addressing == WSA else f"{addressing}/anonymous"


@attrs.frozen
class EndpointReference:
    """A destination of messages: an address, and the headers that the messages must carry, as XML."""

    address: str
    parameters: tuple[str, ...] = ()

    @property
    def headers(self) -> str:
        """The reference parameters as the text of SOAP headers."""
        return "".join(self.parameters)


def read_reference(element: etree._Element) -> EndpointReference | None:
    """The endpoint reference in an element of that type; None if it contains no address.

    Raises `Malformed` for parameters that cannot be headers, or that are too many or too large to keep.
    """
    address = text_of(element.find(f"{{{WSA}}}Address"))
    return None if address is None else EndpointReference(address, read_parameters(element))


def read_parameters(element: etree._Element) -> tuple[str, ...]:
    """The reference parameters in an element of endpoint reference type. Raises `Malformed`."""
    parameters = [parameter for name in ("ReferenceProperties", "ReferenceParameters")
                  for parameter in element.iterfind(f"{{{WSA}}}{name}/{{*}}*")]
    if len(parameters) > MAX_PARAMETERS:
        raise Malformed(f"an endpoint reference has more than {MAX_PARAMETERS} reference parameters")
    return tuple(map(_parameter, parameters))


def _parameter(parameter: etree._Element) -> str:
    """A reference parameter as the text of a SOAP header in any message."""
    if etree.QName(parameter).namespace in (WSA, SOAP):
        raise Malformed(f"{parameter.tag!s} is a header in its own right and cannot be a reference parameter")
    written = write_fragment(parameter)
    if not fits(written, MAX_PARAMETER):
        raise Malformed(f"a reference parameter is longer than {MAX_PARAMETER} characters")
    return written


def write_reference(reference: EndpointReference) -> str:
    """The content of an element of endpoint reference type."""
    parameters = ""
    if reference.parameters:
        parameters = f"<wsa:ReferenceParameters>{reference.headers}</wsa:ReferenceParameters>"
    return f"<wsa:Address>{escape(reference.address)}</wsa:Address>{parameters}"
