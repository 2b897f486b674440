"""Tests of net.commands.commands, with real processes: arguments, output, exit statuses, time limits, stop."""

import os
import sys
from pathlib import Path

import pytest
import pytest_twisted

from tests.waiting import until
from wsdgateway.net.commands import commands as module
from wsdgateway.net.commands import process
from wsdgateway.net.commands.commands import Command, Commands, arguments_for
from wsdgateway.net.destinations.after import WrittenFile

FILE = WrittenFile("/srv/a {scanner}.pdf", "front-desk", "Paper; less", 3)


@pytest_twisted.async_yield_fixture
async def commands(tmp_path):
    from twisted.internet import reactor

    made = Run(reactor, tmp_path)
    yield made
    await made.commands.stop()


class Run:
    def __init__(self, reactor, folder):
        self.failed = []
        self.folder = folder
        self.commands = Commands(reactor, self.failed.append)

    def shell(self, script, *arguments, timeout=30.0):
        self.commands.run(Command(("/bin/sh", "-c", script, "sh", *arguments), timeout), FILE)


def ends(said):
    return [line for line in said if "the command for" in line]


def test_placeholders_are_replaced_once_and_not_in_the_program():
    command = Command(("/{path}", "{path}", "--from={scanner},{destination}", "{pages} {page} {}", "{{path}}"), 1.0)
    assert arguments_for(command, FILE) == (
        "/{path}", "/srv/a {scanner}.pdf", "--from=front-desk,Paper; less", "3 {page} {}", "{/srv/a {scanner}.pdf}")


@pytest_twisted.ensureDeferred
async def test_success(commands, said):
    commands.shell('echo "$1"; echo "$2" >&2; printf end', "{path}", "{destination} $(id) `id`")
    await until(lambda: ends(said))
    assert "Paper; less: command (stdout): /srv/a {scanner}.pdf" in said
    assert "Paper; less: command (stderr): Paper; less $(id) `id`" in said
    assert "Paper; less: command (stdout): end" in said
    assert ends(said) == ["Paper; less: the command for /srv/a {scanner}.pdf has ended"]
    assert commands.failed == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("script", "end"), [
    ("exit 1", "failed with exit status 1"), ("exit 255", "failed with exit status 255"),
    ("kill -9 $$", "was ended by SIGKILL"), ("kill -TERM $$", "was ended by SIGTERM")])
async def test_failures(commands, said, script, end):
    commands.shell(script)
    await until(lambda: ends(said))
    assert ends(said) == [f"Paper; less: the command for /srv/a {{scanner}}.pdf {end}"]
    assert commands.failed == ["Paper; less"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("content", "mode", "problem"), [
    (None, 0, "No such file or directory"), ("#!/bin/sh\n", 0o644, "Permission denied"),
    ("no program", 0o755, "Exec format error"), ("#!/none/sh\n", 0o755, "No such file or directory")])
async def test_programs_that_cannot_be_run(commands, said, content, mode, problem):
    program = commands.folder / "after"
    if content is not None:
        program.write_text(content)
        program.chmod(mode)
    commands.commands.run(Command((str(program),), 30.0), FILE)
    await until(lambda: ends(said))
    assert ends(said) == [f"Paper; less: the command for /srv/a {{scanner}}.pdf cannot be run: {program}: {problem}"]
    assert commands.failed == ["Paper; less"]


@pytest_twisted.ensureDeferred
async def test_the_process_gets_nothing_of_the_gateway(commands, said, monkeypatch):
    monkeypatch.setenv("WSDGATEWAY_TOKEN", "secret")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    commands.commands.run(Command((sys.executable, "-I", "-c", (
        "import os; print('fds', *sorted(int(one) for one in os.listdir('/proc/self/fd') if int(one) < 1000)[:5]);"
        "print('env', *sorted(os.environ)); print('cwd', os.getcwd(), os.getsid(0) == os.getpid());"
        "print('stdin', repr(os.read(0, 1)))")), 30.0), FILE)
    await until(lambda: ends(said))
    os.close(read)
    os.close(write)
    assert "Paper; less: command (stdout): fds 0 1 2 3" in said  # 3 is the folder that is being listed
    (environment,) = [line for line in said if "(stdout): env" in line]
    assert "LANG" in environment and "PATH" in environment and "TOKEN" not in environment
    assert "Paper; less: command (stdout): cwd / True" in said
    assert "Paper; less: command (stdout): stdin b''" in said


