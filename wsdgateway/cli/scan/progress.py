"""Shows the progress of `wsdgateway scan`: a changing line on a terminal, else a line for each page."""

from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan.outcomes import plain
from wsdgateway.scan.conditions import in_words, listed
from wsdgateway.scan.jobstatus import JobStatus


class Progress:
    """Shows pages, bytes, waits and the job's state on `console`, and writes a line for each file to `out`.

    Output never contains markup or control characters from texts.
    """

    def __init__(self, console: Console, out: TextIO) -> None:
        self._console = console
        self._out = out
        self._line = Spinner("dots")
        self._moving: Live | None = None
        self._page = self._size = 0
        self._state = ""
        self._said = ""
        self._waited = False

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._line.update(text=Text("connecting to the scanner"))
            # If redirected, stdout would end up on the console, and `$(wsdgateway scan …)` would be empty.
            self._moving = Live(self._line, console=self._console, transient=True, redirect_stdout=False,
                                redirect_stderr=False)
            self._moving.start()
        return self

    def __exit__(self, *_: object) -> None:
        moving, self._moving = self._moving, None
        if moving is not None:
            moving.stop()

    def appeared(self, path: Path) -> None:
        """Write the name of a new file."""
        if self._moving is not None:
            self._moving.stop()  # the line of both may be on one terminal
        with suppress(OSError):  # the reader of the names has exited; the scan continues
            print(path, file=self._out, flush=True)
        if self._moving is not None:
            self._moving.start()

    def say(self, line: str) -> None:
        """Print a message, unless it is the same as the last one."""
        if line != self._said:
            self._said = line
            self._console.print(Text(printable(line)), soft_wrap=True)

    def waits(self, line: str) -> None:
        """Show what the scan waits for: on a terminal in the changing line, else by printing the first such line."""
        if self._moving is not None:
            self._line.update(text=Text(printable(line)))
        elif not self._waited:
            self._waited = True
            self.say(line)

    def began(self, page: int) -> None:
        """Show that a page is requested."""
        self._page, self._size = page, 0
        self._show()

    def received(self, size: int) -> None:
        """Show the number of bytes received of the page."""
        self._size = size
        self._show()

    def kept(self, page: int, size: int) -> None:
        """Print a line for a complete page."""
        self.say(f"page {page}: {_amount(size)}")

    def told(self, status: JobStatus) -> None:
        """Show the job's state on a terminal, as reported by the scanner or the gateway."""
        self._state = plain(listed(status.reasons) or in_words(status.state))
        self._show()

    def _show(self) -> None:
        if self._moving is not None:
            state = f", {self._state}" if self._state else ""
            self._line.update(text=Text(f"page {self._page}, {_amount(self._size)}{state}"))


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
