"""Decides where notifications may go, because clients could make the gateway send requests to any address.

WS-Addressing 2004/08, section 4.3. Sinks must use http or https. The subscriber's own IP address is always allowed,
others if they are in the networks of the configuration; the gateway's own listeners never are. Name look-ups are
limited by `Lookups`, because a name server may be slow.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import attrs

from wsdgateway.eventing.faults import destination_unreachable
from wsdgateway.http.requesttargets import HOST
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.faults import Refused

MAX_ADDRESS = 2048
MAX_LOOKUPS, MAX_CLIENT_LOOKUPS = 16, 2  # simultaneous look-ups, of all clients and of one
# WS-Addressing's names for "on this connection" and "nowhere" (2004/08, section 2.1; 1.0, section 2.1), in each of its
# versions; they are not addresses that anything could be sent to.
_NO_PLACE = re.compile(r"/(?:[^/]+/)*addressing/(?:role/)?(?:anonymous|none|reply|unspecified)/*", re.IGNORECASE)
_NAMING = ("schemas.xmlsoap.org", "www.w3.org")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_PORTS = {"http": 80, "https": 443}

Network = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address


class BadSink(Exception):
    """Notifications must not be sent to an address; the text says why, and what to do."""


def sink_refused(name: str, bad: BadSink) -> Refused:
    """Returns the refusal of a Subscribe whose NotifyTo or EndTo (`name`) is a bad sink."""
    return Refused(destination_unreachable(f"{name} is not accepted: {bad}."))


@attrs.frozen
class SinkAddress:
    """The parts of a sink's URL. `host` is without brackets; `target` is for the request line."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str


@attrs.frozen
class Sink:
    """A destination for messages: the reference as the client gave it, and the IP address that was checked."""

    reference: EndpointReference
    ip: str

    @property
    def address(self) -> SinkAddress:
        """The parts of its URL."""
        return parse_sink(self.reference.address)


def parse_sink(url: str) -> SinkAddress:
    """Returns the parts of a sink's URL. Raises `BadSink`."""
    if len(url) > MAX_ADDRESS:
        raise BadSink(f"the address is longer than {MAX_ADDRESS} characters; send a shorter one")
    if not _VISIBLE.fullmatch(url):
        raise BadSink("the address contains white space or characters that are not allowed in a URL; percent-encode "
                      "them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadSink(f"{url[:200]} is not a URL; send one like http://192.0.2.7:5357/events") from None
    if parts.scheme not in _PORTS:
        raise BadSink(f"{url[:200]} is not an http or https address; send one that is")
    if (parts.hostname or "").rstrip(".") in _NAMING and _NO_PLACE.fullmatch(parts.path):
        raise BadSink(f"{url[:200]} is not an address to which a request can be sent; send one like "
                      "http://192.0.2.7:5357/events")
    if not parts.hostname or port == 0 or not HOST.fullmatch(parts.netloc.encode()):
        raise BadSink(f"{url[:200]} contains no usable host; send an address like http://192.0.2.7:5357/events")
    if f".{parts.hostname}".rstrip(".").endswith(".invalid"):  # RFC 6761, section 6.4
        raise BadSink(f"{parts.hostname[:200]} is a reserved name that no host has; send an IP address")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise BadSink(f"{parts.hostname[:200]} is not a valid host name; send an IP address") from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return SinkAddress(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.netloc, target)


def literal(host: str) -> IPAddress | None:
    """Returns the host as an IP address (IPv4-mapped IPv6 as IPv4); None for a name."""
    try:
        address = ip_address(host.replace("%25", "%", 1))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _bare(address: IPAddress) -> IPAddress:
    """Removes the scope, for which the two sides of a link-local connection have different names."""
    return ip_address(str(address).partition("%")[0])


def admit(found: Iterable[str], address: SinkAddress, *, client: str, networks: Iterable[Network],
          is_own: Callable[[IPAddress, int], bool]) -> str:
    """Returns the IP address to send to, one of those `found` for the host. Raises `BadSink`.

    `client` is the subscriber's own IP address; `is_own` is True for the gateway's listeners.
    """
    own = literal(client)
    named = f"{address.host}:{address.port}"
    for text in found:
        ip = literal(text)
        if ip is None or ip.is_unspecified or ip.is_multicast or str(ip) == "255.255.255.255":
            continue
        if is_own(_bare(ip), address.port):
            raise BadSink(f"{named} is an address of this gateway; send the address at which the client accepts "
                          "notifications")
        if own is not None and _bare(ip) == _bare(own):
            return str(own)
        if any(_bare(ip) in network for network in networks):
            return str(ip)
    raise BadSink(f"{named} is not the subscriber's own address {client}; send that one, or ask the administrator to "
                  f"add the network of {named} to [events] client_networks")


def still_admits(sink: Sink, *, client: str, networks: Iterable[Network],
                 is_own: Callable[[IPAddress, int], bool]) -> bool:
    """True if a sink that was accepted at an earlier start would be accepted now, too.

    `is_own` raises `OSError` if it cannot tell; then the sink stays accepted.
    """
    try:
        admit([sink.ip], sink.address, client=client, networks=networks, is_own=is_own)
    except BadSink:
        return False
    except OSError:
        pass
    return True


def refuse_listener(address: SinkAddress, listeners: Iterable[tuple[str, int]]) -> None:
    """Raises `BadSink` if the address is literally that of one of the gateway's own listeners.

    `listeners` are interface and port of each. This avoids looking up names that cannot be sinks.
    """
    if (address.host, address.port) in listeners:
        raise BadSink(f"{address.host}:{address.port} is an address of this gateway; send another one")


class Lookups:
    """Counts the pending look-ups of sinks' names for each client; clients are identified as for other limits."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._of.total()

    def check(self, host: str, client: str) -> None:
        """Raises `BadSink` if no further name may be looked up for the client now."""
        if len(self) >= MAX_LOOKUPS or self._of[client] >= MAX_CLIENT_LOOKUPS:
            raise BadSink(f"too many names are being looked up already; send an IP address instead of {host}")

    def begun(self, client: str) -> None:
        """Counts a look-up for the client."""
        self._of[client] += 1

    def ended(self, client: str) -> None:
        """Notes that a look-up for the client has ended."""
        self._of[client] -= 1
        if not self._of[client]:
            del self._of[client]


def is_listener(ip: IPAddress, port: int, *, listeners: Iterable[tuple[str, int]],
                is_local: Callable[[IPAddress], bool]) -> bool:
    """True if a listener of the gateway accepts connections to that address.

    `listeners` are interface and port of each; `is_local` is True for this machine's addresses, which matters if a
    listener accepts connections to all of them.
    """
    return any(port == own and (literal(interface) == ip or (_is_any(interface) and is_local(ip)))
               for interface, own in listeners)


def _is_any(interface: str) -> bool:
    address = literal(interface)
    return not interface or (address is not None and address.is_unspecified)
