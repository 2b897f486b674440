"""Reads what gateways share beside the scanners' own data: InstanceIds, adopted scanners, and assigned eSCL ports."""

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from wsdgateway.app.appsequences import Instances
from wsdgateway.app.batched import Batched
from wsdgateway.app.discovery import DiscoveryService
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.storage.store import Unreadable


class Synchronization:
    """Reads what gateways share: before a takeover (`prepare`) or a Bye (`withdraw`), and regularly (`synchronize`).

    `scanners` are those that this gateway bridges. `refresh_ports` reads the eSCL ports.
    """

    log = Logger()

    def __init__(self, instances: Instances, discovery: DiscoveryService, scanners: Sequence[BridgedScanner],
                 refresh_ports: Callable[[], Awaitable[None]]) -> None:
        self._instances = instances
        self._discovery = discovery
        self._scanners = scanners
        self._refresh_ports = refresh_ports
        self._draw_for_all, self._refresh_for_all = Batched(instances.draw), Batched(refresh_ports)

    async def prepare(self, name: str) -> None:
        """Get ready for a scanner whose former owner may have announced it, and assigned its eSCL port."""
        try:
            await self._draw_for_all()
            self._instances.begin(name)
            await self._refresh_for_all()
        except Unreadable as error:  # like the scanner's own data: it is served all the same
            self.log.error("What the gateways share cannot be read: {error}", error=str(error))

    async def withdraw(self, scanner: BridgedScanner) -> None:
        """Send Bye for a scanner that another gateway may have announced, since no gateway serves it any more.

        Without an InstanceId nothing is sent, since clients would ignore it.
        """
        try:
            await self._draw_for_all()
        except Unreadable as error:
            self.log.error("What the gateways share cannot be read: {error}", error=str(error))
            return
        if self._instances.begin(scanner.name):
            self._discovery.withdraw(scanner)

    async def synchronize(self) -> None:
        """Read what other gateways have adopted, and the ports that they have assigned."""
        await self._end_silence()
        await self._discovery.adopted.synchronize()
        await self._refresh_ports()

    async def _end_silence(self) -> None:
        """Announce the scanners for which no InstanceId could be drawn when they were taken over."""
        has = self._instances.sequences.has
        if all(has(scanner.name) for scanner in self._scanners):
            return
        await self._draw_for_all()
        for scanner in self._scanners:
            if not has(scanner.name) and self._instances.begin(scanner.name):
                self._discovery.changed(scanner.name)
