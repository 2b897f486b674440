"""The subcommand `wsdgateway discover`: lists the scanners on this host's networks, or their `[[scanner]]` sections.

Stand-ins of gateways are listed, too, except among the sections, as a gateway must not bridge them again.
"""

import argparse
import json
import random
import shlex
import uuid
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from wsdgateway.bridge.discovery.adoption import name_for
from wsdgateway.cli.arguments import between
from wsdgateway.cli.errors import CommandError
from wsdgateway.cli.printing import printable, stdout_console
from wsdgateway.cli.scan.outcomes import INTERRUPTED
from wsdgateway.config.checks import device_uuid, hosts
from wsdgateway.config.wrong import Wrong
from wsdgateway.net.discovery.survey import Surveyed, survey
from wsdgateway.net.scanners.pins import Pins
from wsdgateway.net.transport.clock import keep_time
from wsdgateway.net.transport.interfaces import read_interfaces
from wsdgateway.net.transport.localaddress import zoned
from wsdgateway.program import command

MAX_SHOWN = 200
_NOTIFIES = {True: "yes", False: "no", None: "unknown"}
STAND_IN = "stand-in of a gateway"
_NOT_HEARD = "To query a scanner that ignores multicast, use --address ADDRESS"
_NO_ANSWER = "Is the scanner switched on, and is the port right? It is 80 if none is given"


