"""Bounds how often tokens can be guessed: wrong tokens of one client, and of all clients together.

RFC 6585 section 4 (429 Too Many Requests). A client beyond its bound is not checked at all until it has waited, so that
a right guess looks like a wrong one. Clients that have shown the token are exempt from the bound for all together: a
flood from many addresses does not lock monitoring out.
"""

from collections import OrderedDict

from wsdgateway.bridge.access.quotas import client_of

CLIENT_BURST, CLIENT_SECONDS = 10, 5.0  # wrong tokens of one client at once, and then one in so many seconds
TOTAL_BURST, TOTAL_SECONDS = 200, 0.5  # of all clients together
MAX_CLIENTS = 4096  # that are remembered with wrong tokens, and as many with the right one
LOCAL_SOCKET = "a local socket"


class Burst:
    """So many at once, and then one in so many seconds: the generic cell rate algorithm."""

    __slots__ = ("_at_once", "_seconds", "_spread")

    def __init__(self, at_once: int, seconds: float) -> None:
        self._at_once = at_once
        self._seconds = seconds
        self._spread = float("-inf")  # when all so far would have been, one in so many seconds

    def wait(self, now: float) -> float:
        """The seconds until there may be another one; 0 if there may be now."""
        return max(0.0, self._spread - now - (self._at_once - 1) * self._seconds)

    def spend(self, now: float) -> None:
        """There is one."""
        self._spread = max(self._spread, now) + self._seconds


class Attempts:
    """Counts wrong tokens. Clients are IP addresses, None for a local socket; `now` is in seconds, monotonic."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, Burst] = OrderedDict()
        self._total = Burst(TOTAL_BURST, TOTAL_SECONDS)
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, client: str | None, now: float) -> float:
        """The seconds until the client may show a token; 0 if it may now."""
        key = client_of(client or LOCAL_SOCKET)
        own = self._wrong[key].wait(now) if key in self._wrong else 0.0
        return own if key in self._known else max(own, self._total.wait(now))

    def failed(self, client: str | None, now: float) -> None:
        """The client has shown a wrong token."""
        key = client_of(client or LOCAL_SOCKET)
        self._wrong.setdefault(key, Burst(CLIENT_BURST, CLIENT_SECONDS)).spend(now)
        self._wrong.move_to_end(key)
        if len(self._wrong) > MAX_CLIENTS:
            self._wrong.popitem(last=False)
        self._total.spend(now)

    def succeeded(self, client: str | None) -> None:
        """The client has shown the token."""
        key = client_of(client or LOCAL_SOCKET)
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > MAX_CLIENTS:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """There is another token: nobody has shown it yet."""
        self._known.clear()
