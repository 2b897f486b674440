"""The resource at which one scanner notifies the gateway, with a separate address for each subscription.

Notifications come from the scanner, so they count against no client's quota. If one cannot be read, the scanner is
asked for the state that may have changed.
"""

from wsdgateway.bridge.frontends.frontend import named_in
from wsdgateway.bridge.frontends.soaphttp import check_post
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.events.eventsink import EventSink
from wsdgateway.net.server.exchange import Exchange


def notifications(sink: EventSink) -> Resource:
    """A resource with the addresses of `sink`, each named by a secret."""

    def serve(exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
        take = sink.place(named_in(rest))
        refusal = NOT_FOUND if take is None else check_post(exchange.request)
        if take is None or refusal is not None:
            return refusal
        take(exchange)
        return None

    def is_exempt(rest: bytes, client: str) -> bool:
        return sink.place(named_in(rest)) is not None and sink.may_notify(client)

    def unread(rest: bytes, client: str) -> None:
        sink.unread(named_in(rest), client)

    return Resource(serve, is_exempt, unread)
