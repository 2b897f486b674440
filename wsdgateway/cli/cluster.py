"""The subcommand `wsdgateway cluster move`: another gateway takes over a scanner, and that is awaited."""

import argparse
import json
from http.client import HTTPException
from typing import Any

from wsdgateway.admin.moving import MOVE_SECONDS
from wsdgateway.cli.adminclient import MAX_TEXT, AdminError, Refused, add_site, site_of
from wsdgateway.cli.printing import printable

PATH = "/api/cluster/move"
TIMEOUT = MOVE_SECONDS + 5.0
_NOT_MOVED = (409, 422, 503, 504)  # the body says why


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("cluster", help="move a scanner to another of several gateways")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    move = actions.add_parser("move", help="have another gateway take over a scanner, and wait until it has")
    move.add_argument("scanner", metavar="SCANNER", help="name of the scanner")
    move.add_argument("gateway", metavar="GATEWAY", help="name of the gateway, as wsdgateway status shows it")
    add_site(move)
    move.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the new owner. Returns the exit status. Raises `AdminError`, also if the scanner is not moved."""
    site = site_of(options)
    body = json.dumps({"scanner": options.scanner, "gateway": options.gateway}).encode()
    try:
        with site.open(PATH, {"Content-Type": "application/json"}, TIMEOUT, body) as answer:
            text = answer.read(MAX_TEXT).decode("utf-8", "replace")
    except Refused as error:
        raise AdminError(error.body) if error.http_status in _NOT_MOVED else error from None
    except (OSError, HTTPException) as error:
        raise AdminError(f"{site.base}{PATH}: {error}") from None
    print(printable(text.strip()))
    return 0
