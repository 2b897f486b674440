"""Output of the subcommands: consoles, and texts from the network made safe for a terminal."""

import sys

from rich.console import Console

WIDE = 200  # columns, if stdout is not a terminal: long lines suit grep


class _ResultConsole(Console):
    """A console that leaves a closed pipe to the console script, which ends in the same way for every subcommand."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def stdout_console() -> Console:
    """The console for results on stdout: as wide as the terminal, or `WIDE`."""
    return _ResultConsole(width=None if sys.stdout.isatty() else WIDE)


def printable(text: str) -> str:
    """The text without control characters, which could move the cursor or worse."""
    return "".join(c if c.isprintable() else "�" for c in text)
