"""What `wsdgateway scan` shows, its options and its exit statuses."""

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from wsdgateway.cli.main import main
from wsdgateway.cli.scan import command
from wsdgateway.cli.scan.client import Refusal
from wsdgateway.cli.scan.jobwatch import MAX_FAILURES, JobWatch
from wsdgateway.cli.scan.outcomes import BUSY, MEANINGS, ScanError
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.net.transport.errors import Busy, Unavailable, fault_for
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
    return console.file.getvalue(), out.getvalue()


def test_elsewhere_than_on_a_terminal_there_is_a_line_for_each_page():
    assert shown(False) == ("job [b]7�[2J: Proces�sing: [red]Odd line\npage 1: 1234567 bytes\ntwice\n", "a[b].jpg\n")


def test_a_terminal_shows_pages_bytes_and_state_and_nothing_of_what_the_network_would_have_it_do():
    text, out = shown(True)
    assert "page 1, 1.2 MB, Proces�sing: [red]Odd line" in text
    assert "\x07" not in text and "\x1b[2J" not in text
    assert out == "a[b].jpg\n"


def test_who_reads_the_names_may_go_away():
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    Progress(Console(file=io.StringIO()), Gone()).appeared(Path("a.jpg"))


def test_a_job_is_watched_until_it_is_final():
    answers = [OSError(), None, JobStatus("1", "Processing"), ScanError("x"), JobStatus("1", "Completed")]
    told, done = [], threading.Event()

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(status):
        told.append(status.state)
        if status.final:
            done.set()

    with JobWatch(ask, tell, interval=0.001):
        assert done.wait(10)
    assert told == ["Processing", "Completed"]
    assert answers == []


def test_a_scanner_that_can_not_be_watched_is_left_in_peace_and_nothing_is_told_after_the_end():
    asked, enough = [], threading.Event()

    def refuse():
        asked.append(1)
        if len(asked) == MAX_FAILURES:
            enough.set()
        raise Refusal("ActionNotSupported", "")

    watch = JobWatch(refuse, asked.append, interval=0.001)
    with watch:
        assert enough.wait(10)
        watch._thread.join(10)
    assert len(asked) == MAX_FAILURES

    asking, answer, told = threading.Event(), threading.Event(), []

    def late():
        asking.set()
        answer.wait(10)
        return JobStatus("1", "Completed")

    watch = JobWatch(late, told.append, interval=0.001)
    with watch:
        assert asking.wait(10)
    answer.set()
    watch._thread.join(10)
    assert told == []


def test_the_gateways_word_for_a_scanner_that_it_can_not_reach_is_known_for_what_it_is():
    fault = fault_for(Unavailable("192.0.2.1", "no connection (refused)"))
    assert Refusal("ServerErrorTemporaryError", fault.reason).unreachable
    fault = fault_for(Busy("192.0.2.1", "100 requests are waiting for it already"))
    assert not Refusal("ServerErrorTemporaryError", fault.reason).unreachable
    assert not Refusal("ServerErrorTemporaryError", "Warming up").unreachable


@pytest.mark.parametrize(("arguments", "said"), [
    (["scan"], "URL"), (["scan", "http://h/x", "--source", "film"], "invalid choice"),
    (["scan", "http://h/x", "--resolution", "0"], "number of dots an inch"),
    (["scan", "http://h/x", "--wait", "-1"], "must be a number of seconds between 0 and 3600"),
    (["scan", "http://h/x", "--wait", "nan"], "number of seconds"),
    (["scan", "http://h/x", "--color", "pink"], "invalid choice"),
    (["scan", "http://h/x", "--format", "xps"], "invalid choice")])
def test_a_wrong_option_ends_with_status_2_and_a_line(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("url", ["ftp://h/x", "http://", "http://h:0/", "http://h:99999/", "http://[/", "h", "",
                                 "http://h/\x1b[2J", "http://h/ä", "http://h/a b"])
def test_a_wrong_url_ends_with_status_2_and_a_line(capsys, url):
    assert main(["scan", url]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "must be the http:// or https:// URL" in line
    assert line.isprintable()


@pytest.mark.parametrize(("error", "status"), [(ScanError("x\x1b", BUSY), BUSY), (KeyboardInterrupt(), 130), (None, 0)])
def test_the_exit_status_is_that_of_the_scan(monkeypatch, capsys, error, status):
    def scan(order, progress):
        assert (order.url, order.output, order.source, order.wait) == ("http://h/x", None, "duplex", 7)
        if error is not None:
            raise error

    monkeypatch.setattr(command, "scan", scan)
    assert main(["scan", "http://h/x", "--source", "duplex", "--wait", "7"]) == status
    assert "\x1b" not in capsys.readouterr().err


def test_every_exit_status_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["scan", "--help"])
    text = capsys.readouterr().out
    assert all(f"  {status:<4} {meaning}" in text for status, meaning in MEANINGS.items())
    assert "%d or %03d" in text
