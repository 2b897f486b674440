"""Tests of cli.scan.progress: the progress that `wsdgateway scan` shows."""

import io
from pathlib import Path

from rich.console import Console

from wsdgateway.cli.scan.progress import Progress
from wsdgateway.scan.jobstatus import JobStatus

EVIL = JobStatus("[b]7\x1b[2J", "Proces\x07sing", ("[red]Odd\nline", "None"))


def shown(terminal):
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
    out = io.StringIO()
    with Progress(console, out) as progress:
        progress.began(1)
        progress.told(EVIL)
        progress.told(EVIL)
        progress.received(1234567)
        progress.appeared(Path("a[b].jpg"))
        progress.kept(1, 1234567)
        progress.say("twice")
        progress.say("twice")
        progress.waits("for a while")
        progress.waits("for another while")
    return console.file.getvalue(), out.getvalue()


def test_without_a_terminal_there_is_a_line_for_each_page_and_one_for_waits():
    assert shown(False) == ("page 1: 1.2 MB\ntwice\nfor a while\n", "a[b].jpg\n")


def test_a_terminal_shows_pages_bytes_and_state_without_control_characters():
    text, out = shown(True)
    assert "page 1, 1.2 MB, [red]Odd line" in text
    assert "for another while" in text
    assert "\x07" not in text and "\x1b[2J" not in text
    assert out == "a[b].jpg\n"


def test_a_closed_pipe_for_the_names_is_no_error():
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    Progress(Console(file=io.StringIO()), Gone()).appeared(Path("a.jpg"))
