"""WS-Transfer Get, and a parser for the hosted scan service in its answer.

WS-Transfer 2004/09, section 3.1; DPWS 2006/02, section 5.2 (Relationship, Hosted).
"""

import attrs
from lxml import etree

from wsdgateway.metadata.names import name_of
from wsdgateway.soap.addressing import read_reference
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.namespaces import WSA, WSCN, WSDP, WXF
from wsdgateway.soap.parsing import text_of

SCANNER_SERVICE_TYPE = "ScannerServiceType"
MAX_LABEL = 256  # characters; DPWS allows a FriendlyName fewer than 256 bytes, and a ModelName fewer than 2048


@attrs.frozen
class Labels:
    """The names that a device gives itself; empty where it gives none."""

    friendly_name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial_number: str = ""

    @property
    def name(self) -> str:
        """The display name: the friendly name, or the model if that is an address; empty if neither is known."""
        return name_of(self.friendly_name, self.model)

    @property
    def full_model(self) -> str:
        """Manufacturer and model, the manufacturer once; empty if neither is known."""
        if self.model.casefold().startswith(f"{self.manufacturer} ".casefold()):
            return self.model
        # A gateway writes "unknown" for a scanner without metadata, since the element is required.
        return " ".join(filter(None, (self.manufacturer if self.manufacturer != "unknown" else "", self.model)))

    @property
    def models(self) -> tuple[str, ...]:
        """The names by which rules may refer to its model."""
        return self.model, f"{self.manufacturer} {self.model}".strip(), self.friendly_name


def read_labels(metadata: etree._Element) -> Labels:
    """Returns the names in a device's metadata, each cut after `MAX_LABEL` characters."""
    return Labels(*((text_of(metadata.find(f".//{{{WSDP}}}{name}")) or "")[:MAX_LABEL]
                    for name in ("FriendlyName", "Manufacturer", "ModelName", "FirmwareVersion", "SerialNumber")))


def write_get(*, to: str, message_id: str) -> bytes:
    """Writes the request for a device's metadata; `to` is the address in its endpoint reference."""
    return compose(action=f"{WXF}/Get", message_id=message_id, to=to, body="", namespaces={}, is_request=True)


def offers(types: etree._Element | None, wanted: str) -> bool:
    """True if a `Types` list of QNames contains the WS-Scan type of that name.

    Some devices do not declare the prefixes of names in text; such a name counts by its local part.
    """
    if types is None:
        return False
    prefixes = types.nsmap  # lxml builds it on each access
    for name in (text_of(types) or "").split():
        prefix, _, local = name.rpartition(":")
        if local == wanted and prefixes.get(prefix or None, WSCN) == WSCN:
            return True
    return False


def scan_service_addresses(envelope: Envelope) -> tuple[str, ...]:
    """Returns the addresses of the hosted scan service, in the order of the metadata; empty if there is none."""
    if envelope.body is None:
        return ()
    found = []
    for hosted in envelope.body.iter(f"{{{WSDP}}}Hosted"):
        if offers(hosted.find(f"{{{WSDP}}}Types"), SCANNER_SERVICE_TYPE):
            for element in hosted.iterfind(f"{{{WSA}}}EndpointReference"):
                reference = read_reference(element)
                if reference is not None:
                    found.append(reference.address)
    return tuple(found)
