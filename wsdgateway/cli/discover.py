"""The subcommand `wsdgateway discover`: lists the scanners on this host's networks, or their `[[scanner]]` sections."""

import argparse
import json
import random
import uuid
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from wsdgateway.bridge.discovery.adoption import name_for
from wsdgateway.cli.arguments import between
from wsdgateway.cli.errors import CommandError
from wsdgateway.cli.printing import printable, stdout_console
from wsdgateway.config.checks import device_uuid, hosts
from wsdgateway.config.wrong import Wrong
from wsdgateway.net.discovery.survey import Surveyed, survey
from wsdgateway.net.scanners.pins import Pins
from wsdgateway.net.transport.interfaces import read_interfaces

MAX_SHOWN = 200
_NOTIFIES = {True: "yes", False: "no", None: "unknown"}


class DiscoverError(CommandError):
    """There is no network or address to search; the text says why and what to do."""


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("discover", help="list the scanners on the network")
    parser.add_argument("--interface", metavar="NAME", action="append",
                        help="search on this interface; may be repeated. Default: all except loopback")
    parser.add_argument("--address", metavar="ADDRESS", action="append", default=[],
                        help="query a host or URL by directed Probe, for scanners that ignore multicast; may be "
                             "repeated")
    parser.add_argument("--seconds", type=between(float, 0.1, 600, "number of seconds"), default=5.0,
                        help="duration of the search; default: 5")
    parser.add_argument("--pin", action="store_true",
                        help="accept any key from scanners with TLS, and print its pin for the configuration; "
                             "compare the pin with the one on the scanner's panel or web page")
    parser.add_argument("--toml", action="store_true", help="print configuration sections")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Search for scanners, and print them. Raises `DiscoverError`."""
    discover(options.interface, options.address, seconds=options.seconds, toml=options.toml, pin=options.pin,
             console=stdout_console(), progress=Console(stderr=True))
    return 0


def choose_interfaces(wanted: list[str] | None) -> tuple[str, ...]:
    """The interfaces to search on: the given ones, or all but loopback. Raises `DiscoverError`."""
    try:
        known = read_interfaces()
    except OSError as error:
        raise DiscoverError(f"cannot read the network interfaces: {error}") from None
    for name in wanted or ():
        if name not in known:
            raise DiscoverError(f"--interface {name}: must be one of {', '.join(known)}")
    return tuple(wanted or (name for name, interface in known.items()
                            if not all(address.is_loopback for address in interface.addresses)))


def choose_addresses(wanted: list[str]) -> tuple[str, ...]:
    """The URLs for directed Probes. Raises `DiscoverError`."""
    try:
        return hosts(wanted)
    except Wrong as wrong:
        raise DiscoverError(f"--address {' '.join(wanted)}: must be {wrong}") from None


def discover(interfaces: list[str] | None, addresses: list[str], *, seconds: float, toml: bool, pin: bool,
             console: Console, progress: Console) -> None:
    """Search for scanners, and print a table or `[[scanner]]` sections. Raises `DiscoverError`.

    With `pin`, scanners with TLS are queried whatever key they have, and its pin is shown.
    """
    urls = choose_addresses(addresses)
    names = choose_interfaces(interfaces) if interfaces or not urls else ()

    async def search_and_show(reactor: Any) -> None:
        pins = Pins(reactor) if pin else None
        found = await search(reactor, names, urls, seconds=seconds, progress=progress, pins=pins)
        show(found, toml=toml, pin=pin, console=console, progress=progress)

    try:
        react(lambda reactor: Deferred.fromCoroutine(search_and_show(reactor)))
    except SystemExit as end:
        if end.code:
            raise


async def search(reactor: Any, interfaces: tuple[str, ...], addresses: tuple[str, ...], *, seconds: float,
                 progress: Console, pins: Pins | None = None) -> list[Surveyed]:
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
            on_failure=lambda url, why: progress.print(printable(f"{url} does not answer: {why}"), markup=False,
                                                       soft_wrap=True), pins=pins)
    return found


def describe_search(interfaces: tuple[str, ...], addresses: tuple[str, ...], seconds: float) -> str:
    """Describes a search in one line: interfaces are searched, addresses are queried."""
    searching = [f"searching on {', '.join(interfaces)}"] if interfaces else []
    querying = [f"querying {', '.join(addresses)}"] if addresses else []
    if not searching and not querying:
        return "nothing to search: there is no network interface except loopback"
    return f"{' and '.join((*searching, *querying))} for {seconds:g} s"


def show(found: list[Surveyed], *, toml: bool, console: Console, progress: Console, pin: bool = False) -> None:
    """Print the scanners that were found."""
    if not found:
        progress.print("No scanner was found. To query a scanner that ignores multicast, use --address ADDRESS",
                       markup=False, soft_wrap=True)
    elif toml:
        taken: set[str] = set()
        links = sorted({one.sighting.via for one in found if one.sighting.via and not one.is_stand_in})
        if links:
            console.print(f"# [discovery]\n# device_interfaces = {json.dumps(links)}\n", markup=False, highlight=False)
        for one in found:
            if not one.is_stand_in:
                console.print(_section(one, taken), markup=False, highlight=False, soft_wrap=True)
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("Name", "Model", "UUID", "Addresses", "Notifies", *(["Pin"] if pin else [])):
            table.add_column(column, overflow="fold", no_wrap=column == "Pin")
        for one in found:
            labels = one.found.labels
            name = labels.name or labels.friendly_name
            name = f"{name} (through a gateway)" if one.is_stand_in else name
            table.add_row(*map(_plain, (name, labels.models[1], one.sighting.endpoint,
                                        " ".join(one.sighting.xaddrs), _NOTIFIES[one.notifies],
                                        *([one.pin or "no TLS"] if pin else []))))
        console.print(table)


def _plain(text: str) -> Text:
    """A text from the network without markup and control characters, cut after `MAX_SHOWN` characters."""
    return Text(printable(text[:MAX_SHOWN]))


def _section(one: Surveyed, taken: set[str]) -> str:
    """The configuration section of a scanner: with its uuid if multicast finds it, else with its address."""
    labels, sighting = one.found.labels, one.sighting
    name = name_for(labels.name, sighting.endpoint, taken)
    taken.add(name)
    told = _plain(", ".join(filter(None, (labels.name, labels.models[1], urlsplit(one.found.scan).hostname))))
    try:
        key, value = "uuid", device_uuid(sighting.endpoint)
    except Wrong:
        key = ""
    if not key or not sighting.via:
        key, value = "device", one.found.device
    pinned = f"pin = {json.dumps(one.pin)}\n" if one.pin else ""
    return (f"# {told}\n[[scanner]]\nname = {json.dumps(name)}\n{key} = {json.dumps(value, ensure_ascii=False)}\n"
            f"{pinned}")
