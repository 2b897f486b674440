"""Uploads each file of a scan from the panel, and runs the command for it, as its destination says.

Implements `net.destinations.after.IAfterScan`.
"""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.uploads.queue import Limits
from wsdgateway.config.sections import Config, Destination
from wsdgateway.metrics import FAILED, Metrics
from wsdgateway.net.commands.commands import Command, Commands
from wsdgateway.net.destinations.after import WrittenFile
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.net.uploads.request import Sender, Target
from wsdgateway.net.uploads.uploads import Uploads
from wsdgateway.storage.store import StoreError
from wsdgateway.storage.uploads import Found, UploadFolder


class UploadsUnusable(Exception):
    """The folder of the upload queue cannot be used; the text says why."""


class AfterScan:
    """Uploads and commands of all destinations, from `open` and `start` to `stop`.

    `failed` is called with the name of the destination for each upload or command that is given up. `trust` verifies
    the certificates of upload servers; default: the authorities of the system.
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Config, clock: SteadyClock, failed: Callable[[str], None], *,
                 trust: Any = None) -> None:
        self._reactor = reactor
        self._config = config
        self._clock = clock
        self._failed = failed
        self._sender = Sender(reactor, clock.wall, trust)
        self._commands = Commands(reactor, failed)
        self._uploads: Uploads | None = None
        self._found: Found | None = None
        self._problem = ""

    def open(self) -> None:
        """Read the upload queue. Raises `UploadsUnusable`.

        Without a destination that uploads, the queue is opened only if an earlier start has left one that can be used.
        """
        folder = UploadFolder(self._config.upload_folder)
        if self._uploads is not None or not (self._has_uploads() or folder.exists()):
            return
        try:
            self._found = folder.open()
        except StoreError as error:
            self._problem = str(error)
            if self._has_uploads():
                raise UploadsUnusable(self._problem) from None
            return
        self._uploads = Uploads(self._reactor, folder, self._limits(), self.target_of, self._sender.send, self._clock,
                                lambda: uuid.uuid4().hex, self._failed)

    def start(self) -> None:
        """Begin to send what waits."""
        found, self._found = self._found, None
        if self._uploads is not None and found is not None:
            self._uploads.start(found)

    def configure(self, config: Config) -> None:
        """Use another configuration; new upload servers and header files count from the next request on."""
        self._config = config
        if self._uploads is not None:
            self._uploads.configure(self._limits(), self.target_of)
            return
        try:
            self.open()
            self.start()
        except UploadsUnusable as problem:
            self.log.error("Nothing is uploaded: {problem}", problem=str(problem))

    def _has_uploads(self) -> bool:
        return any(one.upload is not None for one in self._config.destination)

    def _limits(self) -> Limits:
        return Limits(self._config.uploads.size, self._config.uploads.age)

    def _section(self, destination: str, scanner: str) -> Destination | None:
        return next((one for one in self._config.destination if one.name == destination and one.is_for(scanner)), None)

    def target_of(self, destination: str, scanner: str) -> Target | None:
        """Return the upload server for a scanner's destination, None without one.

        With "" for the scanner, it is the server of every destination with that name, None if they differ.
        """
        if not scanner:
            targets = {self._target(one) for one in self._config.destination if one.name == destination}
            return targets.pop() if len(targets) == 1 else None
        section = self._section(destination, scanner)
        return None if section is None else self._target(section)

    def _target(self, section: Destination) -> Target | None:
        if section.upload is None:
            return None
        header = section.upload_header_file
        return Target(section.upload, section.upload_field, None if header is None else self._config.folder / header)

    # IAfterScan.

    def refusal(self, destination: str) -> str | None:
        """Return why a scan must be refused before CreateScanJob, as a clause, or None."""
        if not any(one.upload is not None for one in self._config.destination if one.name == destination):
            return None
        if self._uploads is None:
            return f"nothing can be uploaded: {self._problem}"
        refusal = self._uploads.refusal()
        return None if refusal is None else (
            f"{refusal}; see to it that the upload server accepts files, remove those in "
            "failed/, or raise the size")

    def upload_folder(self, destination: str) -> Path:
        """Return the folder for files of a destination without `folder`. Raises `OSError`."""
        if self._uploads is None:
            raise OSError(f"nothing can be uploaded: {self._problem}")
        return self._uploads.folder.scan_folder(destination)

    def written(self, file: WrittenFile) -> None:
        """Upload a file and run the command for it, as its destination says; returns at once.

        The command begins when the upload queue has its own copy, so that it may move or delete the file.
        """
        section = self._section(file.destination, file.scanner)
        taken: Deferred[None] | None = None
        # A file without another folder waits for its server, also if a reload has removed that meanwhile.
        if self._uploads is not None and (self._uploads.folder.is_incoming(file.path) or (
                section is not None and section.upload is not None)):
            taken = self._uploads.put(file.path, file.scanner, file.destination, file.pages)
        if section is None or not section.command:
            return
        command = Command(section.command, section.command_timeout)
        if taken is None:
            self._commands.run(command, file)
        else:
            taken.addCallback(lambda _: self._commands.run(command, file))

    @property
    def uploads(self) -> Uploads | None:
        """The upload queue; None while nothing uses it."""
        return self._uploads

    def waiting(self, destination: str) -> int:
        """The number of files of a destination that have not been uploaded yet."""
        return 0 if self._uploads is None else self._uploads.waiting(destination)

    async def stop(self) -> None:
        """End running uploads and commands; queued files are kept for the next start."""
        uploads = self._uploads
        stopping = Deferred.fromCoroutine(self._commands.stop())
        if uploads is not None:
            await uploads.stop()
        await stopping


def open_after_scan(reactor: Any, config: Config, metrics: Metrics, clock: SteadyClock) -> AfterScan:
    """Return uploads and commands for a configuration, to be started. Raises `UploadsUnusable`."""
    after = AfterScan(reactor, config, clock, lambda destination: metrics.destination_files(destination, FAILED))
    after.open()
    return after
