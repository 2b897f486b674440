"""The addresses for notifications that the owner of a scanner has accepted, so that they count against no quota.

The gateway that a notification reaches does not know the secrets in these addresses. It counts a notification like any
other request, until the owner has accepted one from the same sender at the same address.
"""

from collections import OrderedDict

MAX_SECRETS = 256  # of one scanner


class ValidSecrets:
    """The accepted addresses and senders. The one that was used least recently is dropped first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[bytes, str], None] = OrderedDict()

    def holds(self, rest: bytes, client: str) -> bool:
        """True if the owner has accepted the last notification at this address from this client."""
        return (rest, client) in self._known

    def note(self, rest: bytes, client: str, *, valid: bool) -> None:
        """Note whether the owner accepts notifications at this address from this client."""
        key = (rest, client)
        if not valid:
            self._known.pop(key, None)
            return
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > MAX_SECRETS:
            self._known.popitem(last=False)
