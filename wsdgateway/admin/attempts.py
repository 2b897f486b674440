"""Limits how often tokens can be guessed: by one client, and by all clients together.

RFC 6585 section 4 (429 Too Many Requests). The token of a client beyond its limit is not checked until the client has
waited, so that a right guess looks like a wrong one. Clients that have presented the right token are exempt from the
limit for all clients: a flood of guesses from many addresses does not lock monitoring out.
"""

from collections import OrderedDict

from wsdgateway.bridge.access.quotas import client_of

CLIENT_BURST, CLIENT_SECONDS = 10, 5.0  # wrong tokens of one client at once, then one every so many seconds
TOTAL_BURST, TOTAL_SECONDS = 200, 0.5  # the same for all clients together
MAX_CLIENTS = 4096  # clients remembered for wrong tokens, and as many for the right one
LOCAL_SOCKET = "a local socket"


class Burst:
    """A rate limit: a burst of `at_once`, then one every `seconds`. Uses the generic cell rate algorithm."""

    __slots__ = ("_at_once", "_seconds", "_spread")

    def __init__(self, at_once: int, seconds: float) -> None:
        self._at_once = at_once
        self._seconds = seconds
        self._spread = float("-inf")  # when all spent so far would have been due, at one every `seconds`

    def wait(self, now: float) -> float:
        """The seconds until another one is permitted; 0 if it is permitted now."""
        return max(0.0, self._spread - now - (self._at_once - 1) * self._seconds)

    def spend(self, now: float) -> None:
        """Count one."""
        self._spread = max(self._spread, now) + self._seconds


class Attempts:
    """Counts wrong tokens. Clients are IP addresses, None for a local socket; `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, Burst] = OrderedDict()
        self._total = Burst(TOTAL_BURST, TOTAL_SECONDS)
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, client: str | None, now: float) -> float:
        """The seconds until the client may present a token; 0 if it may now."""
        key = client_of(client or LOCAL_SOCKET)
        own = self._wrong[key].wait(now) if key in self._wrong else 0.0
        return own if key in self._known else max(own, self._total.wait(now))

    def failed(self, client: str | None, now: float) -> None:
        """Record that the client has presented a wrong token."""
        key = client_of(client or LOCAL_SOCKET)
        self._wrong.setdefault(key, Burst(CLIENT_BURST, CLIENT_SECONDS)).spend(now)
        self._wrong.move_to_end(key)
        if len(self._wrong) > MAX_CLIENTS:
            self._wrong.popitem(last=False)
        self._total.spend(now)

    def succeeded(self, client: str | None) -> None:
        """Record that the client has presented the right token."""
        key = client_of(client or LOCAL_SOCKET)
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > MAX_CLIENTS:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget which clients have presented the right token: it has been replaced."""
        self._known.clear()
