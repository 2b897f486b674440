"""A port that is open as long as the service runs, with TLS or without; one that can't be opened is tried again.

An interface may get its address after we have started, so a failure is said and not final.
"""

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from wsdgateway.tls.identity import CurrentIdentity

RETRY_SECONDS = 5.0


class Listener(Service):
    """Listens at a Twisted server endpoint, with TLS if it has an `identity`.

    `on_try` is called after each try, also one that failed.
    """

    logger = Logger()

    def __init__(self, reactor: Any, endpoint: str, factory: IProtocolFactory,
                 on_try: Callable[[], None] = lambda: None, identity: CurrentIdentity | None = None) -> None:
        self._reactor = reactor
        self.endpoint = endpoint
        self.identity = identity
        self._factory = factory if identity is None else TLSMemoryBIOFactory(identity, False, factory)
        self._on_try = on_try
        self._attempt: Deferred[IListeningPort] | None = None
        self._retry: IDelayedCall | None = None
        self.port: IListeningPort | None = None
        self.problem = "not open yet"
        self.opened: Deferred[None] = Deferred()
        self.tried = False

    @property
    def address(self) -> tuple[str, int] | None:
        """Interface and port, while it is open on IP."""
        if self.port is None:
            return None
        host: Any = self.port.getHost()
        return (host.host, host.port) if hasattr(host, "port") else None

    def startService(self) -> None:
        super().startService()
        self._open()

    def _open(self) -> None:
        self._retry = None
        self._attempt = serverFromString(self._reactor, self.endpoint).listen(self._factory)
        self._attempt.addCallbacks(self._opened, self._failed)

    def _opened(self, port: IListeningPort) -> None:
        self._attempt = None
        self.port = port
        self.problem = ""
        self.tried = True
        self._on_try()
        if not self.opened.called:
            self.opened.callback(None)

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if failure.check(CancelledError):
            return
        self.problem = failure.getErrorMessage()
        self.logger.error("can't listen at {endpoint}: {problem}; next try in {seconds:g} s", endpoint=self.endpoint,
                          problem=self.problem, seconds=RETRY_SECONDS)
        self._retry = self._reactor.callLater(RETRY_SECONDS, self._open)
        self.tried = True
        self._on_try()

    async def _close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        port, self.port = self.port, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._close())
