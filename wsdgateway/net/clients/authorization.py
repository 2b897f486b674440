"""Authorizes clients' requests by the rules of `[[allow]]`, before they reach a scanner."""

from wsdgateway.bridge.access.permission import Permission, not_allowed
from wsdgateway.bridge.decisions import Refuse
from wsdgateway.bridge.frontends.frontend import ClientRequest, FrontEnd, asked_for
from wsdgateway.metrics import REFUSED, RULE
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting


class Authorization:
    """Applies the `[[allow]]` rules to requests for one scanner."""

    def __init__(self, scanner: str, permission: Permission, accounting: Accounting) -> None:
        self._scanner = scanner
        self._permission = permission
        self._accounting = accounting

    def admits(self, exchange: Exchange, request: ClientRequest, front_end: FrontEnd, started: float) -> bool:
        """True if the client may make this request; otherwise answers it with a fault."""
        client = exchange.client
        for operation in asked_for(request):
            if not self._permission.allows(client, self._scanner, operation):
                refuse = Refuse(not_allowed(client, self._scanner, operation))
                exchange.give(front_end.write(refuse, request))
                self._accounting.refused(RULE, client, operation, exchange)
                self._accounting.client(exchange, operation, REFUSED, started, request.envelope)
                return False
        return True
