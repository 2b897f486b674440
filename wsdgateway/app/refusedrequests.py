"""Records requests and connections that the HTTP server refused before they reached a resource."""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.app.exchangelog import ExchangeLogging
from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.http.requests import Refusal
from wsdgateway.metrics import RATE, Metrics
from wsdgateway.net.clients.router import Router
from wsdgateway.net.server.protocols import Connection
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.logthrottle import LogThrottle


class RefusedRequests:
    """The functions that the server calls for each of them."""

    log = Logger()

    def __init__(self, accounting: Accounting, metrics: Metrics, recording: ExchangeLogging, router: Router,
                 seconds: Callable[[], float]) -> None:
        self._accounting = accounting
        self._metrics = metrics
        self._recording = recording
        self._router = router
        self._seconds = seconds
        self._throttle = LogThrottle()

    def denied(self, reason: str, client: str) -> None:
        """Count a connection that was refused for a limit on connections or their rate, or that sent no request."""
        if reason == RATE:
            self._accounting.refused(RATE, client, "a TLS handshake")
        else:
            self._metrics.refused(None, reason)  # already logged by the code that refused it

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Log a request that was refused before it was read completely."""
        if self._throttle.allows((client_of(connection.client), refusal.status), self._seconds()):
            self.log.info("{client}: refused with {status}: {reason} (logged at most once a minute)",
                          client=connection.peer, status=refusal.status, reason=refusal.reason)
        self._recording.refused(connection.peer, refusal.status, len(refusal.body))
        self.unread(connection)

    def unread(self, connection: Connection) -> None:
        """Record a request that was refused before it was read completely, or that broke off."""
        self._router.unread(connection.client, connection.path)
