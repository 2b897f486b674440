"""A local socket on which `wsdgateway reload` reaches the gateway that systemd runs, whatever its admin site needs.

It is `control.sock` in `$RUNTIME_DIRECTORY`. Only the gateway's own user and root can connect to it, and both can read
the configuration; so neither a token nor a certificate is asked for. It answers `POST /api/reload`, as the admin site
does.
"""

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.web.server import Request, Site

from wsdgateway.admin.reloading import Reload, reload_resource
from wsdgateway.admin.resources import TEXT, Folder, Said
from wsdgateway.program import control_socket

IDLE_SECONDS = 60


class _Request(Request):
    """A request whose body is not kept."""

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        pass


class ControlSite(Site):
    """The factory of the connections to the socket."""

    noisy = False

    def log(self, request: Any) -> None:
        """Log nothing: the gateway logs each reload itself."""


class ControlSocket:
    """The socket; it does nothing without `$RUNTIME_DIRECTORY`."""

    log = Logger()

    def __init__(self, reactor: Any, environment: Mapping[str, str], reload: Reload) -> None:
        self._reactor = reactor
        self._path = control_socket(environment)
        self._reload = reload
        self._port: IListeningPort | None = None

    def start(self) -> None:
        """Open the socket; a failure is logged, and leaves the admin site for reloads."""
        if self._path is None:
            return
        if not self._path.parent.is_dir():
            self._remark("the folder does not exist")
            return
        missing = Said(TEXT, _missing)
        root, api = Folder(missing), Folder(missing)
        root.putChild(b"api", api)
        api.putChild(b"reload", reload_resource(self._reload))
        site = ControlSite(root, requestFactory=_Request, reactor=self._reactor)
        site.timeOut = IDLE_SECONDS
        try:
            self._path.unlink(missing_ok=True)  # left by a gateway that was killed
            mask = os.umask(0o177)
            try:
                self._port = self._reactor.listenUNIX(str(self._path), site, mode=0o600)
            finally:
                os.umask(mask)
        except (OSError, CannotListenError) as error:
            self._remark(str(error))

    def _remark(self, why: str) -> None:
        self.log.warn("{path}: the socket cannot be opened, so wsdgateway reload needs the URL of the admin site: "
                      "{why}", path=str(self._path), why=why)

    async def stop(self) -> None:
        """Close the socket."""
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)


async def _missing(request: Any) -> bytes:
    request.setResponseCode(404)
    return b"This socket answers POST /api/reload only.\n"