class DiscoverError(CommandError):
    """There is no network or address to search; the text says why and what to do."""


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("discover", help="list the scanners on the network")
    parser.add_argument("--interface", metavar="NAME", action="append",
                        help="search on this interface; may be repeated. Default: all except loopback")
    parser.add_argument("--address", metavar="ADDRESS", action="append", default=[],
                        help="query a host or URL by directed Probe, for scanners that ignore multicast; may be "
                             "repeated. Without --interface, the search ends when all have answered")
    parser.add_argument("--events", action="store_true",
                        help="subscribe at each scanner for a moment, to learn whether it notifies")
    parser.add_argument("--seconds", type=between(float, 0.1, 600, "number of seconds"), default=5.0,
                        help="duration of the search; default: 5")
    parser.add_argument("--pin", action="store_true",
                        help="accept any key from scanners with TLS, and print its pin for the configuration; "
                             "compare the pin with the one on the scanner's panel or web page")
    parser.add_argument("--toml", action="store_true", help="print configuration sections")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Search for scanners, and print them. Returns the exit status. Raises `DiscoverError`."""
    progress = Console(stderr=True)
    found = discover(options.interface, options.address, seconds=options.seconds, pin=options.pin,
                     events=options.events, progress=progress)
    if found is None:
        return INTERRUPTED
    hint = _NO_ANSWER if options.address and not options.interface else _NOT_HEARD
    show(found, toml=options.toml, console=stdout_console(), progress=progress, pin=options.pin, events=options.events,
         hint=hint)
    return 0


def choose_interfaces(wanted: list[str] | None) -> tuple[str, ...]:
    """The interfaces to search on: the given ones, or all but loopback. Raises `DiscoverError`."""
    try:
        known = read_interfaces()
    except OSError as error:
        raise DiscoverError(f"cannot read the network interfaces: {error}") from None
    for name in wanted or ():
        if name not in known:
            raise DiscoverError(f"--interface {name}: must be an interface of this host with an address: "
                                f"{', '.join(known)}")
    return tuple(wanted or (name for name, interface in known.items()
                            if not all(address.is_loopback for address in interface.addresses)))


def choose_addresses(wanted: list[str]) -> tuple[str, ...]:
    """The URLs for directed Probes. Raises `DiscoverError`."""
    return tuple(_url_of(one) for one in wanted)


def _url_of(address: str) -> str:
    try:
        return hosts([address])[0]
    except Wrong:
        raise DiscoverError(f"--address {address}: must be HOST, HOST:PORT or an http:// or https:// URL, such as "
                            "198.51.100.20") from None


def discover(interfaces: list[str] | None, addresses: list[str], *, seconds: float, pin: bool, events: bool,
             progress: Console) -> list[Surveyed] | None:
    """Search for scanners. Returns None if the search was interrupted. Raises `DiscoverError`.

    With `pin`, scanners with TLS are queried whatever key they have, and its pin is returned. With `events`, each
    scanner is asked for a subscription.
    """
    urls = choose_addresses(addresses)
    names = choose_interfaces(interfaces) if interfaces or not urls else ()
    if not names and not urls:
        raise DiscoverError(describe_search((), (), seconds))
    results: list[list[Surveyed]] = []

    async def search_once(reactor: Any) -> None:
        results.append(await search(reactor, names, urls, seconds=seconds, progress=progress,
                                    pins=Pins(reactor) if pin else None, events=events))

    def begin(reactor: Any) -> Deferred[Any]:
        keep_time(reactor)
        # It begins in the running reactor, which handles Ctrl-C; before that, a coroutine would take it for a failure.
        return deferLater(reactor, 0, lambda: Deferred.fromCoroutine(search_once(reactor)))

    try:
        react(begin)
    except SystemExit as end:
        if end.code:
            raise
    return results[0] if results else None


async def search(reactor: Any, interfaces: tuple[str, ...], addresses: tuple[str, ...], *, seconds: float,
                 progress: Console, pins: Pins | None = None, events: bool = False) -> list[Surveyed]:
    """Search for scanners, and show a status line meanwhile."""
    mark = f"urn:uuid:{str(uuid.uuid4())[:-12]}"
    text = describe_search(interfaces, addresses, seconds)
    with progress.status(text) as status:
        if not progress.is_terminal:
            progress.print(text, markup=False, soft_wrap=True)
        found = await survey(
            reactor, interfaces=interfaces, addresses=addresses, seconds=seconds,
            new_id=lambda: mark + str(uuid.uuid4())[-12:], is_own=lambda message_id: message_id.startswith(mark),
            random=random.random,
            on_count=lambda count: status.update(f"{text}: {count} device(s) so far"),
            on_failure=lambda url, why: progress.print(printable(f"{url} gives no usable answer: {why}"), markup=False,
                                                       soft_wrap=True), pins=pins, events=events)
    return found


def describe_search(interfaces: tuple[str, ...], addresses: tuple[str, ...], seconds: float) -> str:
    """Describes a search in one line: interfaces are searched, addresses are queried."""
    searching = [f"searching on {', '.join(interfaces)}"] if interfaces else []
    querying = [f"querying {', '.join(addresses)}"] if addresses else []
    if not searching and not querying:
        return "nothing to search: there is no network interface except loopback"
    duration = f"for {seconds:g} s" if interfaces else f"for up to {seconds:g} s"
    return f"{' and '.join((*searching, *querying))} {duration}"


def show(found: list[Surveyed], *, toml: bool, console: Console, progress: Console, pin: bool = False,
         events: bool = False, hint: str = _NOT_HEARD) -> None:
    """Print the scanners that were found, those on the network before the stand-ins of gateways; `hint` if none was."""
    found = sorted(found, key=lambda one: (one.is_stand_in, _name(one)))
    if not found:
        progress.print(f"No scanner was found. {hint}", markup=False, soft_wrap=True)
    elif toml:
        _show_sections([one for one in found if not one.is_stand_in], console, progress)
    else:
        _show_table(found, console, pin=pin, events=events)
        console.print("\nTo scan, copy the line of a scanner:\n", markup=False, highlight=False)
        taken: set[str] = set()
        for one in found:
            console.print(f"    {scan_line(one, taken)}", markup=False, highlight=False, soft_wrap=True)


def _show_sections(scanners: list[Surveyed], console: Console, progress: Console) -> None:
    if not scanners:
        progress.print("Only stand-ins of gateways were found; they need no section", markup=False, soft_wrap=True)
    taken: set[str] = set()
    links = sorted({one.sighting.via for one in scanners if one.sighting.via})
    if links:
        console.print(f"# [discovery]\n# device_interfaces = {json.dumps(links)}\n", markup=False, highlight=False)
    for one in scanners:
        console.print(_section(one, taken), markup=False, highlight=False, soft_wrap=True)


def _show_table(found: list[Surveyed], console: Console, *, pin: bool, events: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("Name", "Model", "UUID", "Addresses", *(["Notifies"] if events else []), *(["Pin"] if pin else [])):
        table.add_column(column, overflow="fold", no_wrap=column == "Pin")
    for one in found:
        name = f"{_name(one)} ({STAND_IN})" if one.is_stand_in else _name(one)
        notifies = "not asked" if one.is_stand_in else _NOTIFIES[one.notifies]
        table.add_row(*map(_plain, (name, one.found.labels.full_model, one.sighting.endpoint,
                                    " ".join(one.sighting.xaddrs), *([notifies] if events else []),
                                    *([one.pin or "no TLS"] if pin else []))))
    console.print(table)


def _name(one: Surveyed) -> str:
    return one.found.labels.name or one.found.labels.friendly_name


def scan_line(one: Surveyed, taken: set[str]) -> str:
    """The command that scans with a scanner, into a file whose name is not among those `taken`; adds it there."""
    name = name_for(_name(one), one.sighting.endpoint, taken)
    taken.add(name)
    host = urlsplit(one.found.scan).hostname or ""
    url = _plain(one.found.scan.replace(host, zoned(host, one.sighting.via), 1)).plain
    pinned = ["--pin", one.pin] if one.pin else []
    return " ".join((command(), "scan", *map(shlex.quote, (url, "-o", f"{name}.pdf", *pinned))))


def _plain(text: str) -> Text:
    """A text from the network without markup and control characters, cut after `MAX_SHOWN` characters."""
    return Text(printable(text[:MAX_SHOWN]))


def _quoted(text: str) -> str:
    """A text from the network as a string of TOML, whose control characters are escaped."""
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in json.dumps(text, ensure_ascii=False))


def _section(one: Surveyed, taken: set[str]) -> str:
    """The configuration section of a scanner: with its uuid if multicast finds it, else with its address."""
    labels, sighting = one.found.labels, one.sighting
    name = name_for(labels.name, sighting.endpoint, taken)
    taken.add(name)
    told = _plain(", ".join(filter(None, (labels.name, labels.full_model, urlsplit(one.found.scan).hostname))))
    try:
        key, value = "uuid", device_uuid(sighting.endpoint)
    except Wrong:
        key = ""
    if not key or not sighting.via:
        key, value = "device", one.found.device
    pinned = f"pin = {json.dumps(one.pin)}\n" if one.pin else ""
    return (f"# {told}\n[[scanner]]\nname = {json.dumps(name)}\n{key} = {_quoted(value)}\n"
            f"{pinned}")
