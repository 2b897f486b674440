"""A resource: what answers at one address of the gateway, and below it."""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.frontends.frontend import HTTPAnswer
from wsdgateway.net.server.exchange import Exchange


@attrs.frozen(eq=False)
class Resource:
    """What answers at an address. Each function gets `rest`, the path below that address: empty, or with its slash.

    `serve` answers a request, now or later; one that is not served here it leaves to its caller, with the answer to it.
    `is_exempt` says whether a client's requests do not count against what it may ask. `unread` is told of a client's
    request that broke off, or was refused before anybody could read it.
    """

    serve: Callable[[Exchange, bytes], HTTPAnswer | None]
    is_exempt: Callable[[bytes, str], bool] = lambda rest, client: False
    unread: Callable[[bytes, str], None] = lambda rest, client: None
