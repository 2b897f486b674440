"""The parts that the destinations of all scanners share: spool, conversion, uploads, metrics, and the last files."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.config.sections import Destination
from wsdgateway.metrics import OK, Metrics
from wsdgateway.net.conversion import Converter
from wsdgateway.net.destinations.after import IAfterScan, WrittenFile
from wsdgateway.storage.spool import Spool

MAX_LAST = 10  # files of a destination that are remembered, for people


@attrs.frozen
class LastFile:
    """A file that was written: its name, the scanner, the number of pages, and the time in seconds since 1970."""

    name: str
    scanner: str
    pages: int
    time: float


@attrs.define(eq=False)
class SharedDestinations:
    """The destinations of the configuration, and what their scans share.

    `gateway` distinguishes the ClientContexts from those of other gateways. Relative folders are below `base`. `new_id`
    makes names of scans and jobs, which cannot be guessed; `wall` gives seconds since 1970. `running` has the ids of
    scans that run, and `unfinished` the folders that hold files of scans that could not be finished, because the disk
    was full or the folder was away.
    """

    reactor: Any
    gateway: str
    base: Path
    spool: Spool
    room: Room
    converter: Converter
    after: IAfterScan
    metrics: Metrics
    wall: Callable[[], float]
    new_id: Callable[[], str]
    destinations: tuple[Destination, ...] = ()
    last: dict[str, deque[LastFile]] = attrs.field(factory=dict)
    running: set[str] = attrs.field(factory=set)
    unfinished: set[Path] = attrs.field(factory=set)

    def on_panel(self, scanner: str) -> tuple[Destination, ...]:
        """The destinations on the panel of a scanner."""
        return tuple(one for one in self.destinations if one.is_for(scanner))

    def folder_of(self, destination: Destination) -> Path:
        """The folder in which the files of a destination are written."""
        return (self.after.upload_folder(destination.name) if destination.folder is None
                else self.base / destination.folder)

    def configure(self, destinations: tuple[Destination, ...]) -> None:
        """Use these destinations for further presses."""
        self.destinations = destinations
        names = {one.name for one in destinations}
        self.last = {name: files for name, files in self.last.items() if name in names}
        for name in names:
            self.metrics.begin_destination(name)

    def written(self, file: WrittenFile) -> None:
        """Count a file, remember it, and have it uploaded or passed to the command."""
        self.metrics.destination_files(file.destination, OK)
        self.last.setdefault(file.destination, deque(maxlen=MAX_LAST)).appendleft(
            LastFile(file.path.name, file.scanner, file.pages, self.wall()))
        self.after.written(file)
