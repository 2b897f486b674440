"""Captures: exchanges as they were on the wire, recorded by `exchangelog.tape` into files of `exchangelog.folder`."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from wsdgateway.exchangelog.background import MAX_QUEUED, Background
from wsdgateway.exchangelog.folder import CaptureFolder, capture_name
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.exchangelog.tape import Tape


class Captures:
    """Captures the exchanges of this run. `count` is called with an outcome and a number.

    `numbers` supplies the numbers of exchanges. With `is_first`, unfinished files of an earlier run are removed. At
    most `most` bytes wait to be written.
    """

    def __init__(self, reactor: Any, folder: Path, *, masks: Masks, images: bool, budget: int,
                 count: Callable[[str, int], None], numbers: Iterator[int], is_first: bool,
                 most: int = MAX_QUEUED) -> None:
        self._masks = masks
        self._images = images
        self._numbers = numbers
        self._folder = CaptureFolder(folder, budget, is_first=is_first)
        self._background = Background(reactor, f"[exchange_log] capture = {folder}", count, most)

    def begin(self) -> Tape:
        """Starts the recording of an exchange."""
        return Tape(self, next(self._numbers), self._masks, images=self._images)

    def spill(self, tape: Tape, suffix: str, data: bytes) -> None:
        """Appends a piece of an answer that is not kept in memory."""
        if not tape.lost and not self._background.put(
                partial(self._append, tape, suffix, data), len(data), 0):
            tape.lost = "the disk is too slow"

    def _append(self, tape: Tape, suffix: str, data: bytes) -> None:
        """Appends to the file; runs in a thread."""
        if not tape.lost:
            try:
                self._folder.append(f"{tape.key}.{suffix}", data, begins=suffix not in tape.begun)
                tape.begun.add(suffix)
            except OSError as error:
                tape.lost = error.strerror or str(error)

    def end(self, tape: Tape, began: float, took: float, scanner: str | None, operation: str) -> str | None:
        """Ends the recording of an exchange. Returns the name that its files begin with, or None if it is not kept.

        `began` is in seconds since 1970, `took` in seconds.
        """
        name = capture_name(began, tape.key, scanner, operation, took)
        kept = self._background.put(
            partial(self._finish, tape, name), tape.size, 1)
        if not kept:
            self._background.put(partial(self._folder.drop, str(tape.key)), 0, 0)
        return name if kept else None

    def _finish(self, tape: Tape, name: str) -> None:
        """Masks and writes the files; runs in a thread, because masking takes time."""
        if tape.lost:
            self._folder.drop(str(tape.key))
            raise OSError(tape.lost)
        self._folder.finish(str(tape.key), name, tape.messages())

    def stop(self) -> Deferred[None]:
        """Fires when everything is written."""
        return self._background.stop()
