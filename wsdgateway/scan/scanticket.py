"""Reads and writes a complete scan ticket: a job's name, its user and the parameters of its documents.

WS-Scan, ScanTicket, DefaultScanTicket, JobDescription.
"""

from typing import Self

import attrs
from lxml import etree

from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters, write_scan_ticket
from wsdgateway.scan.reading import child, text
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import parse

MAX_NAME = 255  # characters of JobName and JobOriginatingUserName


@attrs.frozen
class ScanTicket:
    """The ticket of a job. Both names are required in a ScanTicket; a scanner's DefaultScanTicket may lack them."""

    job_name: str
    user: str
    parameters: DocumentParameters = attrs.field(factory=DocumentParameters)

    def text(self) -> str:
        """The ScanTicket element with the prefix `wscn`, for `scan.jobs.write_create`."""
        return write_scan_ticket(self.parameters, job_name=self.job_name[:MAX_NAME], user=self.user[:MAX_NAME])

    def write(self) -> etree._Element:
        """The ScanTicket element."""
        return parse(self.text().replace("<wscn:ScanTicket>", f'<wscn:ScanTicket xmlns:wscn="{WSCN}">', 1).encode())

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """The ticket in a ScanTicket, ValidScanTicket or DefaultScanTicket; unreadable values are left out."""
        description = child(element, "JobDescription")
        names = ("" if description is None else (text(description, name) or "")[:MAX_NAME]
                 for name in ("JobName", "JobOriginatingUserName"))
        return cls(next(names), next(names), read_parameters(child(element, "DocumentParameters")))
