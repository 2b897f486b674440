"""From a notification's bytes to the event in it, or to a refusal.

WS-Eventing 2004/08, sections 3.5 and 4; WS-Scan's events. Method and media type are checked by
whoever received it; here the envelope and the action. Where an event of a job can't be read, or is refused, the jobs
that it may be about are told: the scanner is asked for them.
"""

import attrs
from lxml import etree

from wsdgateway.bridge.frontends.wsscan import Rejected
from wsdgateway.eventing.messages import SUBSCRIPTION_END
from wsdgateway.scan.events import JOB_EVENTS, event_in, jobs_named, jobs_named_in, other_jobs, read_job_event
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import action_of, event_of
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import action_missing, action_not_supported, unreadable
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed


@attrs.frozen
class Unread:
    """An event that could not be read. `jobs` are those that it names; empty if it may be about any.

    `job_event` is true where it is known to be an event of a job, not of the scanner.
    """

    jobs: tuple[str, ...] = ()
    job_event: bool = False


@attrs.frozen(eq=False)
class Notification:
    """A notification of a device. `event` is the event's name, or None for the end of the subscription.

    `in_body` is the event that the Body holds, mostly the same; `unread` tells what could not be read of it, if
    anything. The envelope's `action` is in the namespace that clients know.
    """

    event: str | None
    message_id: str | None
    status: JobStatus | None
    envelope: Envelope
    in_body: str | None = None
    unread: Unread | None = None


def read_notification(data: bytes, charset: str | None = None) -> Notification | Rejected:
    """The notification in a message whose Content-Type names that charset, or why it is refused."""
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
    """What an event tells of jobs beside the status that was read of it; None if nothing.

    Some devices put more into one message than one event of one job.
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


def unread_of(refused: Notification | Rejected, data: bytes) -> Unread:
    """The jobs that the event in a refused message may be about."""
    return Unread(jobs_named_in(data) if refused.envelope is None else jobs_named(refused.envelope.body))
