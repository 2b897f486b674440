"""Writes a subscriber's messages (Subscribe, Renew, Unsubscribe), and reads the answers.

WS-Eventing 2004/08, sections 3.1 to 3.5, with the Action filter of DPWS 2006/02, section 6.1.1.
"""

from datetime import datetime

import attrs
from lxml import etree

from wsdgateway.eventing.expiry import read_expires, write_duration
from wsdgateway.eventing.filters import ACTION_FILTER
from wsdgateway.soap.addressing import EndpointReference, read_parameters, read_reference, write_reference
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.namespaces import WSE
from wsdgateway.soap.parsing import escape, text_of

PUSH = f"{WSE}/DeliveryModes/Push"
SUBSCRIPTION_END = f"{WSE}/SubscriptionEnd"

_WSE = f"{{{WSE}}}"


@attrs.frozen
class Granted:
    """A subscription as granted by its source: its manager, and its duration in seconds (None if not given)."""

    manager: EndpointReference | None
    expires: float | None


def write_subscribe(*, to: str, message_id: str, notify_to: str, actions: tuple[str, ...], expires: float,
                    extension: str = "") -> bytes:
    """Write a Subscribe for those actions, delivered by push. Its SubscriptionEnd is sent to the same address.

    `extension` is XML that declares its own prefixes: WS-Scan's ScanDestinations.
    """
    sink = write_reference(EndpointReference(notify_to))
    body = (
        f"<wse:Subscribe><wse:EndTo>{sink}</wse:EndTo>"
        f'<wse:Delivery Mode="{PUSH}"><wse:NotifyTo>{sink}</wse:NotifyTo></wse:Delivery>'
        f"<wse:Expires>{write_duration(expires)}</wse:Expires>"
        f'<wse:Filter Dialect="{ACTION_FILTER}">{escape(" ".join(actions))}</wse:Filter>{extension}'
        "</wse:Subscribe>"
    )
    return compose(action=f"{WSE}/Subscribe", message_id=message_id, to=to, body=body, namespaces={"wse": WSE},
                   is_request=True)


def _to_manager(action: str, manager: EndpointReference, message_id: str, body: str) -> bytes:
    return compose(action=f"{WSE}/{action}", message_id=message_id, to=manager.address, body=body,
                   headers=manager.headers, namespaces={"wse": WSE}, is_request=True)


def write_renew(*, manager: EndpointReference, message_id: str, expires: float) -> bytes:
    """Write a Renew of the subscription that `manager` identifies, `expires` in seconds."""
    return _to_manager("Renew", manager, message_id,
                       f"<wse:Renew><wse:Expires>{write_duration(expires)}</wse:Expires></wse:Renew>")


def write_unsubscribe(*, manager: EndpointReference, message_id: str) -> bytes:
    """Write an Unsubscribe of the subscription that `manager` identifies."""
    return _to_manager("Unsubscribe", manager, message_id, "<wse:Unsubscribe/>")


def read_granted(envelope: Envelope, now: datetime) -> Granted | None:
    """The grant in a SubscribeResponse or RenewResponse; None if the message is neither. Raises `Malformed`.

    `now` is the time on the clock that the sender's points in time refer to.
    """
    body = envelope.body
    if body is None and envelope.action == f"{WSE}/RenewResponse":
        return Granted(None, None)  # as requested
    if body is None or body.tag not in (_WSE + "SubscribeResponse", _WSE + "RenewResponse"):
        return None
    expires = text_of(body.find(_WSE + "Expires"))
    return Granted(_manager(body.find(_WSE + "SubscriptionManager")),
                   None if expires is None else read_expires(expires, now))


def is_end(body: etree._Element | None) -> bool:
    """Return whether the element in a Body is a SubscriptionEnd, regardless of the action."""
    return body is not None and body.tag == f"{_WSE}SubscriptionEnd"


def _manager(reference: etree._Element | None) -> EndpointReference | None:
    """A subscription manager. Its address is empty if only its reference parameters identify it."""
    if reference is None:
        return None
    found = read_reference(reference) or EndpointReference("", read_parameters(reference))
    return found if found.address or found.parameters else None
