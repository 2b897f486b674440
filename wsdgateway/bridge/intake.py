"""From a notification's bytes to the event in it, or to a refusal.

WS-Eventing 2004/08, sections 3.5 and 4; WS-Scan's events. Method and media type are checked by
whoever received it; here the envelope and the action.
"""

import attrs

from wsdgateway.bridge.routing import Rejected
from wsdgateway.eventing.messages import SUBSCRIPTION_END
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import event_of
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import action_missing, action_not_supported, unreadable
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed


@attrs.frozen(eq=False)
class Notification:
    """What a device tells. `event` is the event's name, or None for the end of the subscription."""

    event: str | None
    message_id: str | None
    status: JobStatus | None
    envelope: Envelope


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
    if event is None and envelope.action != SUBSCRIPTION_END:
        return Rejected(action_not_supported(envelope.action), envelope.message_id, envelope=envelope)
    status = read_job_event(event, envelope.body) if event else None
    return Notification(event, envelope.message_id, status, envelope)
