"""`wsdgateway replay`: a captured scanner as a virtual device, until Ctrl-C."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from wsdgateway.exchangelog.folder import CaptureError, read_folder
from wsdgateway.replay.recording import Recording, read_recording
from wsdgateway.replay.service import ReplayedScanner


class ReplayError(Exception):
    """The folder can't be replayed; the text says why."""


def _read(folder: str, scanner: str | None) -> Recording:
    try:
        return read_recording(read_folder(Path(folder)), scanner)
    except CaptureError as error:
        raise ReplayError(str(error)) from None


def replay(folder: str, *, scanner: str | None, endpoint: str, speed: float, say: Callable[[str], None]) -> None:
    """Serve what was captured in a folder, until Ctrl-C. Raises `ReplayError`."""
    recording = _read(folder, scanner)
    say(f"{recording.scanner}: {len(recording.exchanges)} answers and {len(recording.events)} events; Ctrl-C ends it")
    problems: list[str] = []

    async def serve(reactor: Any) -> None:
        tried: Deferred[None] = Deferred()
        service = ReplayedScanner(reactor, recording, endpoint=endpoint, speed=speed, say=say,
                                  on_try=lambda: None if tried.called else tried.callback(None))
        service.startService()
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        await tried
        if service.problem:
            problems.append(f"can't listen at {endpoint}: {service.problem}")
            return
        for name, url in service.urls().items():
            say(f"{name:7} {url}")
        await Deferred()  # until the reactor stops

    try:
        react(lambda reactor: Deferred.fromCoroutine(serve(reactor)))
    except SystemExit:
        if problems:
            raise ReplayError(problems[0]) from None
