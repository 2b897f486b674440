"""Reads clients' requests to an event source and its subscription managers, and writes the answers.

WS-Eventing 2004/08, sections 3.1 to 3.5.
"""

from collections.abc import Mapping
from datetime import datetime

import attrs
from lxml import etree

from wsdgateway.eventing.expiry import read_expires, write_expires
from wsdgateway.eventing.faults import (
    delivery_mode_unavailable,
    invalid_expiration,
    invalid_message,
    unsupported_expiration,
)
from wsdgateway.eventing.filters import ActionFilter, read_filter
from wsdgateway.eventing.messages import PUSH, SUBSCRIPTION_END
from wsdgateway.soap.addressing import ANONYMOUS, EndpointReference, read_reference, write_reference
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.namespaces import WSE
from wsdgateway.soap.parsing import Malformed, escape, text_of

MAX_IDENTIFIER = 256

_WSE = f"{{{WSE}}}"
_IDENTIFIER = _WSE + "Identifier"

DELIVERY_FAILURE = f"{WSE}/DeliveryFailure"
SOURCE_CANCELING = f"{WSE}/SourceCanceling"


@attrs.frozen
class Lifetime:
    """The requested lifetime of a subscription in seconds, None if the source decides; and the form of the request."""

    seconds: float | None = None
    absolute: bool = False


@attrs.frozen
class SubscribeRequest:
    """The content of a Subscribe."""

    notify_to: EndpointReference
    end_to: EndpointReference | None
    filter: ActionFilter
    lifetime: Lifetime


def read_subscribe(envelope: Envelope, now: datetime, spellings: Mapping[str, str]) -> SubscribeRequest:
    """The request in a Subscribe. Raises `Refused`. `spellings` as for `read_filter`."""
    body = _body(envelope, "Subscribe")
    delivery = next(body.iterchildren(_WSE + "Delivery"), None)
    if delivery is None:
        raise Refused(invalid_message("The Subscribe contains no wse:Delivery; send one with a NotifyTo."))
    if (delivery.get("Mode") or PUSH).strip() != PUSH:
        raise Refused(delivery_mode_unavailable(PUSH))
    notify_to = _reference(delivery, "NotifyTo")
    if notify_to is None:
        raise Refused(invalid_message("The Delivery contains no wse:NotifyTo with a wsa:Address; send one."))
    return SubscribeRequest(notify_to, _reference(body, "EndTo"),
                            read_filter(next(body.iterchildren(_WSE + "Filter"), None), spellings),
                            _lifetime(body, now))


def read_renew(envelope: Envelope, now: datetime) -> Lifetime:
    """The lifetime that a Renew requests. Raises `Refused`."""
    return _lifetime(_body(envelope, "Renew"), now)


def _body(envelope: Envelope, name: str) -> etree._Element:
    if envelope.body is None or envelope.body.tag != _WSE + name:
        raise Refused(invalid_message(f"The Body contains no wse:{name}, as the action requires."))
    return envelope.body


def _reference(element: etree._Element, name: str) -> EndpointReference | None:
    found = next(element.iterchildren(_WSE + name), None)
    if found is None:
        return None
    try:
        reference = read_reference(found)
    except Malformed as error:
        raise Refused(invalid_message(f"The wse:{name} is not usable: {error}; send another one.")) from None
    if reference is None:
        raise Refused(invalid_message(f"The wse:{name} contains no wsa:Address; send one."))
    return reference


def _lifetime(body: etree._Element, now: datetime) -> Lifetime:
    asked = text_of(next(body.iterchildren(_WSE + "Expires"), None))
    if asked is None:
        return Lifetime()
    seconds = read_expires(asked, now)
    if seconds is None:
        raise Refused(unsupported_expiration())
    if seconds <= 0:
        raise Refused(invalid_expiration())
    return Lifetime(seconds, absolute="P" not in asked)


def identifier_of(envelope: Envelope) -> str | None:
    """The wse:Identifier in the headers, or inside the body, where some clients put it."""
    for place in (envelope.header, envelope.body):
        if place is not None:
            for element in place.iter(_IDENTIFIER):
                text = text_of(element)
                if text is not None:
                    return text if len(text) <= MAX_IDENTIFIER else None
    return None


def write_manager(address: str, identifier: str) -> str:
    """The content of a SubscriptionManager element: its address, and the parameter that identifies the subscription."""
    return write_reference(EndpointReference(address, (f"<wse:Identifier>{escape(identifier)}</wse:Identifier>",)))


def _answer(name: str, body: str, relates_to: str | None, message_id: str) -> bytes:
    return compose(action=f"{WSE}/{name}", message_id=message_id, to=ANONYMOUS, relates_to=relates_to, body=body,
                   namespaces={"wse": WSE})


def write_subscribe_response(*, manager: str, identifier: str, expires: float, absolute: bool, now: datetime,
                             relates_to: str | None, message_id: str, extension: str = "") -> bytes:
    """Write the answer to a Subscribe, granted for `expires` seconds.

    `extension` is XML that declares its own prefixes.
    """
    return _answer("SubscribeResponse", (
        f"<wse:SubscribeResponse><wse:SubscriptionManager>{write_manager(manager, identifier)}"
        f"</wse:SubscriptionManager><wse:Expires>{write_expires(expires, absolute, now)}</wse:Expires>{extension}"
        "</wse:SubscribeResponse>"), relates_to, message_id)


def write_lifetime_response(name: str, *, expires: float, absolute: bool, now: datetime, relates_to: str | None,
                            message_id: str) -> bytes:
    """Write the answer to a `Renew` or `GetStatus`: the subscription lasts for another `expires` seconds."""
    return _answer(f"{name}Response", (
        f"<wse:{name}Response><wse:Expires>{write_expires(expires, absolute, now)}</wse:Expires></wse:{name}Response>"),
        relates_to, message_id)


def write_unsubscribe_response(*, relates_to: str | None, message_id: str) -> bytes:
    """Write the answer to an Unsubscribe, with an empty body."""
    return _answer("UnsubscribeResponse", "", relates_to, message_id)


def write_subscription_end(*, to: EndpointReference, manager: str, identifier: str, status: str, reason: str,
                           message_id: str) -> bytes:
    """Write the SubscriptionEnd for a subscription that ends early; `status` is a URI of section 3.5."""
    return compose(
        action=SUBSCRIPTION_END, message_id=message_id, to=to.address, headers=to.headers, namespaces={"wse": WSE},
        body=(f"<wse:SubscriptionEnd><wse:SubscriptionManager>{write_manager(manager, identifier)}"
              f"</wse:SubscriptionManager><wse:Status>{status}</wse:Status>"
              f'<wse:Reason xml:lang="en">{escape(reason)}</wse:Reason></wse:SubscriptionEnd>'))
