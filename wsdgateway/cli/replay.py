"""The subcommand `wsdgateway replay`: serves a captured scanner as a virtual device, until Ctrl-C."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from wsdgateway.cli.arguments import between, server_endpoint
from wsdgateway.cli.errors import CommandError
from wsdgateway.cli.printing import printable
from wsdgateway.exchangelog.folder import CaptureError, read_folder
from wsdgateway.net.transport.clock import keep_time
from wsdgateway.replay.recording import Recording, read_recording
from wsdgateway.replay.service import LOOPBACK, ReplayedScanner


class ReplayError(CommandError):
    """The folder cannot be replayed; the text says why."""


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("replay", help="serve captures of a scanner as a virtual scanner")
    parser.add_argument("folder", metavar="DIR", help="folder given by [exchange_log] capture")
    parser.add_argument("--scanner", metavar="NAME", help="name of the scanner, if the captures are of several")
    parser.add_argument("--speed", type=between(float, 0.01, 10000, "factor"), default=1.0, metavar="FACTOR",
                        help="speed factor; default: 1")
    parser.add_argument("--endpoint", type=server_endpoint, default=LOOPBACK, metavar="ENDPOINT",
                        help=f"endpoint to listen on; default: {LOOPBACK}")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the captured scanner until Ctrl-C. Raises `ReplayError`."""
    replay(options.folder, scanner=options.scanner, endpoint=options.endpoint, speed=options.speed,
           say=lambda line: print(printable(line), flush=True))
    return 0


def _read(folder: str, scanner: str | None) -> Recording:
    try:
        return read_recording(read_folder(Path(folder)), scanner)
    except CaptureError as error:
        raise ReplayError(str(error)) from None


def replay(folder: str, *, scanner: str | None, endpoint: str, speed: float, say: Callable[[str], None]) -> None:
    """Serve the scanner captured in a folder until Ctrl-C. Raises `ReplayError`."""
    recording = _read(folder, scanner)
    say(f"{recording.scanner}: {len(recording.exchanges)} answers and {len(recording.events)} events; press Ctrl-C "
        "to stop")
    problems: list[str] = []

    async def serve(reactor: Any) -> None:
        keep_time(reactor)
        tried: Deferred[None] = Deferred()
        service = ReplayedScanner(reactor, recording, endpoint=endpoint, speed=speed, say=say,
                                  on_try=lambda: None if tried.called else tried.callback(None))
        service.startService()
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        await tried
        if service.problem:
            problems.append(f"cannot listen at {endpoint}: {service.problem}; give another one with --endpoint")
            return
        for name, url in service.urls().items():
            say(f"{name:7} {url}")
        await Deferred()  # until the reactor stops

    try:
        react(lambda reactor: Deferred.fromCoroutine(serve(reactor)))
    except SystemExit:
        if problems:
            raise ReplayError(problems[0]) from None
