"""What `wsdgateway scan` shows while it runs: a line that changes on a terminal, a line for each page elsewhere."""

from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan.outcomes import plain
from wsdgateway.scan.jobstatus import JobStatus


class Progress:
    """Shows pages, bytes and the job's state on `console`, and writes the names of files to `out`, a line each.

    Text never holds markup or control characters.
    """

    def __init__(self, console: Console, out: TextIO) -> None:
        self._console = console
        self._out = out
        self._line = Spinner("dots")
        self._moving: Live | None = None
        self._page = self._size = 0
        self._state = ""
        self._said = ""

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._line.update(text=Text("asking the scanner"))
            # Redirected, what goes to stdout would end on the console, out of the reach of `$(wsdgateway scan …)`.
            self._moving = Live(self._line, console=self._console, transient=True, redirect_stdout=False,
                                redirect_stderr=False)
            self._moving.start()
        return self

    def __exit__(self, *_: object) -> None:
        moving, self._moving = self._moving, None
        if moving is not None:
            moving.stop()

    def appeared(self, path: Path) -> None:
        """A file is there."""
        if self._moving is not None:
            self._moving.stop()  # the line of both may be on one terminal
        with suppress(OSError):  # whoever reads the names has gone; the scan goes on
            print(path, file=self._out, flush=True)
        if self._moving is not None:
            self._moving.start()

    def say(self, line: str) -> None:
        """A line that stays; the same one twice in a row is said once."""
        if line != self._said:
            self._said = line
            self._console.print(Text(printable(line)), soft_wrap=True)

    def began(self, page: int) -> None:
        """A page is asked for."""
        self._page, self._size = page, 0
        self._show()

    def received(self, size: int) -> None:
        """So many bytes of the page are here."""
        self._size = size
        self._show()

    def kept(self, page: int, size: int) -> None:
        """A page is whole."""
        self.say(f"page {page}: {size} bytes")

    def told(self, status: JobStatus) -> None:
        """The job's state, as the scanner or the gateway tells it."""
        reasons = ", ".join(reason for reason in status.reasons if reason != "None")
        state = plain(f"{status.state}: {reasons}" if reasons else status.state)
        if self._moving is None and state != self._state:
            self.say(f"job {plain(status.job_id)}: {state}")
        self._state = state
        self._show()

    def _show(self) -> None:
        if self._moving is not None:
            state = f", {self._state}" if self._state else ""
            self._line.update(text=Text(f"page {self._page}, {_amount(self._size)}{state}"))


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
