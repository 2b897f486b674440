"""The committed files that are generated: man pages in `docs/man`, and completion scripts in `config/completion`.

    venv/bin/python -m tests.generated

writes them again. They are made by pandoc and shtab in the versions that the extra `test` pins, so that the output is
the same on every machine. Neither an installation nor the program needs the two.
"""

import argparse
from configparser import ConfigParser
from pathlib import Path

import pypandoc
import shtab

from wsdgateway.cli.main import make_parser
from wsdgateway.cli.tail import OPERATIONS

ROOT = Path(__file__).parents[1]
MAN = ROOT / "docs" / "man"
SOURCES = sorted(MAN.glob("*.md"))
COMPLETION = {"bash": ROOT / "config" / "completion" / "wsdgateway",
              "zsh": ROOT / "config" / "completion" / "_wsdgateway"}
# Without a completion for URLs, zsh shows what the argument is instead of completing options that may stand there, too.
_COMPLETED = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "URL": {"zsh": "_urls"}}
_INTERFACES = {"bash": "_wsdgateway_interfaces", "zsh": "_net_interfaces"}
_PREAMBLE = {"bash": '_wsdgateway_interfaces() { compgen -W "$(command ls /sys/class/net)" -- "$1"; }'}


def version() -> str:
    """The version of the release that the pages belong to; an installed package may be older."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["metadata"]["version"]


def man_page(source: Path) -> str:
    """A man page, without a date, as the same source must always give the same page."""
    page = pypandoc.convert_file(str(source), "man", format="markdown-smart", extra_args=[
        "--standalone", f"--metadata=footer:wsdgateway {version()}",
        "--variable=header-includes:.ad l", "--variable=header-includes:.nh"])  # nor may a hyphen divide a key
    # Literal text is bold in man pages, and a line break must not end the indentation of a definition.
    return page.replace(r"\f[CR]", r"\f[B]").replace("\n.PD 0\n.P\n.PD\n", "\n.br\n")


def completion(shell: str) -> str:
    """A completion script."""
    parser = make_parser()
    _annotate(parser)
    return shtab.complete(parser, shell, preamble=_PREAMBLE) + "\n"


def _annotate(parser: argparse.ArgumentParser) -> None:
    """Tell shtab how arguments are completed that have no `choices`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                command.description = None  # zsh shows the short help of each subcommand instead
                _annotate(command)
        elif action.metavar in _COMPLETED:
            action.complete = _COMPLETED[action.metavar]
        elif "--interface" in action.option_strings:
            action.complete = _INTERFACES
        elif action.metavar == "OPERATION":
            action.choices = OPERATIONS


def generated() -> dict[Path, str]:
    """The contents of every generated file."""
    return {**{source.with_suffix(""): man_page(source) for source in SOURCES},
            **{path: completion(shell) for shell, path in COMPLETION.items()}}


if __name__ == "__main__":
    for path, content in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
