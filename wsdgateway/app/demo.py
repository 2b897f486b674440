"""`--demo`: a virtual scanner on loopback with a gateway in front of it; needs no file, network or scanner."""

import socket
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.app.service import GatewayService
from wsdgateway.config.sections import Admin, Config, Destination, Escl, Gateway, Listen, ScannerConfig
from wsdgateway.program import command
from wsdgateway.simulator.conditions import LAMP_WARMING
from wsdgateway.simulator.service import VirtualScanner
from wsdgateway.simulator.settings import Settings

LOOPBACK = "tcp:0:interface=127.0.0.1"
DESTINATION = "Demo folder"
WARM_UP = 1.0  # seconds
LOOK_SECONDS = 0.1


def free_port() -> int:
    """A TCP port on loopback that is not in use at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo(MultiService):
    """Starts the scanner, then the gateway, and prints their URLs."""

    logger = Logger()

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor
        self.scanner = VirtualScanner(reactor, Settings(endpoint=LOOPBACK), wall=time.time)
        self.scanner.setServiceParent(self)
        self.gateway: GatewayService | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._looking: Any = None

    def startService(self) -> None:
        super().startService()
        self.scanner.listening.addCallback(lambda _: self._start_gateway())
        self.scanner.listening.addErrback(lambda failure: self.logger.failure("Starting the demo failed", failure))

    def _start_gateway(self) -> None:
        port = free_port()
        self._folder = TemporaryDirectory(prefix="wsdgateway-demo-")
        config = Config(
            escl=Escl(range(port, port + 1), spool=str(Path(self._folder.name) / "spool")),
            folder=Path.cwd(), listen=(Listen(LOOPBACK),), gateway=Gateway("demo", "memory:"),
            scanner=(ScannerConfig("demo", device=self.scanner.device_url),), admin=Admin(LOOPBACK),
            destination=(Destination(DESTINATION, folder=str(self._files)),))
        self._files.mkdir()
        self.gateway = GatewayService(self._reactor, config)
        self.gateway.overview.panel_url = f"{self.scanner.base}/control/"
        self.gateway.setServiceParent(self)
        opened = gatherResults([listener.opened for listener in (*self.gateway.listeners, self.gateway.admin)])
        opened.addCallback(lambda _: self._print_urls())
        opened.addErrback(lambda failure: self.logger.failure("Printing the addresses of the demo failed", failure))
        self._looking = self._reactor.callLater(LOOK_SECONDS, self._warm_up)

    @property
    def _files(self) -> Path:
        """The folder of the demo's destination."""
        assert self._folder is not None
        return Path(self._folder.name) / "scans"

    def _warm_up(self) -> None:
        """Warm the scanner's lamp up once the gateway is subscribed.

        The events tell the gateway a state to show; it asks for the state only while a scanner reports trouble.
        """
        if any(not one.destinations for one in self.scanner.device.subscribers.held.values()):
            self.scanner.device.begin(LAMP_WARMING, WARM_UP)
        else:
            self._looking = self._reactor.callLater(LOOK_SECONDS, self._warm_up)

    def _print_urls(self) -> None:
        assert self.gateway is not None
        (host, port), (admin_host, admin_port) = (
            listener.address or ("", 0) for listener in (self.gateway.listeners[0], self.gateway.admin))
        url = f"http://{host}:{port}/demo/scan"
        # twistd redirects sys.stdout to its log; these lines are for copying.
        print(f"\nVirtual scanner  {self.scanner.scan_url}\n"
              f"Its panel        {self.scanner.base}/control/\n"
              f"Gateway          {url}\n"
              f"Admin site       http://{admin_host}:{admin_port}/\n\n"
              f"To scan a page through the gateway, run:\n\n    {command()} scan {url} -o page.jpg\n\n"
              f"To scan it by eSCL, as phones and Macs do, run:\n\n    {command()} scan {self._escl()} -o page.pdf\n\n"
              f"To scan from its panel into {self._files}, open the panel in a browser, or run:\n\n"
              f"    curl -X POST {self.scanner.base}/control/press\n\n"
              f"To jam the scanner (/control/clear undoes it), run:\n\n"
              f"    curl -X POST {self.scanner.base}/control/jam\n",
              file=sys.__stdout__, flush=True)

    def _escl(self) -> str:
        """The address of the scanner for eSCL clients, on a port of its own if that is open already."""
        assert self.gateway is not None
        host, port = self.gateway.listeners[0].address or ("", 0)
        return self.gateway.escl_ports.url("demo") or f"http://{host}:{port}/demo/eSCL"

    def stopService(self) -> Deferred[None]:
        self.running = False
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._looking is not None and self._looking.active():
            self._looking.cancel()
        if self.gateway is not None:
            await self.gateway.stopService()
        await self.scanner.stopService()
        if self._folder is not None:
            self._folder.cleanup()
