"""Recognises reads that one answer can serve for many clients, and answers that are complete.

WS-Scan, GetScannerElements, GetActiveJobs, GetJobHistory. A request that contains more than the specification defines
is never shared, and goes to the scanner unchanged.
"""

from lxml import etree

from wsdgateway.bridge.decisions import Read
from wsdgateway.http.messages import Headers, plain_type
from wsdgateway.scan.jobstatus import JOB_LISTS, read_summaries
from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS, Operation, action_of
from wsdgateway.scan.reading import tag
from wsdgateway.scan.scannerelements import has_all, read_elements_request
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.namespaces import WSA

_ENCODINGS = (None, "utf-8", "UTF-8", "ascii", "ASCII", "us-ascii", "US-ASCII")
_HEADERS = frozenset(f"{{{WSA}}}{name}" for name in ("To", "Action", "MessageID", "ReplyTo", "FaultTo", "From"))
_TYPES = (b"application/soap+xml", b"application/soap+xml; charset=utf-8")
# Fields that do not affect a scanner's answer. The gateway writes the framing and Host itself.
_FIELDS = frozenset((
    b"host", b"content-type", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"user-agent",
    b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma", b"expect", b"date", b"soapaction"))


def common_read(operation: Operation, envelope: Envelope) -> Read | None:
    """The read in a request that another client's answer can serve; None if the scanner must see the request."""
    body = envelope.body
    if (body is None or envelope.obliges or envelope.action != action_of(operation.name)
            or next(body.itersiblings(etree.Element), None) is not None):
        return None
    if operation is GET_SCANNER_ELEMENTS:
        names = read_elements_request(body)
        return None if names is None else Read(operation.name, tuple(sorted(names)))
    is_plain = body.tag == tag(f"{operation.name}Request") and not len(body) and not body.attrib
    return Read(operation.name) if is_plain and operation.name in JOB_LISTS else None


def is_usual(envelope: Envelope, fields: Headers) -> bool:
    """Return whether a scanner gives the same answer to this request as to any equal one.

    A request with credentials, a range, another charset or headers beyond WS-Addressing's may get a refusal, or a reply
    for its client alone: no other client waits for it, and it is not cached.
    """
    if envelope.header is None:
        return False
    if envelope.root.getroottree().docinfo.encoding not in _ENCODINGS:
        return False
    if any(header.tag not in _HEADERS for header in envelope.header.iterchildren(etree.Element)):
        return False
    for name, value in fields:
        lower = name.lower()
        if lower not in _FIELDS or (lower == b"content-type" and plain_type(value).lower() not in _TYPES):
            return False
    return True


def is_complete(read: Read, envelope: Envelope) -> bool:
    """Return whether an answer is complete: a response, not a fault, with every requested element present and valid."""
    body = envelope.body
    action = action_of(read.operation)
    if body is None or body.tag != tag(f"{read.operation}Response") or envelope.action not in (
            action, f"{action}Response"):
        return False
    listed = JOB_LISTS.get(read.operation)
    return has_all(body, read.names) if listed is None else read_summaries(body, listed) is not None
