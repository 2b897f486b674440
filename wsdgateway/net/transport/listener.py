"""Listens on a port while the service runs, with or without TLS; tries again if the port cannot be opened.

An interface may get its address after the gateway has started, so a failure is logged and not final. A privileged port
is opened before twistd drops root (`--uid`); connections wait in its backlog until the service runs::

               start                     the port is open
    closed ──────────────────► opening ─────────────────────► listening
     ▲ │                        ▲ ▲ │                             │
     │ │                        │ │ └────failed────► waiting      │
     │ │                        │ │                   │ │         │
     │ │                  start │ └──RETRY_SECONDS────┘ │         │
     │ └─root's port─► reserved─┘                       │         │
     │                     │                            │         │
     └─────────stop────────┴────────────────────────────┴─────────┘

It can also be stopped while it is opening.
"""

import errno
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.net.transport.errors import describe_error
from wsdgateway.net.transport.tlsconnections import tls_factory
from wsdgateway.tls.identity import CurrentIdentity

RETRY_SECONDS = 5.0
_PORT = re.compile(r"(?:^|:)(?:tcp6?|ssl):(?:port=)?(\d+)")
FIRST_ORDINARY = 1024  # Linux: net.ipv4.ip_unprivileged_port_start
NOT_ALLOWED = ("an ordinary user needs CAP_NET_BIND_SERVICE for a port below 1024: start twistd as root with --uid, "
               "set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or use a port from 1024")
IN_USE = "another program uses this port: ss -ltnp, as root, shows which"


def is_privileged(endpoint: str) -> bool:
    """True if only root may listen at a Twisted server endpoint, as far as the string shows."""
    found = _PORT.search(endpoint)
    return found is not None and 0 < int(found[1]) < FIRST_ORDINARY


def _stop_reading(port: Any) -> Any:
    port.stopReading()
    return port


class ListenerState(Enum):
    """The states of a listener."""

    CLOSED = "closed"
    RESERVED = "the port is open, or could not be opened, and nothing is read"
    OPENING = "opening"
    WAITING = "waiting for the next attempt"
    LISTENING = "listening"


_CLOSED, _RESERVED, _OPENING, _WAITING, _LISTENING = ListenerState


class Listener(Service):
    """Listens at a Twisted server endpoint, with TLS if it has an `identity`.

    `on_try` is called after each attempt, including failed ones. `tried` is true after the first. `port` is the open
    port while it is listening, else None.
    """

    logger = Logger()

    def __init__(self, reactor: Any, endpoint: str, factory: IProtocolFactory,
                 on_try: Callable[[], None] = lambda: None, identity: CurrentIdentity | None = None) -> None:
        self._reactor = reactor
        self.endpoint = endpoint
        self.identity = identity
        self._factory = factory if identity is None else tls_factory(identity, factory)
        self._on_try = on_try
        self._attempt: Deferred[Any]  # in the states reserved and opening
        self._retry: IDelayedCall  # in the state waiting
        self.state = _CLOSED
        self.port: IListeningPort | None = None
        self.problem = "not open yet"
        self._logged = ""
        self.opened: Deferred[None] = Deferred()
        self.tried = False

    @property
    def address(self) -> tuple[str, int] | None:
        """The interface and port while it listens on IP, else None."""
        if self.port is None:
            return None
        host: Any = self.port.getHost()
        return (host.host, host.port) if hasattr(host, "port") else None

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        if is_privileged(self.endpoint) and self.state is _CLOSED:
            self.state = _RESERVED
            self._attempt = self._listen()
            # A failure is retried, and logged, when the service starts.
            self._attempt.addCallbacks(_stop_reading, lambda _: None)

    def startService(self) -> None:
        super().startService()
        self._open()

    def _listen(self) -> Deferred[IListeningPort]:
        # Some endpoints read files, such as a key, when they are constructed.
        return maybeDeferred(lambda: serverFromString(self._reactor, self.endpoint).listen(self._factory))

    def _open(self) -> None:
        self._attempt = self._attempt.addCallback(self._start_reading) if self.state is _RESERVED else self._listen()
        self.state = _OPENING
        self._attempt.addCallbacks(self._opened, self._failed)

    def _start_reading(self, port: Any) -> Any:
        if port is None:
            return self._listen()
        port.startReading()
        return port

    def _opened(self, port: IListeningPort) -> None:
        self.state = _LISTENING
        self.port = port
        self.problem = ""
        if self._logged:
            self._logged = ""
            self.logger.info("listening at {endpoint}", endpoint=self.endpoint)
        self.tried = True
        self._on_try()
        if not self.opened.called:
            self.opened.callback(None)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        self.problem = describe_error(failure.value)
        cause = getattr(failure.value, "socketError", None)
        if is_privileged(self.endpoint) and isinstance(cause, OSError) and cause.errno == errno.EACCES:
            self.problem += f" ({NOT_ALLOWED})"
        elif isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            self.problem += f" ({IN_USE})"
        if self.problem != self._logged:  # not after each attempt
            self._logged = self.problem
            self.logger.error("cannot listen at {endpoint}: {problem}; tried again every {seconds:g} s",
                              endpoint=self.endpoint, problem=self.problem, seconds=RETRY_SECONDS)
        self.state = _WAITING
        self._retry = self._reactor.callLater(RETRY_SECONDS, self._open)
        self.tried = True
        self._on_try()

    async def _close(self) -> None:
        state, self.state = self.state, _CLOSED
        if state is _RESERVED:
            await self._attempt.addCallback(lambda port: None if port is None else port.stopListening())
        elif state is _WAITING:
            self._retry.cancel()
        elif state is _OPENING:
            self._attempt.cancel()
            self.state = _CLOSED  # a cancelled endpoint may still return its port
        port, self.port = self.port, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._close())
