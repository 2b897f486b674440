"""Decides about a scanner's notifications: who may send them, what is read from them, and what follows.

WS-Eventing 2004/08, sections 3.5 and 4; WS-Scan's events. Each subscription at the scanner has an unguessable address,
and only the scanner's own addresses, and those in `event_sources`, may notify there. Messages from other addresses are
also read, within the limit of `UnknownSenders`, so that the exchange log names their events. If an event about a job
cannot be read, or is refused, the result names the jobs that it may concern, so that the gateway asks the scanner for
them.
"""

from collections.abc import Collection, Iterable
from enum import Enum
from urllib.parse import urlsplit

import attrs
from lxml import etree

from wsdgateway.bridge.events.sinks import Network
from wsdgateway.bridge.frontends.frontend import Rejected
from wsdgateway.eventing.messages import SUBSCRIPTION_END, is_end
from wsdgateway.http.messages import charset_of, is_soap, media_type
from wsdgateway.http.urls import ip_of
from wsdgateway.scan.events import JOB_EVENTS, event_in, jobs_named, jobs_named_in, other_jobs, read_job_event
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import SCAN_AVAILABLE, action_of, event_of
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import Fault, action_missing, action_not_supported, invalid_args, unreadable
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed
from wsdgateway.tokenbucket import TokenBucket

MAX_UNKNOWN_SENDERS = 20.0  # messages a second

# Media types that some scanners use for notifications; accepted if the content is a readable event.
_OTHER_TYPES = (b"text/xml", b"application/xml", b"")


@attrs.frozen
class Unread:
    """An event that could not be read. `jobs` are the jobs named in it; empty if it may concern any.

    `job_event` is True if it is known to be an event of a job rather than of the scanner.
    """

    jobs: tuple[str, ...] = ()
    job_event: bool = False


@attrs.frozen(eq=False)
class Notification:
    """A notification from a device. `event` is the event's name, or None for the end of the subscription.

    `in_body` is the event in the Body, mostly the same; `unread` describes the part that could not be read, if any. The
    envelope's `action` is in the namespace that clients know.
    """

    event: str | None
    message_id: str | None
    status: JobStatus | None
    envelope: Envelope
    in_body: str | None = None
    unread: Unread | None = None


@attrs.frozen(eq=False)
class RefusedNotification:
    """A message that is not accepted as a notification: the fault to answer with, and the reason for the log.

    Without a `fault`, its media type is not one of SOAP's, and the answer is 415.
    """

    fault: Fault | None
    relates_to: str | None
    envelope: Envelope | None
    reason: str

    @property
    def is_end(self) -> bool:
        """True if the message nevertheless says that the subscription has ended."""
        return self.envelope is not None and is_end(self.envelope.body)


class Effect(Enum):
    """The effect of a notification, apart from updating the job table."""

    ENDED = "the scanner no longer holds the subscription"
    PUBLISHED = "the event goes to every subscriber whose filter matches"
    PASSED_ON = "the event goes to the client whose name was chosen on the panel"
    NONE = "the event goes to no client"


def effect_of(event: str | None, *, is_panel: bool) -> Effect:
    """Returns the effect of an event, None for SubscriptionEnd. `is_panel`: the subscription is for a client's names.

    A ScanAvailableEvent is for one client, so it has an effect only at that client's subscription. Any other event
    there is ignored, because the gateway's own subscription delivers it, too.
    """
    if event is None:
        return Effect.ENDED
    if event == SCAN_AVAILABLE:
        return Effect.PASSED_ON if is_panel else Effect.NONE
    return Effect.NONE if is_panel else Effect.PUBLISHED


def may_notify(client: str, *, peers: Collection[str], device: str | None, sources: Iterable[Network]) -> bool:
    """True if notifications are accepted from that IP address.

    `peers` are the addresses that connections to the scanner have reached, `device` is the URL of its scan service,
    `sources` are the networks in `event_sources`.
    """
    if client in peers or client == urlsplit(device or "").hostname:
        return True
    address = ip_of(client)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None and str(mapped) in peers:
        return True
    return any(candidate in network for network in sources for candidate in (address, mapped) if candidate is not None)


