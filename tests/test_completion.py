"""The completion scripts for bash and zsh: they are as generated, and complete what is typed in the real shells."""

import os
import pty
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import skip_or_fail
from tests.generated import COMPLETION, completion

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
PATIENCE = 30.0  # seconds
# Ctrl-X followed by d writes the line that is typed to a file, and empties it.
BASH = r"""
set +o history
PS1=
bind 'set enable-bracketed-paste off'
bind 'set bell-style none'
dump() { printf %s "$READLINE_LINE" > typed.new; mv typed.new typed; READLINE_LINE=; READLINE_POINT=0; }
bind -x '"\C-xd": dump'
"""
ZSH = r"""
unsetopt zle_bracketed_paste; PROMPT=; zstyle ':completion:*' menu no
fpath=({folder} $fpath)
autoload -U compinit; compinit -u -D
dump() {{ print -rn -- "$BUFFER" > typed.new; mv typed.new typed; BUFFER=; }}
zle -N dump; bindkey '^Xd' dump; bindkey '^I' complete-word
"""


class Shell:
    """An interactive shell at a terminal."""

    def __init__(self, folder, shell, *arguments):
        self._folder = folder
        self._terminal, end = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "HOME": str(folder), "ZDOTDIR": str(folder)}
        self._process = subprocess.Popen(["setsid", "--ctty", "--wait", shell, *arguments], cwd=folder, env=environment,
                                         stdin=end, stdout=end, stderr=end)
        os.close(end)
        os.set_blocking(self._terminal, False)

    def complete(self, line):
        """The line after Tab."""
        typed = self._folder / "typed"
        typed.unlink(missing_ok=True)
        os.write(self._terminal, f"{line}\t\x18d".encode())
        end = time.monotonic() + PATIENCE
        while not typed.exists():
            assert time.monotonic() < end, self.shown()
            time.sleep(0.01)
        self.shown()
        return typed.read_text()

    def shown(self):
        """The output of the shell since the last call."""
        try:
            return os.read(self._terminal, 1 << 20).decode(errors="replace")
        except BlockingIOError:
            return ""

    def close(self):
        os.close(self._terminal)
        self._process.wait(PATIENCE)


def _bash(folder):
    if shutil.which("bash") is None or not BASH_COMPLETION.exists():
        skip_or_fail("needs bash with completion: apt install bash bash-completion")
    # bash-completion finds a script by the name of the command.
    completions = folder / "share" / "bash-completion" / "completions"
    completions.mkdir(parents=True)
    shutil.copy(COMPLETION["bash"], completions)
    (folder / "rc").write_text(
        f"XDG_DATA_DIRS={shlex.quote(str(folder / 'share'))}\n. {BASH_COMPLETION}\n{BASH}")
    return Shell(folder, "bash", "--noprofile", "--rcfile", "rc", "-i")


def _zsh(folder):
    if shutil.which("zsh") is None:
        skip_or_fail("needs zsh: apt install zsh")
    (folder / ".zshrc").write_text(ZSH.format(folder=shlex.quote(str(COMPLETION["zsh"].parent))))
    return Shell(folder, "zsh", "-d", "-i")


@pytest.fixture(scope="module", params=[_bash, _zsh], ids=["bash", "zsh"])
def shell(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    for name in ("office.toml", "page.pdf"):
        (folder / name).touch()
    (folder / "records").mkdir()
    made = request.param(folder)
    yield made
    made.close()


@pytest.mark.parametrize("name", COMPLETION)
def test_the_scripts_are_as_generated(name):
    """To make them again: venv/bin/python -m tests.generated"""
    assert COMPLETION[name].read_text("utf-8") == completion(name)


@pytest.mark.parametrize(("typed", "completed"), [
    ("disc", "discover "),
    ("stat", "status "),
    ("check off", "check office.toml "),
    ("run --conf", "run --config "),
    ("run --config off", "run --config office.toml "),
    ("discover --interface l", "discover --interface lo "),
    ("scan --res", "scan --resolution "),
    ("scan http://192.0.2.5:5357/front-desk/scan --so", "scan http://192.0.2.5:5357/front-desk/scan --source "),
    ("scan --source d", "scan --source duplex "),
    ("scan --color BlackA", "scan --color BlackAndWhite1 "),
    ("scan --ca off", "scan --ca office.toml "),
    ("scan -o pa", "scan -o page.pdf "),
    ("tail --f", "tail --failed "),
    ("tail --operation ScannerStatusS", "tail --operation ScannerStatusSummaryEvent "),
    ("replay re", "replay records/"),
    ("capture ex", "capture export "),
    ("store co", "store copy "),
    ("store copy --password-file off", "store copy --password-file office.toml "),
    ("capture export re", "capture export records/"),
    ("capture export records --har pa", "capture export records --har page.pdf "),
])
def test_a_shell_completes(shell, typed, completed):
    assert shell.complete(f"wsdgateway {typed}") == f"wsdgateway {completed}"


def test_a_shell_completes_for_a_command_with_a_path(shell):
    assert shell.complete("/opt/wsdgateway/bin/wsdgateway disc") == "/opt/wsdgateway/bin/wsdgateway discover "
