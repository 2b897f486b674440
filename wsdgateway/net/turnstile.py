"""Where a request is let through to a scanner, or not: the rules of `[[allow]]`, and the log's line for each refusal.

A client that is refused mostly asks again at once and for ever, so that the program's log has a line once a minute; the
exchange log has each.
"""

from collections import OrderedDict
from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.permission import Permission, not_allowed
from wsdgateway.metrics import REFUSED, RULE
from wsdgateway.net.accounts import Accounts
from wsdgateway.net.turn import Turn
from wsdgateway.soap.envelope import Envelope

QUIET_SECONDS = 60.0
MAX_SAID = 1000


class Turnstile:
    """That of one scanner."""

    log = Logger()

    def __init__(self, scanner: str, permission: Permission, accounts: Accounts, new_id: Callable[[], str]) -> None:
        self._scanner = scanner
        self._permission = permission
        self._accounts = accounts
        self._new_id = new_id
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()

    def admits(self, turn: Turn, operation: str, envelope: Envelope, started: float) -> bool:
        """Whether the client may do that; if it may not, it has been told."""
        if self._permission.allows(turn.client, self._scanner, operation):
            return True
        turn.refuse(not_allowed(turn.client, self._scanner, operation), envelope.message_id, self._new_id())
        self._accounts.refused(RULE)
        self._accounts.client(turn, operation, REFUSED, started, envelope)
        self._say(turn.client, operation, started)
        return False

    def _say(self, client: str, operation: str, now: float) -> None:
        said = self._said.get((client, operation))
        if said is not None and now - said < QUIET_SECONDS:
            return
        self._said[client, operation] = now
        self._said.move_to_end((client, operation))
        if len(self._said) > MAX_SAID:
            self._said.popitem(last=False)
        self.log.warn("{scanner}: {operation} for {client} is refused, for no [[allow]] lets it do that",
                      scanner=self._scanner, operation=operation, client=client)
