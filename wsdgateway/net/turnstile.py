"""Where a request is let through to a scanner, or not: the rules of `[[allow]]`."""

from collections.abc import Callable

from wsdgateway.bridge.permission import Permission, not_allowed
from wsdgateway.metrics import REFUSED, RULE
from wsdgateway.net.accounts import Accounts
from wsdgateway.net.turn import Turn
from wsdgateway.soap.envelope import Envelope


class Turnstile:
    """That of one scanner."""

    def __init__(self, scanner: str, permission: Permission, accounts: Accounts, new_id: Callable[[], str]) -> None:
        self._scanner = scanner
        self._permission = permission
        self._accounts = accounts
        self._new_id = new_id

    def admits(self, turn: Turn, operation: str, envelope: Envelope, started: float) -> bool:
        """Whether the client may do that; if it may not, it has been told."""
        if self._permission.allows(turn.client, self._scanner, operation):
            return True
        turn.refuse(not_allowed(turn.client, self._scanner, operation), envelope.message_id, self._new_id())
        self._accounts.refused(RULE, turn.client, operation)
        self._accounts.client(turn, operation, REFUSED, started, envelope)
        return False
