"""Listens on a port while the service runs, with or without TLS; tries again if the port cannot be opened.

An interface may get its address after the gateway has started, so a failure is logged, once, and not final. A port that
another program uses, or that is forbidden, is final for a listener with `gives_up`. A privileged port is opened before
twistd drops root (`--uid`); connections wait in its backlog until the service runs::

               start                     the port is open
    closed ──────────────────► opening ─────────────────────► listening
     ▲ │                        ▲ ▲ │                             │
     │ │                        │ │ └────failed────► waiting      │
     │ │                        │ │                   │ │         │
     │ │                  start │ └──RETRY_SECONDS────┘ │         │
     │ └─root's port─► reserved─┘                       │         │
     │                     │                            │         │
     └─────────stop────────┴────────────────────────────┴─────────┘

It can also be stopped while it is opening. With `gives_up`, a port that is refused closes it.
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
from wsdgateway.net.transport.portowner import SHOWN_BY, owner_of
from wsdgateway.net.transport.tlsconnections import tls_factory
from wsdgateway.tls.identity import CurrentIdentity

RETRY_SECONDS = 5.0
_PORT = re.compile(r"(?:^|:)(?:tcp6?|ssl):(?:port=)?(\d+)")
FIRST_ORDINARY = 1024  # Linux: net.ipv4.ip_unprivileged_port_start
NOT_ALLOWED = ("an ordinary user needs CAP_NET_BIND_SERVICE for a port below 1024: start twistd as root with --uid, "
               "set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or use a port from 1024")
IN_USE = f"another program uses this port: {SHOWN_BY}"
_REFUSED = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)  # waiting does not help, unlike for an address to come


def is_privileged(endpoint: str) -> bool:
    """True if only root may listen at a Twisted server endpoint, as far as the string shows."""
    found = _PORT.search(endpoint)
    return found is not None and 0 < int(found[1]) < FIRST_ORDINARY


def _stop_reading(port: Any) -> Any:
    port.stopReading()
    return port


def _if_taken(failure: Failure) -> Any:
    """The error of a port that another program uses; None for any other failure."""
    cause = getattr(failure.value, "socketError", None)
    return failure.value if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE else None


def _taken(error: BaseException) -> str:
    """The program that uses the port of a `CannotListenError`, as far as this can be told."""
    interface, port = getattr(error, "interface", None) or "", getattr(error, "port", None)
    owner = owner_of(interface, port) if isinstance(port, int) else None
    return IN_USE if owner is None else f"used by {owner}"


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
    port while it is listening, else None. `address` is its interface and port number while it listens on IP, else None.
    With `gives_up`, a port that is taken or forbidden is not tried again.
    """

    logger = Logger()

    def __init__(self, reactor: Any, endpoint: str, factory: IProtocolFactory,
                 on_try: Callable[[], None] = lambda: None, identity: CurrentIdentity | None = None, *,
                 gives_up: bool = False) -> None:
        self._reactor = reactor
        self.endpoint = endpoint
        self.identity = identity
        self._factory = factory if identity is None else tls_factory(identity, factory)
        self._on_try = on_try
        self._gives_up = gives_up
        self._logged = ""
        self._attempt: Deferred[Any]  # in the states reserved and opening
        self._retry: IDelayedCall  # in the state waiting
        self.state = _CLOSED
        self.port: IListeningPort | None = None
        self.address: tuple[str, int] | None = None
        self.problem = "not open yet"
        self.is_refused = False
        self.opened: Deferred[None] = Deferred()
        self.tried = False

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        if is_privileged(self.endpoint) and self.state is _CLOSED:
            self.state = _RESERVED
            self._attempt = self._listen()
            # A failure is retried, and logged, when the service starts; as an ordinary user, who would only learn that
            # the port is privileged, unless another program has it.
            self._attempt.addCallbacks(_stop_reading, _if_taken)

    def startService(self) -> None:
        super().startService()
        self._open()

    def _listen(self) -> Deferred[IListeningPort]:
        # Some endpoints read files, such as a key, when they are constructed.
        return maybeDeferred(lambda: serverFromString(self._reactor, self.endpoint).listen(self._factory))

    def _open(self) -> None:
        self._attempt = self._attempt.addCallback(self._start_reading) if self.state is _RESERVED else self._listen()
        self.is_refused = False
        self.state = _OPENING
        self._attempt.addCallbacks(self._opened, self._failed)

    def _start_reading(self, port: Any) -> Any:
        if port is None:
            return self._listen()
        if isinstance(port, Exception):
            raise port
        port.startReading()
        return port

    def _opened(self, port: IListeningPort) -> None:
        self.state = _LISTENING
        self.port = port
        host: Any = port.getHost()  # a system call, and each request that is passed on needs the address
        self.address = (host.host, host.port) if hasattr(host, "port") else None
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
        cause = getattr(failure.value, "socketError", None)
        number = cause.errno if isinstance(cause, OSError) else None
        self.is_refused = number in _REFUSED
        self.problem = describe_error(failure.value)
        if is_privileged(self.endpoint) and number == errno.EACCES:
            self.problem += f" ({NOT_ALLOWED})"
        elif number == errno.EADDRINUSE:
            self.problem += f" ({_taken(failure.value)})"
        is_final = self._gives_up and self.is_refused
        if self.problem != self._logged:
            self._logged = self.problem
            self.logger.error("cannot listen at {endpoint}: {problem}{more}", endpoint=self.endpoint,
                              problem=self.problem,
                              more="" if is_final else f"; tried again every {RETRY_SECONDS:g} s")
        if is_final:
            self.state = _CLOSED
        else:
            self.state = _WAITING
            self._retry = self._reactor.callLater(RETRY_SECONDS, self._open)
        self.tried = True
        self._on_try()

    async def _close(self) -> None:
        state, self.state = self.state, _CLOSED
        if state is _RESERVED:
            await self._attempt.addCallback(
                lambda port: None if port is None or isinstance(port, Exception) else port.stopListening())
        elif state is _WAITING:
            self._retry.cancel()
        elif state is _OPENING:
            self._attempt.cancel()
            self.state = _CLOSED  # a cancelled endpoint may still return its port
        port, self.port, self.address = self.port, None, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._close())
