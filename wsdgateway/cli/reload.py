"""The subcommand `wsdgateway reload`: a running gateway reads its configuration again, and the result is awaited."""

import argparse
import os
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from wsdgateway.cli.adminclient import DEFAULT, AdminError, Refused, add_site, site_of
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.printing import printable
from wsdgateway.program import control_socket

PATH = "/api/reload"
TIMEOUT = 85.0  # a reload waits for scanners that the last one removed; systemd itself waits for 90 s
MAX_ANSWER = 1 << 18
_MISTAKEN = 422


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("reload", help="have a running gateway read its configuration again, and wait for the "
                                                "result")
    add_site(parser)
    parser.set_defaults(run=run, url=None)


def run(options: argparse.Namespace) -> int:
    """Print the result. Returns the exit status, which is 2 if the configuration was not accepted.

    Raises `AdminError`.
    """
    local = control_socket(os.environ)
    if options.url is None and local is not None and local.exists():
        status, text = _ask_locally(local)
    else:
        options.url = options.url or DEFAULT
        status, text = _ask(options)
    is_done = status == 200
    for line in text.splitlines():
        print(printable(line), file=sys.stdout if is_done else sys.stderr)
    return 0 if is_done else WRONG


def _ask(options: argparse.Namespace) -> tuple[int, str]:
    site = site_of(options)
    try:
        with site.open(PATH, data=b"", timeout=TIMEOUT) as answer:
            return answer.status, answer.read(MAX_ANSWER).decode("utf-8", "replace")
    except Refused as error:
        if error.http_status == _MISTAKEN:
            return error.http_status, error.body
        raise
    except (OSError, HTTPException) as error:
        raise AdminError(f"{site.base}{PATH}: {error}") from None


class _LocalConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._path))


def _ask_locally(path: Path) -> tuple[int, str]:
    connection = _LocalConnection(path)
    try:
        connection.request("POST", PATH, b"")
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER).decode("utf-8", "replace")
    except TimeoutError:
        raise AdminError(f"{path}: the gateway has not finished in {TIMEOUT:g} s; see its log") from None
    except (OSError, HTTPException) as error:
        raise AdminError(f"{path}: {error}; is the gateway running?") from None
    finally:
        connection.close()
