"""The resource at which one scanner notifies the gateway: an address of its own for each subscription.

What comes there is the scanner's, not a client's: it counts against nobody's requests, and where it can't be read the
scanner is asked for what it may have been about.
"""

from wsdgateway.bridge.frontends.frontend import NOT_FOUND, HTTPAnswer
from wsdgateway.bridge.frontends.wsscan import check_post, named_in
from wsdgateway.http.requests import Request
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.events.eventsink import EventSink
from wsdgateway.net.server.exchange import Exchange


def notifications(sink: EventSink) -> Resource:
    """The addresses of `sink`, each named by a secret."""

    def check(request: Request, rest: bytes) -> HTTPAnswer | None:
        return NOT_FOUND if sink.place(named_in(rest)) is None else check_post(request)

    def serve(exchange: Exchange, rest: bytes) -> None:
        take = sink.place(named_in(rest))
        assert take is not None
        take(exchange)

    def is_exempt(rest: bytes, client: str) -> bool:
        return sink.place(named_in(rest)) is not None and sink.may_notify(client)

    def unread(rest: bytes, client: str) -> None:
        sink.unread(named_in(rest), client)

    return Resource(check, serve, is_exempt, unread)
