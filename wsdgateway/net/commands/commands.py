"""Commands after a scan: a few run at once, the others wait; output and exit status go to the log."""

import re
import signal
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.net.commands.output import Output
from wsdgateway.net.commands.process import Ended, Process, run_process
from wsdgateway.net.destinations.after import WrittenFile
from wsdgateway.net.transport.tasks import Tasks

MAX_AT_ONCE = 4
MAX_WAITING = 1000  # commands
_PLACEHOLDER = re.compile(r"\{(path|scanner|destination|pages)\}")


@attrs.frozen
class Command:
    """The command of a destination: program and arguments, and its time limit in seconds."""

    arguments: tuple[str, ...]
    timeout: float


def arguments_for(command: Command, file: WrittenFile) -> tuple[str, ...]:
    """Returns the program, and its arguments with their placeholders replaced."""
    values = {"path": str(file.path), "scanner": file.scanner, "destination": file.destination,
              "pages": str(file.pages)}
    program, *arguments = command.arguments
    return program, *(_PLACEHOLDER.sub(lambda found: values[found[1]], one) for one in arguments)


class Commands:
    """The running and waiting commands; `failed` is called with the destination of each that fails or is given up."""

    log = Logger()

    def __init__(self, reactor: Any, failed: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._failed = failed
        self._waiting: deque[tuple[Command, WrittenFile]] = deque()
        self._count = 0
        self._processes: set[Process] = set()
        self._tasks = Tasks("Running a command failed")
        self._stopping = False

    def run(self, command: Command, file: WrittenFile) -> None:
        """Run a command for a file, at once or when its turn comes."""
        if self._stopping or len(self._waiting) >= MAX_WAITING:
            self._give_up(file, "the gateway stops" if self._stopping else f"{MAX_WAITING} commands wait")
            return
        self._waiting.append((command, file))
        self._next()

    def _give_up(self, file: WrittenFile, reason: str) -> None:
        self._failed(file.destination)
        self.log.error("{destination}: the command is not run for {path}, because {reason}",
                       destination=file.destination, path=str(file.path), reason=reason)

    def _next(self) -> None:
        while self._waiting and self._count < MAX_AT_ONCE and not self._stopping:
            self._count += 1
            self._tasks.run(self._run(*self._waiting.popleft()))

    async def _run(self, command: Command, file: WrittenFile) -> None:
        output = Output(lambda stream, line: self.log.info(
            "{destination}: command ({stream}): {line}", destination=file.destination, stream=stream, line=line))
        program, *arguments = arguments_for(command, file)
        processes: list[Process] = []

        def started(process: Process) -> None:
            processes.append(process)
            self._processes.add(process)
            if self._stopping:
                process.terminate()

        try:
            ended = await run_process(self._reactor, [program, *arguments], command.timeout, output.received, started)
        except (OSError, ValueError) as error:  # not found, not executable; an argument that no process can get
            self._failed(file.destination)
            problem = error.strerror if isinstance(error, OSError) else str(error)
            self.log.error("{destination}: the command for {path} cannot be run: {program}: {problem}",
                           destination=file.destination, path=str(file.path), program=program, problem=problem)
        else:
            output.ended()
            self._report(ended, output.left_out, command, file)
        finally:
            self._processes.difference_update(processes)
            self._count -= 1
            self._next()

    def _report(self, ended: Ended, left_out: int, command: Command, file: WrittenFile) -> None:
        if left_out:
            self.log.info("{destination}: command: {count} more lines are left out", destination=file.destination,
                          count=left_out)
        if ended.status == 0 and not ended.timed_out:
            self.log.info("{destination}: the command for {path} has ended", destination=file.destination,
                          path=str(file.path))
            return
        self._failed(file.destination)
        self.log.error("{destination}: the command for {path} {end}", destination=file.destination, path=str(file.path),
                       end=_end(ended, command.timeout, is_stop=self._stopping))

    async def stop(self) -> None:
        """End the running commands, and give up those that wait."""
        self._stopping = True
        for _, file in self._waiting:
            self._give_up(file, "the gateway stops")
        self._waiting.clear()
        for process in list(self._processes):
            process.terminate()
        idle: Deferred[None] = self._tasks.idle()
        await idle


def _end(ended: Ended, timeout: float, *, is_stop: bool) -> str:
    if ended.timed_out:
        return f"was ended, because it took more than command_timeout = {timeout:g} s"
    if ended.status < 0:
        name = signal.Signals(-ended.status).name if -ended.status in set(signal.Signals) else str(-ended.status)
        return f"was ended by {name}" + (", because the gateway stops" if is_stop else "")
    return f"failed with exit status {ended.status}"
