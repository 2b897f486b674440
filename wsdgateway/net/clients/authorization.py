"""Where a request is let through to a scanner, or not: the rules of `[[allow]]`."""

from collections.abc import Callable

from wsdgateway.bridge.access.permission import Permission, not_allowed
from wsdgateway.metrics import REFUSED, RULE
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.soap.envelope import Envelope


class Authorization:
    """That of one scanner."""

    def __init__(self, scanner: str, permission: Permission, accounting: Accounting, new_id: Callable[[], str]) -> None:
        self._scanner = scanner
        self._permission = permission
        self._accounting = accounting
        self._new_id = new_id

    def admits(self, turn: Exchange, operation: str, envelope: Envelope, started: float) -> bool:
        """Whether the client may do that; if it may not, it has been told."""
        if self._permission.allows(turn.client, self._scanner, operation):
            return True
        turn.refuse(not_allowed(turn.client, self._scanner, operation), envelope.message_id, self._new_id())
        self._accounting.refused(RULE, turn.client, operation)
        self._accounting.client(turn, operation, REFUSED, started, envelope)
        return False
