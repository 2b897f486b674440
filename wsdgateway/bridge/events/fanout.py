"""An event and the subscriptions that it matches: what is sent to whom.

WS-Eventing 2004/08, section 3; WS-Addressing 2004/08, section 3: `wsa:To` and the reference parameters are those of
each subscriber's NotifyTo, the MessageID is new, since each is a message of its own; all else is as the scanner
sent it.
"""

import secrets

import attrs
from lxml import etree

from wsdgateway.bridge.rewriting import REPLIES, make_anonymous
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import JOB_END_STATE, SCAN_AVAILABLE, event_of
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.namespaces import WSA
from wsdgateway.soap.parsing import escape

_MARK = secrets.token_hex(16)
_SPLIT = f"<!--{_MARK}-->".encode()
_OWN = (f"{{{WSA}}}To", f"{{{WSA}}}MessageID")


@attrs.frozen(eq=False)
class Event:
    """A scanner's event, ready to be sent to many; the bytes are shared by all who wait for it.

    `job` is the JobId of the job whose state it tells. `ends`: it tells a job's end, or that a button was pressed.
    """

    action: str
    before: bytes
    after: bytes
    job: str | None = None
    ends: bool = False

    @property
    def size(self) -> int:
        """The size in bytes, without the parts that are written for each subscriber."""
        return len(self.before) + len(self.after)

    def to(self, reference: EndpointReference, message_id: str) -> bytes:
        """The message to one of them."""
        headers = (f'<wsa:To xmlns:wsa="{WSA}">{escape(reference.address)}</wsa:To>'
                   f'<wsa:MessageID xmlns:wsa="{WSA}">{escape(message_id)}</wsa:MessageID>{reference.headers}')
        return b"%b%b%b" % (self.before, headers.encode(), self.after)


def prepare(envelope: Envelope, status: JobStatus | None = None) -> Event:
    """The event in an envelope, which is used up by that; `status` is the job's that it announces."""
    header = envelope.header
    assert header is not None and envelope.action is not None
    for element in list(header.iterchildren(tag=etree.Element)):
        if element.tag in _OWN:
            header.remove(element)
        elif element.tag in REPLIES:
            make_anonymous(element)
    header.insert(0, etree.Comment(_MARK))
    before, after = etree.tostring(envelope.root, xml_declaration=True, encoding="utf-8").split(_SPLIT, 1)
    ends = event_of(envelope.action) in (JOB_END_STATE, SCAN_AVAILABLE) if status is None else status.final
    return Event(envelope.action, before, after, None if status is None else status.job_id, ends)
