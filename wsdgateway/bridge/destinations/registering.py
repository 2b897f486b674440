"""Decides how the gateway's own destinations are registered on a scanner's panel.

WS-Scan, ScanDestinations, ScanDestination, ClientContext, DestinationResponses. One subscription registers all
destinations. A scanner that refuses it, or gives no token for a part of them, takes no list: then each destination has
a subscription of its own. A press names its destination by the ClientContext.
"""

import hashlib
from collections.abc import Iterable, Mapping

import attrs

from wsdgateway.bridge.events.upstreamcommands import Held, Shown
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import escape

TOGETHER = "destinations"  # identifier of the subscription for all destinations
_SINGLE = "destination "  # beginning of the identifier of the subscription for one
_CONTEXT = "wsdgateway-"
_DIGITS = 16  # of the part of a context that is computed from the name


@attrs.frozen
class Entry:
    """An entry on a panel: the name that is shown, and the ClientContext that a press sends."""

    name: str
    context: str

    @property
    def identifier(self) -> str:
        """The identifier of the subscription for this entry alone."""
        return _SINGLE + self.context


@attrs.frozen
class Registering:
    """A subscription to make at the scanner: its identifier, its entries, and ScanDestinations as XML."""

    identifier: str
    entries: tuple[Entry, ...]

    @property
    def xml(self) -> str:
        """The ScanDestinations of the Subscribe."""
        listed = "".join(  # the name first, as in the specification's example and from Windows
            f"<wscn:ScanDestination><wscn:ClientDisplayName>{escape(entry.name)}</wscn:ClientDisplayName>"
            f"<wscn:ClientContext>{escape(entry.context)}</wscn:ClientContext></wscn:ScanDestination>"
            for entry in self.entries)
        return f'<wscn:ScanDestinations xmlns:wscn="{WSCN}">{listed}</wscn:ScanDestinations>'


def entries_for(gateway: str, names: Iterable[str]) -> tuple[Entry, ...]:
    """The entries for destinations with these names, in the order of the configuration.

    The contexts depend on the `gateway`, too, since several may register at one scanner: it is the address that some
    share for notifications, or a gateway's name.
    """
    return tuple(Entry(name, _CONTEXT + hashlib.sha256(f"{gateway}\0{name}".encode()).hexdigest()[:_DIGITS])
                 for name in names)


def is_own(identifier: str) -> bool:
    """True if a subscription at the scanner is one for the gateway's own destinations."""
    return identifier == TOGETHER or identifier.startswith(_SINGLE)


def is_single(identifier: str) -> bool:
    """True if it is one for a single destination."""
    return identifier.startswith(_SINGLE)


def plan(entries: tuple[Entry, ...], *, singly: bool) -> list[Registering]:
    """The subscriptions that register all entries: one, or one for each of them."""
    if singly:
        return [Registering(entry.identifier, (entry,)) for entry in entries]
    return [Registering(TOGETHER, entries)] if entries else []


def tokens_of(entries: tuple[Entry, ...], answered: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The DestinationToken of each entry by its context, as far as the scanner's answer gives them.

    Some scanners answer in order and leave out the contexts, or change them.
    """
    listed = list(answered)
    known = {context: token for context, token in listed if context in {entry.context for entry in entries}}
    if not known and len(listed) == len(entries):
        return {entry.context: token for entry, (_, token) in zip(entries, listed, strict=True)}
    return known


def takes_list(entries: tuple[Entry, ...], tokens: Mapping[str, str]) -> bool:
    """True if the scanner has registered all entries of one subscription, as far as the tokens tell."""
    return len(entries) < 2 or all(entry.context in tokens for entry in entries)


def shown_by(entries: tuple[Entry, ...], answered: Iterable[tuple[str, str]]) -> tuple[Shown, ...]:
    """The entries with their tokens, as the store keeps them with the subscription."""
    tokens = tokens_of(entries, answered)
    return tuple(Shown(entry.context, entry.name, tokens.get(entry.context)) for entry in entries)


def kept_tokens(held: Held) -> dict[str, str]:
    """The DestinationToken of each context, as kept with a subscription."""
    return {one.context: one.token for one in held.shown if one.token is not None}


def goes_on(planned: Registering, held: Held) -> bool:
    """True if a subscription at the scanner registers all of the planned entries and no others, in their order."""
    shown = tuple(Entry(one.name, one.context) for one in held.shown)
    return shown == planned.entries and takes_list(shown, kept_tokens(held))


def may_take_single(refusal: str) -> bool:
    """True if a scanner that refused a list, with that fault, may accept single destinations.

    One without eventing refuses these, too.
    """
    return bool(refusal) and refusal not in ("ActionNotSupported", "404", "405")
