"""Endpoint references and the anonymous address.

WS-Addressing 2004/08, section 2: reference parameters and the older reference properties of an
endpoint reference come back as SOAP headers in every message to it.
"""

import attrs
from lxml import etree

from wsdgateway.soap.namespaces import WSA
from wsdgateway.soap.parsing import escape, text_of

MAX_MESSAGE_ID = 1024  # a longer MessageID is nobody's, and is not kept
ANONYMOUS = f"{WSA}/role/anonymous"
FAULT_ACTION = f"{WSA}/fault"


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
    """The endpoint reference in an element of that type; None if it holds no address."""
    address = text_of(element.find(f"{{{WSA}}}Address"))
    if address is None:
        return None
    parameters = tuple(
        _standing_alone(parameter)
        for name in ("ReferenceProperties", "ReferenceParameters")
        for parameter in element.iterfind(f"{{{WSA}}}{name}/{{*}}*")
    )
    return EndpointReference(address, parameters)


def _standing_alone(parameter: etree._Element) -> str:
    """An element as text that means the same in any other place: one without namespace says so."""
    written = etree.tostring(parameter, encoding="unicode", with_tail=False)
    name = str(parameter.tag)
    if name.startswith("{"):
        return written
    return written if written.startswith(f'<{name} xmlns=""') else f'<{name} xmlns=""{written[len(name) + 1:]}'


def write_reference(reference: EndpointReference) -> str:
    """The content of an element of endpoint reference type."""
    parameters = ""
    if reference.parameters:
        parameters = f"<wsa:ReferenceParameters>{reference.headers}</wsa:ReferenceParameters>"
    return f"<wsa:Address>{escape(reference.address)}</wsa:Address>{parameters}"
