"""A process that converts pages: reads requests from its standard input, and answers each on its standard output.

`net.conversion` starts it. A request is a line of JSON, `[name, arguments]`, with the name of one of `CALLS`. The
answer is a line, too: `["done", result]`, `["unconvertible", why]` or `["failed", errno, why]`. The process ends as
soon as its input does, so that it does not outlive a gateway that was killed. It ignores the signals that a terminal or
systemd sends to all processes of the service, because the gateway ends it.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from wsdgateway.conversion.documents import join
from wsdgateway.conversion.images import convert, size_of
from wsdgateway.conversion.kinds import Unconvertible

MAX_MEMORY = 1 << 30  # bytes of address space: a page of MAX_PIXELS in color takes 600 MB
NICENESS = 10  # conversions give way to the gateway
CALLS: dict[str, Callable[..., Any]] = {
    "convert": lambda source, target, *rest: convert(Path(source), Path(target), *rest),
    "join": lambda sources, target, *rest: list(join(list(map(Path, sources)), Path(target), *rest).items()),
    "size_of": lambda source: size_of(Path(source)),
}


def answer(line: bytes) -> list[Any]:
    """The answer to a request."""
    name, arguments = json.loads(line)
    try:
        return ["done", CALLS[name](*arguments)]
    except Unconvertible as error:
        return ["unconvertible", str(error)]
    except OSError as error:
        return ["failed", error.errno, error.strerror or str(error)]


def main() -> None:
    """Answer requests until the input ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would contain the page
    with suppress(OSError):
        os.nice(NICENESS)
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    Thread(target=read, daemon=True).start()
    while True:
        print(json.dumps(answer(lines.get())), flush=True)


if __name__ == "__main__":
    main()
