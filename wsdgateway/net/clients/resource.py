"""Resources: the functions that serve the requests at one address of the gateway, and below it."""

from collections.abc import Callable

import attrs

from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.net.server.exchange import Exchange


@attrs.frozen(eq=False)
class Resource:
    """Serves the requests at one address.

    Each function gets `rest`, the path below it: empty, or with its leading slash.

    `serve` answers a request, now or later, and returns None; or it returns the answer for the caller to give to a
    request that is not for this resource. `is_exempt` is true for a client whose requests do not count against its
    quota. `unread` is called with the client of a request that broke off or was refused before it was read. With `bare`
    no refusal has a body.
    """

    serve: Callable[[Exchange, bytes], HTTPAnswer | None]
    is_exempt: Callable[[bytes, str], bool] = lambda rest, client: False
    unread: Callable[[bytes, str], None] = lambda rest, client: None
    bare: bool = False
