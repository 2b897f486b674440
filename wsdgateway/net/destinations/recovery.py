"""Finishes the scans that a crash has interrupted: their complete pages become files, everything else is deleted.

So it does with scans that could not be finished because the disk was full, or the folder was away for a while.

Only scans of destinations in the configuration are found. A scan that another gateway is running in the same folder is
locked, and is left alone.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from wsdgateway.metrics import FAILED
from wsdgateway.net.destinations.folder import ScanFolder, scans_in
from wsdgateway.net.destinations.scanfiles import ScanFiles
from wsdgateway.net.destinations.shared import SharedDestinations

_T = TypeVar("_T")
log = Logger()


async def finish_interrupted(shared: SharedDestinations, folders: Iterable[Path]) -> None:
    """Finish the interrupted scans in these folders. A folder or scan that makes trouble is logged; others go on."""
    for folder in dict.fromkeys(folders):
        shared.unfinished.discard(folder)
        try:
            found = await _in_thread(shared, scans_in, folder)
        except OSError as error:
            _report(shared, folder, error)
            continue
        for scan_id in found:
            if scan_id in shared.running:
                continue
            try:
                await _finish(shared, ScanFolder(folder, scan_id))
            except OSError as error:
                _report(shared, folder, error)


def _report(shared: SharedDestinations, folder: Path, error: OSError) -> None:
    shared.unfinished.add(folder)
    log.warn("{folder}: a scan that was interrupted cannot be finished: {problem}", folder=str(folder),
             problem=error.strerror or str(error))


async def _finish(shared: SharedDestinations, folder: ScanFolder) -> None:
    shared.running.add(folder.scan_id)
    try:
        record = await _in_thread(shared, folder.take_over)
        if record is None and not folder.is_taken and await _in_thread(shared, folder.is_running):
            return
        if record is None:
            await _in_thread(shared, folder.end)
            return
        files = ScanFiles(shared, folder, record)
        for number, page in await _in_thread(shared, folder.kept):
            await files.add(number, page)
        await files.finish()
        shared.metrics.destination_files(record.destination, FAILED)
        log.warn("{folder}: a scan from {scanner} to {destination} was interrupted, because the gateway ended during "
                 "it: {pages} complete page(s) are kept, in {files} file(s)", folder=str(folder.folder),
                 scanner=record.scanner, destination=record.destination, pages=files.pages, files=files.files)
    finally:
        folder.leave()
        shared.running.discard(folder.scan_id)


async def _in_thread(shared: SharedDestinations, function: Callable[..., _T], *arguments: Any) -> _T:
    return await deferToThreadPool(shared.reactor, shared.reactor.getThreadPool(), function, *arguments)