@pytest_twisted.ensureDeferred
async def test_a_flood_of_output(commands, said):
    commands.shell("yes | head -c 20000000; yes x | tr -d '\\n' | head -c 5000000")
    await until(lambda: ends(said))
    assert sum(line.endswith("(stdout): y") for line in said) == 200
    assert "Paper; less: command: 9999800 more lines are left out" in said
    assert "has ended" in ends(said)[0]


@pytest_twisted.ensureDeferred
async def test_an_endless_flood_ends_with_the_time(commands, said):
    commands.shell("exec yes", timeout=0.3)
    await until(lambda: ends(said))
    assert "took more than command_timeout = 0.3 s" in ends(said)[0]


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("script", [
    "trap '' TERM; echo $$; while :; do sleep 60; done",  # the command itself ignores SIGTERM
    "(trap '' TERM; while :; do sleep 60; done) & echo $!; wait",  # a child of it does
])
async def test_children_that_ignore_sigterm(commands, said, monkeypatch, script):
    monkeypatch.setattr(process, "KILL_SECONDS", 0.2)
    commands.shell(script, timeout=0.5)
    await until(lambda: ends(said))
    assert "took more than command_timeout = 0.5 s" in ends(said)[0]
    (pid,) = [line.rpartition(" ")[2] for line in said if "(stdout)" in line]
    await until(lambda: not is_alive(pid))
    assert commands.failed == ["Paper; less"]


@pytest_twisted.ensureDeferred
async def test_a_child_that_keeps_the_output_open(commands, said):
    commands.shell("sleep 60 & echo $!; exit 0")
    await until(lambda: ends(said))
    assert "has ended" in ends(said)[0]
    (pid,) = [line.rpartition(" ")[2] for line in said if "(stdout)" in line]
    os.kill(int(pid), 9)


@pytest_twisted.ensureDeferred
async def test_four_at_once(commands, said):
    marks = commands.folder
    for number in range(6):
        commands.shell(f"touch {marks}/{number}; while [ ! -e {marks}/go ]; do sleep 0.05; done")
    await until(lambda: len(list(marks.iterdir())) == module.MAX_AT_ONCE)
    (marks / "go").touch()
    await until(lambda: len(ends(said)) == 6)
    assert sorted(one.name for one in marks.iterdir()) == ["0", "1", "2", "3", "4", "5", "go"]


@pytest_twisted.ensureDeferred
async def test_the_number_that_waits_is_bounded(commands, said, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    monkeypatch.setattr(module, "MAX_AT_ONCE", 1)
    for _ in range(3):
        commands.shell("exit 0")
    assert [line for line in said if "is not run" in line] == [
        "Paper; less: the command is not run for /srv/a {scanner}.pdf, because 1 commands wait"]
    await until(lambda: len(ends(said)) == 2)
    assert commands.failed == ["Paper; less"]


@pytest_twisted.ensureDeferred
async def test_stop(commands, said, monkeypatch):
    monkeypatch.setattr(process, "KILL_SECONDS", 0.2)
    for _ in range(5):
        commands.shell("trap '' TERM; echo up; while :; do sleep 60; done")
    await until(lambda: sum(line.endswith("(stdout): up") for line in said) == 4)
    await commands.commands.stop()
    assert sum("was ended by SIGKILL, because the gateway stops" in line for line in said) == 4
    assert sum("is not run" in line and "the gateway stops" in line for line in said) == 1
    commands.shell("exit 0")
    assert len(commands.failed) == 6


@pytest_twisted.ensureDeferred
async def test_a_stop_while_a_command_is_being_started(commands, said):
    commands.shell("sleep 60")
    await commands.commands.stop()
    assert "because the gateway stops" in ends(said)[0]
