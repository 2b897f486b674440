"""The virtual scanner as a Twisted service: its port, its site, and its reboots."""

import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from wsdgateway.net.transport.errors import describe_error
from wsdgateway.net.transport.listener import RETRY_SECONDS
from wsdgateway.net.transport.localaddress import OpenPort, url_of
from wsdgateway.simulator.control import Control
from wsdgateway.simulator.description import SCAN_PATH
from wsdgateway.simulator.device import VirtualDevice
from wsdgateway.simulator.discovery import VirtualTarget
from wsdgateway.simulator.events import Subscribers
from wsdgateway.simulator.settings import Settings
from wsdgateway.simulator.web import SoapResource, Troubles
from wsdgateway.tls.identity import CurrentIdentity, IdentityFiles

TELLING_SECONDS = 0.1  # time for an answer to be sent


def new_id() -> str:
    """A new message id. WS-Addressing 2004/08, section 3."""
    return f"urn:uuid:{uuid.uuid4()}"


class _Root(Resource):
    def __init__(self, soap: SoapResource, control: Control) -> None:
        super().__init__()
        self._soap = soap
        self._control = control

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self._control if path == b"control" else self._soap


class QuietSite(Site):
    """A site that does not log each request."""

    noisy = False

    def log(self, request: Any) -> None:
        """Log nothing."""


class _Connection(ProtocolWrapper):
    """A connection that is not read until it is admitted."""

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(transport)
        if not self.factory.admit(self):
            transport.pauseProducing()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.left(self)


class _Connections(WrappingFactory):
    """The connections of a site. At most `limit` of them are served at a time; 0 means no limit."""

    noisy = False
    protocol = _Connection

    def __init__(self, site: Site, limit: int) -> None:
        super().__init__(site)
        self._limit = limit
        self._served: set[_Connection] = set()
        self._waiting: deque[_Connection] = deque()

    def admit(self, connection: _Connection) -> bool:
        """True if the connection is served now; else it is queued."""
        if self._limit and len(self._served) >= self._limit:
            self._waiting.append(connection)
            return False
        self._served.add(connection)
        return True

    def left(self, connection: _Connection) -> None:
        """Forget a closed connection, and serve the next one."""
        self._served.discard(connection)
        if connection in self._waiting:
            self._waiting.remove(connection)
        while self._waiting and len(self._served) < self._limit:
            waiting = self._waiting.popleft()
            self._served.add(waiting)
            transport: Any = waiting.transport
            transport.resumeProducing()

    def abort(self) -> None:
        """Close every connection at once."""
        for connection in list(self.protocols):
            connection.abortConnection()


class VirtualScanner(Service):
    """A virtual scanner that listens while it runs::

        off ──start──► opening ──► on ──reboot──► booting ──the time is over──► opening
                         └─failed──► waiting ──RETRY_SECONDS──► opening

        stop: from each of them to off
    """

    logger = Logger()

    def __init__(self, reactor: Any, settings: Settings, *, wall: Callable[[], float]) -> None:
        self._reactor = reactor
        self.settings = settings
        self.troubles = Troubles()
        subscribers = Subscribers(reactor, mode=settings.events, longest=settings.subscription_expires, wall=wall,
                                  new_id=new_id)
        self.device = VirtualDevice(settings, subscribers, later=reactor.callLater, wall=wall)
        self.target = VirtualTarget(settings, wall=wall, new_id=new_id, listener=self._address)
        self.soap = SoapResource(reactor, self.device, self.troubles, wall=wall, new_id=new_id, target=self.target)
        self.control = Control(self.soap, self.troubles, self._reboot_soon)
        self._site = _Connections(QuietSite(_Root(self.soap, self.control), reactor=reactor), settings.connections)
        self._factory: IProtocolFactory = self._site
        if settings.certificate:
            self._factory = TLSMemoryBIOFactory(CurrentIdentity(IdentityFiles(
                Path(settings.certificate), Path(settings.key or settings.certificate))), False, self._site)
        self._port: IListeningPort | None = None
        self._booting: Any = None
        self._problem = ""
        self._switching: Any = None
        self._endpoint = settings.endpoint
        self.listening: Deferred[None] = Deferred()
        self._discovery = self.target.discovery(reactor) if settings.interfaces else None

    @property
    def base(self) -> str:
        """`http://HOST:PORT` once the scanner listens; `https` if it has a certificate."""
        where = self._address()
        assert where is not None
        return url_of(where.interface, where.port, secure=where.secure)

    @property
    def scan_url(self) -> str:
        """The address of the scan service."""
        return self.base + SCAN_PATH

    @property
    def device_url(self) -> str:
        """The address of the device."""
        return f"{self.base}/{self.settings.uuid}"

    def startService(self) -> None:
        super().startService()
        self._listen()
        if self._discovery is not None:
            self._discovery.startService()

    def _address(self) -> OpenPort | None:
        """The address and port of the listener; None if there is none."""
        if self._port is None:
            return None
        address: Any = self._port.getHost()
        return OpenPort(address.host, address.port, bool(self.settings.certificate))

    @property
    def is_on(self) -> bool:
        """True if the scanner listens."""
        return self._port is not None

    def _listen(self) -> None:
        self._booting = None
        listening = serverFromString(self._reactor, self._endpoint).listen(self._factory)
        listening.addCallbacks(self._opened, self._not_opened)

    def _opened(self, port: IListeningPort) -> None:
        self._port, self._problem = port, ""
        address: Any = port.getHost()
        # After a reboot it listens at the same address as before.
        self._endpoint = f"tcp:{address.port}:interface={address.host.replace(':', chr(92) + ':')}"
        self.logger.info("{name}: {url}", name=self.settings.name, url=self.scan_url)
        self.target.switched_on()
        self.device.switched_on()
        if not self.listening.called:
            self.listening.callback(None)

    def _not_opened(self, failure: Any) -> None:
        why = describe_error(failure.value)
        if why != self._problem:  # not after each attempt
            self._problem = why
            self.logger.error("{name}: cannot listen at {endpoint}: {why}; tried again every {seconds:g} s",
                              name=self.settings.name, endpoint=self._endpoint, why=why, seconds=RETRY_SECONDS)
        self._booting = self._reactor.callLater(RETRY_SECONDS, self._listen)

    def _reboot_soon(self, seconds: float) -> None:
        """Reboot after a delay that lets the answer to the request be sent."""
        self._switching = self._reactor.callLater(TELLING_SECONDS, self.reboot, seconds)

    def reboot(self, seconds: float) -> None:
        """Switch off, and on again after so many seconds, also while a former reboot has not ended."""
        if self._booting is not None:
            self._booting.cancel()
        self.device.forget()
        self.target.switched_off()
        self.soap.stop()
        self.troubles.silent = False
        port, self._port = self._port, None
        if port is not None:
            closing = port.stopListening()
            self._site.abort()
            if closing is not None:
                closing.addErrback(lambda failure: self.logger.failure("Switching off failed", failure))
        self._booting = self._reactor.callLater(seconds, self._listen)

    async def _stop(self) -> None:
        if self._discovery is not None:
            await self._discovery.stopService()
        self.device.stop()
        self.soap.stop()
        for call in (self._booting, self._switching):
            if call is not None and call.active():
                call.cancel()
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        self._site.abort()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())
