"""Reads GetJobElements requests, and reads and writes the answers.

WS-Scan, GetJobElementsRequest, GetJobElementsResponse, RequestedElements, ElementData.
"""

import attrs
from lxml import etree

from wsdgateway.scan.jobstatus import JobStatus, read_job_status
from wsdgateway.scan.reading import attribute, child, identifier, is_qualified, tag, wanted_name
from wsdgateway.soap.fragments import write_fragment
from wsdgateway.soap.parsing import escape, text_of

JOB_STATUS = "JobStatus"
SCAN_TICKET = "ScanTicket"
DOCUMENTS = "Documents"
ELEMENTS = frozenset((JOB_STATUS, SCAN_TICKET, DOCUMENTS))
MAX_NAMES = 16  # in a request; resolving a prefix costs time for each name

_NAME = tag("Name")
_BODIES = (tag("GetJobElementsRequest"), tag("GetJobElements"))


@attrs.frozen
class JobElementsRequest:
    """The elements of a job that a client requests.

    `names` is None if the gateway can't answer the request: it contains a vendor's element, an unknown name, too many
    names, or none at all.
    """

    job_id: str
    names: tuple[str, ...] | None

    @property
    def status_only(self) -> bool:
        """True if the request asks for JobStatus alone."""
        return self.names == (JOB_STATUS,)


@attrs.frozen
class JobElements:
    """A device's answer.

    `extras` holds ScanTicket and Documents as XML; `qualified` is true if attributes have a prefix.
    """

    status: JobStatus | None
    extras: tuple[tuple[str, str], ...]
    qualified: bool


def read_request(body: etree._Element | None) -> JobElementsRequest | None:
    """The request in a Body; None if it is not one or contains no JobId."""
    if body is None or body.tag not in _BODIES:
        return None
    job_id = identifier(body, "JobId")
    if job_id is None:
        return None
    requested = child(body, "RequestedElements")
    if requested is None or len(requested) > MAX_NAMES:
        return JobElementsRequest(job_id, None)
    wanted: list[str] = []
    for element in requested:
        if not isinstance(element.tag, str):
            continue  # a comment
        value = text_of(element) if element.tag == _NAME else None
        name = wanted_name(element, value) if value else None
        if name not in ELEMENTS:
            return JobElementsRequest(job_id, None)
        if name not in wanted:
            wanted.append(name)
    return JobElementsRequest(job_id, tuple(wanted) or None)


def read_response(body: etree._Element | None) -> JobElements | None:
    """The answer in a Body; None if it is not one. Elements marked as not valid are left out."""
    if body is None or body.tag != tag("GetJobElementsResponse"):
        return None
    elements = child(body, "JobElements")
    if elements is None:
        return None
    status: JobStatus | None = None
    extras: dict[str, str] = {}
    qualified = False
    for data in elements.iterfind(tag("ElementData")):
        qualified = qualified or is_qualified(data, "Name")
        if attribute(data, "Valid") in ("0", "false"):
            continue
        for element in data.iterchildren(tag=etree.Element):
            if element.tag == tag(JOB_STATUS):
                status = read_job_status(element)
            for name in (SCAN_TICKET, DOCUMENTS):
                if element.tag == tag(name) and name not in extras:
                    extras[name] = write_fragment(element)
    return JobElements(status, tuple(extras.items()), qualified)


def write_status_request(job_id: str) -> str:
    """Write the Body's content of a request for a job's JobStatus."""
    return (f"<wscn:GetJobElementsRequest><wscn:JobId>{escape(job_id)}</wscn:JobId><wscn:RequestedElements>"
            "<wscn:Name>wscn:JobStatus</wscn:Name></wscn:RequestedElements></wscn:GetJobElementsRequest>")


def write_element_data(name: str, content: str | None, qualified: bool) -> str:
    """Write one ElementData with attributes as this scanner writes them; without content it is marked as not valid."""
    prefix = "wscn:" if qualified else ""
    valid = "false" if content is None else "true"
    return (f'<wscn:ElementData {prefix}Name="wscn:{name}" {prefix}Valid="{valid}">{content or ""}'
            "</wscn:ElementData>")


def write_response(elements: str) -> str:
    """The Body's content around the ElementData of an answer."""
    return f"<wscn:GetJobElementsResponse><wscn:JobElements>{elements}</wscn:JobElements></wscn:GetJobElementsResponse>"
