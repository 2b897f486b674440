"""Defines the faults of an event source.

WS-Eventing 2004/08, section 4; DPWS 2006/02, section 6.1.1; WS-Addressing 2004/08, section 4.3.
"""

from wsdgateway.soap.faults import Fault
from wsdgateway.soap.parsing import escape


def delivery_mode_unavailable(supported: str) -> Fault:
    """The fault for a delivery mode other than push."""
    return Fault("Sender", "wse:DeliveryModeRequestedUnavailable",
                 "The only delivery mode is Push; leave Mode out, or send the one in the detail.", 400,
                 f"<wse:SupportedDeliveryMode>{escape(supported)}</wse:SupportedDeliveryMode>")


def filtering_unavailable(supported: str) -> Fault:
    """The fault for a filter in another dialect."""
    return Fault("Sender", "wse:FilteringRequestedUnavailable",
                 "The only filter dialect is the one named in the detail; send the Filter in it.", 400,
                 f"<wse:SupportedDialect>{escape(supported)}</wse:SupportedDialect>")


def filter_action_not_supported() -> Fault:
    """The fault for a filter that no event can match."""
    return Fault("Sender", "wsdp:FilterActionNotSupported",
                 "The Filter matches no event of the scanner; name at least one WS-Scan event in it.", 400)


def invalid_expiration() -> Fault:
    """The fault for an expiration that has passed already, or an empty duration."""
    return Fault("Sender", "wse:InvalidExpirationTime",
                 "The Expires must be in the future; send a positive duration or a later point in time.", 400)


def unsupported_expiration() -> Fault:
    """The fault for an Expires that is neither a duration nor a point in time."""
    return Fault("Sender", "wse:UnsupportedExpirationType",
                 "The Expires cannot be read; send a duration such as PT1H or a point in time such as "
                 "2026-11-22T10:00:00Z.",
                 400)


def unable_to_renew(reason: str) -> Fault:
    """The fault for a subscription that exists but can't be renewed now."""
    return Fault("Receiver", "wse:UnableToRenew", reason)


def unable_to_process(reason: str) -> Fault:
    """The fault if the event source cannot accept any subscription."""
    return Fault("Receiver", "wse:EventSourceUnableToProcess", reason)


def invalid_message(reason: str) -> Fault:
    """The fault for a message that lacks a required element, or names an unknown subscription."""
    return Fault("Sender", "wse:InvalidMessage", reason, 400)


def destination_unreachable(reason: str) -> Fault:
    """The fault for an address to which notifications must not or cannot be sent."""
    return Fault("Sender", "wsa:DestinationUnreachable", reason, 400)
