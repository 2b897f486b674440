"""Reads the method and path of eSCL requests below the root `/eSCL`.

eSCL, section "HTTP interface". An unknown address is answered with 404, a wrong method with 405 and `Allow`; both have
no body.
"""

import re
from enum import Enum

import attrs

from wsdgateway.bridge.frontends.escl.faults import empty
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.scan.operations import (
    CANCEL_JOB,
    CREATE_SCAN_JOB,
    GET_JOB_ELEMENTS,
    GET_SCANNER_ELEMENTS,
    RETRIEVE_IMAGE,
    VALIDATE_SCAN_TICKET,
    Operation,
)

ROOT = "/eSCL"
ICON_PATH = "/icon.png"
# The gateway's own ids are uuids; a slash would be another address.
_JOB = re.compile(rb"/ScanJobs/([A-Za-z0-9._~:-]{1,64})(|/NextDocument|/ScanImageInfo)")


class Resource(Enum):
    """The resources."""

    CAPABILITIES = "ScannerCapabilities"
    STATUS = "ScannerStatus"
    JOBS = "ScanJobs"
    JOB = "Job"
    NEXT_DOCUMENT = "NextDocument"
    IMAGE_INFO = "ScanImageInfo"
    BUFFER_INFO = "ScanBufferInfo"
    ICON = "icon"

    @property
    def label(self) -> str:
        """The name of the request in the metrics, in which rare requests share one."""
        return "other" if self in (Resource.BUFFER_INFO, Resource.ICON) else self.value


# The methods of each resource, and the operation of WS-Scan that rules, quotas and metrics count it as.
_SERVED: dict[Resource, tuple[tuple[bytes, ...], Operation | None]] = {
    Resource.CAPABILITIES: ((b"GET",), GET_SCANNER_ELEMENTS),
    Resource.STATUS: ((b"GET",), GET_SCANNER_ELEMENTS),
    Resource.JOBS: ((b"POST",), CREATE_SCAN_JOB),
    Resource.JOB: ((b"DELETE",), CANCEL_JOB),
    Resource.NEXT_DOCUMENT: ((b"GET",), RETRIEVE_IMAGE),
    Resource.IMAGE_INFO: ((b"GET",), GET_JOB_ELEMENTS),
    Resource.BUFFER_INFO: ((b"PUT", b"POST"), VALIDATE_SCAN_TICKET),
    Resource.ICON: ((b"GET",), None),
}
_PATHS = {b"/ScannerCapabilities": Resource.CAPABILITIES, b"/ScannerStatus": Resource.STATUS,
          b"/ScanJobs": Resource.JOBS, b"/ScanBufferInfo": Resource.BUFFER_INFO, ICON_PATH.encode(): Resource.ICON}
_OF_JOB = {b"": Resource.JOB, b"/NextDocument": Resource.NEXT_DOCUMENT, b"/ScanImageInfo": Resource.IMAGE_INFO}


@attrs.frozen
class EsclRequest:
    """A request for a resource with one of its methods; `job_id` is empty for a resource that is not a job's."""

    resource: Resource
    job_id: str = ""

    @property
    def operation(self) -> Operation | None:
        """The operation that rules and quotas count it as; None for the icon, which everyone may see."""
        return _SERVED[self.resource][1]


def read_request(method: bytes, rest: bytes) -> EsclRequest | HTTPAnswer:
    """Read a request. `rest` is the path below the root, without query; it may end with one more slash."""
    path = rest.removesuffix(b"/")
    named = _JOB.fullmatch(path)
    resource = _PATHS.get(path) if named is None else _OF_JOB[named[2]]
    if resource is None:
        return empty(404)
    allowed = _SERVED[resource][0]
    if method not in allowed:
        return empty(405, (b"Allow", b", ".join(allowed)))
    return EsclRequest(resource, "" if named is None else named[1].decode("ascii"))
