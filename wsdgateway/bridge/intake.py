"""From a notification's bytes to the event in it, or to a refusal.

WS-Eventing 2004/08, sections 3.5 and 4; WS-Scan's events. Method and media type are checked by
whoever received it; here the envelope and the action.
"""

from collections import OrderedDict

import attrs

from wsdgateway.bridge.routing import Rejected
from wsdgateway.eventing.messages import SUBSCRIPTION_END
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import event_of
from wsdgateway.soap.addressing import MAX_MESSAGE_ID
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import action_missing, action_not_supported, invalid_args
from wsdgateway.soap.parsing import Malformed

MAX_REMEMBERED = 1024


@attrs.frozen(eq=False)
class Notification:
    """What a device tells. `event` is the event's name, or None for the end of the subscription."""

    event: str | None
    message_id: str | None
    status: JobStatus | None
    envelope: Envelope


def read_notification(data: bytes) -> Notification | Rejected:
    """The notification in a message, or why it is refused."""
    try:
        envelope = read(data)
    except Malformed as error:
        return Rejected(invalid_args(f"The notification can't be read: {error}."), error.message_id)
    if envelope.action is None:
        return Rejected(action_missing(), envelope.message_id)
    event = event_of(envelope.action)
    if event is None and envelope.action != SUBSCRIPTION_END:
        return Rejected(action_not_supported(envelope.action), envelope.message_id)
    status = read_job_event(event, envelope.body) if event else None
    return Notification(event, envelope.message_id, status, envelope)


class Seen:
    """The MessageIDs of the last `MAX_REMEMBERED` notifications: one that comes again counts once."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, message_id: str | None) -> bool:
        """Whether no notification with this MessageID was here before; remembers it. One without always is new."""
        if message_id is None or len(message_id) > MAX_MESSAGE_ID:
            return True
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > MAX_REMEMBERED:
            self._ids.popitem(last=False)
        return True
