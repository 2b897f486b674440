"""The subcommand `wsdgateway tail`: prints exchanges as they end, one a line, from a running gateway's live stream.

HTML, section 9.2 (server-sent events).
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

import attrs
from rich.console import Console
from rich.text import Text

from wsdgateway.cli.adminclient import AdminError, AdminSite, add_site, site_of
from wsdgateway.cli.arguments import between
from wsdgateway.cli.printing import printable, stdout_console
from wsdgateway.discovery.versions import NAMES as DISCOVERY
from wsdgateway.exchangelog.entry import duration, is_failed
from wsdgateway.exchangelog.log import KEPT
from wsdgateway.scan.operations import NAMES

SILENCE = 60.0  # seconds; the stream sends a sign of life every 15
PAUSE = 2.0
MAX_LINE = 65536
_COLORS = {"local": "green", "device": "cyan", "refused": "yellow", "event": "magenta", "discovery": "blue",
           "own": "dim"}
OPERATIONS = (*NAMES, "SubscriptionEnd", *DISCOVERY, "other")


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("tail", help="show the exchanges of a running gateway as they end, until Ctrl-C")
    add_site(parser)
    parser.add_argument("--scanner", metavar="NAME", help="only exchanges with this scanner")
    parser.add_argument("--operation", metavar="OPERATION", type=_operation,
                        help="only these operations or events, such as CreateScanJob or JobStatusEvent")
    parser.add_argument("--failed", action="store_true", help="only exchanges that ended with a fault, an error or "
                                                              "no answer")
    parser.add_argument("--json", action="store_true", help="print a JSON object per line, as in the exchange log")
    parser.add_argument("--last", type=between(int, 0, KEPT, "number"), default=10, metavar="N",
                        help=f"start with the last N exchanges; default: 10, at most {KEPT}")
    parser.set_defaults(run=run)


def _operation(text: str) -> str:
    known = {name.lower(): name for name in OPERATIONS}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: must be one of {', '.join(OPERATIONS)}")
    return known[text.lower()]


def run(options: argparse.Namespace) -> int:
    """Print exchanges until Ctrl-C. Raises `AdminError`."""
    errors = Console(stderr=True)
    site = site_of(options)
    check_scanner(site, options.scanner)
    try:
        tail(site, Wanted(options.scanner, options.operation, options.failed), as_json=options.json,
             last=options.last, console=stdout_console(),
             say=lambda line: errors.print(printable(line), markup=False, highlight=False, soft_wrap=True))
    except KeyboardInterrupt:
        pass  # the usual way to end it
    return 0


def check_scanner(site: AdminSite, name: str | None) -> None:
    """Check that the gateway has a scanner of that name, if one is given. Raises `AdminError`."""
    if name is None:
        return
    known = [str(scanner.get("name")) for scanner in site.fetch("scanners")]
    if name not in known:
        raise AdminError(printable(
            f"--scanner {name}: must be a scanner of the gateway: {', '.join(known)}" if known else
            f"--scanner {name}: must be left out, because the gateway has no scanner"))


@attrs.frozen
class Wanted:
    """A filter of exchanges: their scanner, their operation, and whether they must have failed."""

    scanner: str | None = None
    operation: str | None = None
    failed: bool = False

    @property
    def parameters(self) -> dict[str, str]:
        """The filter as parameters of the stream, for the exchanges with which it begins."""
        given = {"scanner": self.scanner, "operation": self.operation, "failed": "1" if self.failed else None}
        return {name: value for name, value in given.items() if value is not None}

    def holds(self, exchange: dict[str, Any]) -> bool:
        """True if the exchange passes the filter."""
        return (self.scanner in (None, exchange.get("scanner")) and self.operation in (None, exchange.get("operation"))
                and (not self.failed or _has_failed(exchange)))


def _has_failed(exchange: dict[str, Any]) -> bool:
    return is_failed(exchange.get("status"), exchange.get("fault"), exchange.get("source", ""))


@attrs.frozen
class ServerSentEvent:
    """An event of a stream: its id, type and data."""

    identifier: str
    kind: str
    data: str


def read_events(lines: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """Parse the events in the lines of a stream."""
    identifier, kind = "", "message"
    data: list[str] = []
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield ServerSentEvent(identifier, kind, "\n".join(data))
            kind, data = "message", []
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            identifier = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def show(exchange: dict[str, Any]) -> Text:
    """Format an exchange as one line."""
    def of(name: str, otherwise: str = "-") -> str:
        value = exchange.get(name)
        return otherwise if value is None else printable(str(value))

    took = duration(float(exchange.get("seconds") or 0.0))
    failed = _has_failed(exchange)
    result = of("fault", of("status", "no answer" if failed else "")) if failed else of("status", "")
    source = of("source")
    line = Text.assemble(
        (of("time")[11:23], "dim"), "  ", (f"{of('scanner'):<16}", "bold"), " ",
        (f"{source:<9}", _COLORS.get(source, "")), " ", f"{of('operation'):<22}",
        " ", (f"{result:<10}", "bold red" if failed else "green"),
        " ", f"{of('client', 'this gateway'):<22}", " ", (f"{took:>9}", "dim"))
    job = exchange.get("job_id")
    if job is not None:
        line.append(f"  job {printable(str(job))}")
    line.append(f"  {exchange.get('request_bytes', 0)}/{exchange.get('response_bytes', 0)} B", "dim")
    return line


def _lines(answer: Any) -> Iterator[bytes]:
    while line := answer.readline(MAX_LINE):
        yield line


def tail(site: AdminSite, wanted: Wanted, *, as_json: bool, last: int, console: Console,
         say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Print the exchanges of the gateway with that admin site, beginning with the `last` ones, until interrupted.

    A broken stream is resumed where it ended, which `say` reports. Raises `AdminError` if the first connection fails.
    """
    position = ""
    connected = False
    path = f"/api/stream?{urlencode({'last': last, **wanted.parameters})}"
    while True:
        try:
            with site.open(path, {"Last-Event-ID": position} if position else {}, timeout=SILENCE) as answer:
                if answer.headers.get_content_type() != "text/event-stream":
                    raise AdminError(f"{site.base}: not the admin site of a gateway")
                connected = True
                for event in read_events(_lines(answer)):
                    position = event.identifier or position
                    _print(event, wanted, as_json, console, say)
            say("The stream ended; reconnecting")
        except BrokenPipeError:
            raise  # standard output was closed; the stream is only read
        except AdminError as error:
            if not connected:
                raise
            say(f"{str(error).rstrip('.')}; retrying")
        except (OSError, HTTPException) as error:
            say(f"The stream broke off ({error}); reconnecting")
        sleep(PAUSE)


def _print(event: ServerSentEvent, wanted: Wanted, as_json: bool, console: Console, say: Callable[[str], None]) -> None:
    """Print an event; leave out one that is not as a gateway writes it."""
    with suppress(LookupError, TypeError, ValueError, AttributeError, RecursionError):
        _print_event(event, json.loads(event.data), wanted, as_json, console, say)


def _print_event(event: ServerSentEvent, value: Any, wanted: Wanted, as_json: bool, console: Console,
                 say: Callable[[str], None]) -> None:
    if event.kind == "missed":
        say(f"{value.get('count')} exchanges are missing, because more took place than the gateway keeps")
    elif event.kind == "exchange" and wanted.holds(value):
        if as_json:
            console.out(event.data, highlight=False)
        else:
            console.print(show(value), soft_wrap=True, highlight=False)
