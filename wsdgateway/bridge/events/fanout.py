"""Prepares an event of a scanner, or one that the gateway makes, and writes the message to each subscriber.

WS-Eventing 2004/08, section 3; WS-Addressing 2004/08, section 3: `wsa:To` and the reference parameters come from each
subscriber's NotifyTo, and each message has its own MessageID; everything else is as the scanner sent it.
"""

from collections.abc import Collection

import attrs
from lxml import etree

from wsdgateway.bridge.events.eventlog import EventID
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.rewriting import REPLIES, make_anonymous
from wsdgateway.scan.jobstatus import JobStatus, write_job_end_state, write_job_status
from wsdgateway.scan.operations import JOB_END_STATE, SCAN_AVAILABLE, SCANNER_STATUS_SUMMARY, action_of, event_of
from wsdgateway.scan.scannerstatus import ScannerStatus
from wsdgateway.scan.statusevents import write_status_summary
from wsdgateway.soap.addressing import ANONYMOUS, EndpointReference
from wsdgateway.soap.envelope import Envelope, compose, read
from wsdgateway.soap.namespaces import WSA, WSCN
from wsdgateway.soap.parsing import escape

MAX_EVENT = 262144  # bytes of an event that is forwarded, not counting the parts written for each subscriber

_PRESS = action_of(SCAN_AVAILABLE)
_REPLACED = (f"{{{WSA}}}To", f"{{{WSA}}}MessageID")


@attrs.frozen(eq=False)
class Event:
    """An event, ready to be sent to many subscribers; all messages share its bytes.

    `job` is the JobId of the job whose state it announces. `ends`: it announces a job's end or a pressed button, so it
    is dropped last. `reached` collects the sinks that an event of the gateway's own is sent to; `known` are the sinks
    that were sent the same by such an event, and do not get this one. `logged` identifies it among several gateways.
    With `only`, it is sent to no other subscriptions.
    """

    action: str
    before: bytes
    after: bytes
    job: str | None = None
    ends: bool = False
    reached: set[Sink] | None = None
    known: Collection[Sink] = ()
    logged: EventID | None = None
    only: frozenset[str] | None = None

    @property
    def is_press(self) -> bool:
        """True if it announces a pressed button, so that a second delivery by another gateway would scan twice."""
        return self.action == _PRESS

    @property
    def size(self) -> int:
        """The size in bytes, without the parts written for each subscriber."""
        return len(self.before) + len(self.after)

    @property
    def is_too_large(self) -> bool:
        """True if the event is too large to be forwarded."""
        return self.size > MAX_EVENT

    def to(self, reference: EndpointReference, message_id: str) -> bytes:
        """Returns the message to the subscriber with that NotifyTo."""
        headers = (f'<wsa:To xmlns:wsa="{WSA}">{escape(reference.address)}</wsa:To>'
                   f'<wsa:MessageID xmlns:wsa="{WSA}">{escape(message_id)}</wsa:MessageID>{reference.headers}')
        return b"%b%b%b" % (self.before, headers.encode(), self.after)


def prepare(envelope: Envelope, status: JobStatus | None = None, *, known: Collection[Sink] = (),
            logged: EventID | None = None, only: frozenset[str] | None = None) -> Event:
    """Converts an envelope, which it changes, to an event; `status` is the job status that the event announces."""
    header = envelope.header
    assert header is not None and envelope.action is not None
    for element in list(header.iterchildren(tag=etree.Element)):
        if element.tag in _REPLACED:
            header.remove(element)
        elif element.tag in REPLIES:
            make_anonymous(element)
    before, after = _split(envelope.root, header)
    ends = event_of(envelope.action) in (JOB_END_STATE, SCAN_AVAILABLE) if status is None else status.final
    return Event(envelope.action, before, after, None if status is None else status.job_id, ends, known=known,
                 logged=logged, only=only)


def made_of_job(name: str, status: JobStatus, reached: set[Sink], message_id: str) -> Event:
    """The gateway's own JobStatusEvent or JobEndStateEvent about this status."""
    content = write_job_end_state(status) if name == JOB_END_STATE else write_job_status(status)
    return _made(name, content, status, reached, message_id)


def made_summary(status: ScannerStatus, reached: set[Sink], message_id: str) -> Event:
    """The gateway's own ScannerStatusSummaryEvent about this status."""
    return _made(SCANNER_STATUS_SUMMARY, write_status_summary(status), None, reached, message_id)


def _made(name: str, content: str, status: JobStatus | None, reached: set[Sink], message_id: str) -> Event:
    message = compose(action=action_of(name), message_id=message_id, to=ANONYMOUS, namespaces={"wscn": WSCN},
                      body=f"<wscn:{name}>{content}</wscn:{name}>")
    return attrs.evolve(prepare(read(message), status), reached=reached)


def _split(root: etree._Element, header: etree._Element) -> tuple[bytes, bytes]:
    """Serializes the document in two parts: up to the Header's first child, and the rest.

    A comment marks the place. It is longer than everything before it in the Envelope, so the first occurrence is the
    mark, whatever the scanner has put into comments, CDATA sections and processing instructions.
    """
    length = len(root.text or "") + len(header.text or "") + sum(
        len(etree.tostring(node)) for node in header.itersiblings(preceding=True))
    mark = etree.Comment("x" * (length + 1))
    header.insert(0, mark)
    before, after = etree.tostring(root, xml_declaration=True, encoding="utf-8").split(etree.tostring(mark), 1)
    return before, after