def unknown_sender(client: str) -> Fault:
    """Returns the fault for a client that may not notify."""
    return invalid_args(
        f"Notifications from {client} are not accepted; add its network to event_sources of the scanner.")


class UnknownSenders:
    """Limits the messages that are read from all unknown senders of one scanner to `MAX_UNKNOWN_SENDERS` a second.

    Further messages are refused unread, because reading takes more time than an answer.
    """

    def __init__(self) -> None:
        self._bucket = TokenBucket(MAX_UNKNOWN_SENDERS)

    def may_be_read(self, now: float) -> bool:
        """True if another message may be read, which is then counted."""
        if self._bucket.wait(now) > 0.0:
            return False
        self._bucket.spend(now)
        return True


def examine(data: bytes, content_type: bytes | None) -> Notification | RefusedNotification:
    """Returns the notification in a message from any sender, or the reason for its refusal."""
    found = read_notification(data, charset_of(content_type))
    if not is_soap(content_type) and (isinstance(found, Rejected) or media_type(content_type) not in _OTHER_TYPES):
        return RefusedNotification(None, None, found.envelope,
                       f"its Content-Type is {(content_type or b'missing')[:100].decode('latin-1')}")
    if isinstance(found, Rejected):
        return RefusedNotification(found.fault, found.relates_to, found.envelope, found.fault.reason)
    return found


def read_notification(data: bytes, charset: str | None = None) -> Notification | Rejected:
    """Returns the notification in a message with that charset in its Content-Type, or the reason for its refusal."""
    try:
        envelope = read(data, charset)
    except Malformed as error:
        return Rejected(unreadable("notification", error), error.message_id)
    fault = not_understood(envelope)
    if fault is not None:
        return Rejected(fault, envelope.message_id, envelope=envelope)
    if envelope.action is None:
        return Rejected(action_missing(), envelope.message_id, envelope=envelope)
    event = event_of(envelope.action)
    if event is None:
        if envelope.action != SUBSCRIPTION_END:
            return Rejected(action_not_supported(envelope.action), envelope.message_id, envelope=envelope)
        return Notification(None, envelope.message_id, None, envelope)
    if envelope.action != action_of(event):
        envelope = attrs.evolve(envelope, action=action_of(event))
    in_body = event_in(envelope.body)
    status = read_job_event(event, envelope.body) if event in JOB_EVENTS or in_body in JOB_EVENTS else None
    unread = _unread(event, in_body, status, envelope)
    return Notification(event, envelope.message_id, status, envelope, in_body, unread)


def _unread(event: str, in_body: str | None, status: JobStatus | None, envelope: Envelope) -> Unread | None:
    """Returns the part of an event about jobs that could not be read apart from its status; None if there is none.

    Some devices put more than a single event of a single job into one message.
    """
    first = envelope.body
    if first is None:
        return Unread(job_event=True) if event in JOB_EVENTS else None
    body = first.getparent()
    assert body is not None
    others = [event_in(element) for element in first.itersiblings(tag=etree.Element)]
    job_event = not any(other is not None and other not in JOB_EVENTS for other in others)
    if status is not None:
        jobs = other_jobs(status, body)
        return None if jobs is None and job_event else Unread(jobs or (), job_event)
    named = jobs_named(body)
    if event in JOB_EVENTS or in_body in JOB_EVENTS:
        return Unread(named, job_event)
    return Unread(named) if named or any(others) else None


def unread_of(refused: Notification | Rejected | RefusedNotification, data: bytes) -> Unread:
    """Returns the jobs that the event in a refused message may concern."""
    return Unread(jobs_named_in(data) if refused.envelope is None else jobs_named(refused.envelope.body))
