"""The gateway's own destinations on panels: what their scans share, and the scans that a crash has interrupted."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.config.sections import Config, Destination
from wsdgateway.metrics import Metrics
from wsdgateway.net.conversion import Converter
from wsdgateway.net.destinations.after import IAfterScan
from wsdgateway.net.destinations.recovery import finish_interrupted
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.spool import Spool


def _identity(config: Config) -> str:
    """The text that ClientContexts are made of: the address at which scanners notify the gateway, or its name.

    Gateways that share that address show the same contexts, so that each can go on with what another has registered.
    """
    return config.events.address or config.gateway.name


class Destinations:
    """The destinations of the configuration. `shared` is for the bridged scanners."""

    log = Logger()

    def __init__(self, reactor: Any, config: Config, spool: Spool, room: Room, metrics: Metrics, after: IAfterScan,
                 wall: Callable[[], float]) -> None:
        self._tasks = Tasks("Finishing scans that were interrupted failed")
        self._finished: set[Path] = set()
        self._started = False
        self.shared = SharedDestinations(
            reactor, _identity(config), config.folder, spool, room, Converter(reactor),
            after, metrics, wall, lambda: str(uuid.uuid4()))
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Use the destinations of another configuration."""
        self.shared.gateway = _identity(config)
        self.shared.configure(config.destination)
        if self._started:
            self._finish_interrupted()

    def start(self) -> None:
        """Finish the scans that a crash has interrupted, in the background."""
        self._started = True
        self._finish_interrupted()

    def _finish_interrupted(self) -> None:
        folders = {self._folder_of(one) for one in self.shared.destinations} - {None} - (
            self._finished - self.shared.unfinished)
        found = [folder for folder in folders if folder is not None]
        self._finished.update(found)
        if found:
            self._tasks.run(finish_interrupted(self.shared, sorted(found)))

    def _folder_of(self, destination: Destination) -> Path | None:
        try:
            return self.shared.folder_of(destination)
        except OSError:
            return None

    def idle(self) -> Deferred[None]:
        """Fires when interrupted scans have been finished."""
        return self._tasks.idle()

    async def stop(self) -> None:
        """Stop. Scans that are not finished are finished after the next start."""
        self._tasks.cancel()
        await self.shared.after.stop()
