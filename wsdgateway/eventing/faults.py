"""The faults of an event source.

WS-Eventing 2004/08, section 4; DPWS 2006/02, section 6.1.1; WS-Addressing 2004/08, section 4.3.
"""

from wsdgateway.soap.faults import Fault
from wsdgateway.soap.parsing import escape


def delivery_mode_unavailable(supported: str) -> Fault:
    """Another mode than push was asked for."""
    return Fault("Sender", "wse:DeliveryModeRequestedUnavailable",
                 "Notifications are delivered by push only; leave the Mode out, or name the one in the detail.", 400,
                 f"<wse:SupportedDeliveryMode>{escape(supported)}</wse:SupportedDeliveryMode>")


def filtering_unavailable(supported: str) -> Fault:
    """The filter is in another dialect."""
    return Fault("Sender", "wse:FilteringRequestedUnavailable",
                 "Events are filtered by their action only; send the Filter in the dialect that the detail names.", 400,
                 f"<wse:SupportedDialect>{escape(supported)}</wse:SupportedDialect>")


def filter_action_not_supported() -> Fault:
    """No event can ever match the filter."""
    return Fault("Sender", "wsdp:FilterActionNotSupported",
                 "No event of this scanner matches the Filter; name at least one of WS-Scan's events in it.", 400)


def invalid_expiration() -> Fault:
    """The time asked for has passed, or is none at all."""
    return Fault("Sender", "wse:InvalidExpirationTime",
                 "The Expires has passed or is not longer than nothing; ask for a time in the future.", 400)


def unsupported_expiration() -> Fault:
    """The Expires is neither a duration nor a point in time."""
    return Fault("Sender", "wse:UnsupportedExpirationType",
                 "The Expires can't be read; send a duration like PT1H or a point in time like 2026-11-22T10:00:00Z.",
                 400)


def unable_to_renew(reason: str) -> Fault:
    """The subscription is there, and can't be made to last longer now."""
    return Fault("Receiver", "wse:UnableToRenew", reason)


def unable_to_process(reason: str) -> Fault:
    """The event source can't take the subscription, whoever asks for it."""
    return Fault("Receiver", "wse:EventSourceUnableToProcess", reason)


def invalid_message(reason: str) -> Fault:
    """The message lacks what it must have, or names a subscription that is not there."""
    return Fault("Sender", "wse:InvalidMessage", reason, 400)


def destination_unreachable(reason: str) -> Fault:
    """Notifications may not or can't go to that address."""
    return Fault("Sender", "wsa:DestinationUnreachable", reason, 400)
