"""XAddrs with host names: replaces host names, which are never looked up, by the sender's own address.

WS-Discovery 2005/04, section 4.1 (XAddrs). Some scanners announce themselves by a host name that no name server knows.
Messages on a link can also be forged, so a name in one must not direct the gateway to another host.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

import attrs

from wsdgateway.discovery.messages import Message


def placed(message: Message, sender: str, known: str = "") -> Message:
    """Returns the message with usable addresses: see `at_sender`."""
    if not sender or not isinstance(message.content, tuple):
        return message
    return attrs.evolve(message, content=tuple(
        attrs.evolve(service, xaddrs=at_sender(service.xaddrs, sender, known)) for service in message.content))


def at_sender(xaddrs: tuple[str, ...], sender: str, known: str = "") -> tuple[str, ...]:
    """Returns the XAddrs without duplicates, and with the IP address of the `sender` in place of host names.

    The unspecified address (0.0.0.0) and a missing host are replaced, too. The host name `known`, given by the
    administrator, is kept. Port, path and scheme are kept; text that is not a web address is unchanged.
    """
    return tuple(dict.fromkeys(_at_sender(xaddr, sender, known.lower()) for xaddr in xaddrs))


def _at_sender(xaddr: str, sender: str, known: str) -> str:
    try:
        parts = urlsplit(xaddr)
        host, port = parts.hostname, parts.port
    except ValueError:
        return xaddr
    if parts.scheme not in ("http", "https") or _is_place(host) or (host and host == known):
        return xaddr
    place = f"[{sender}]" if ":" in sender else sender
    return urlunsplit(parts._replace(netloc=place if port is None else f"{place}:{port}"))


def _is_place(host: str | None) -> bool:
    """True if a host is an IP address other than the unspecified one."""
    try:
        return not ip_address(host or "").is_unspecified
    except ValueError:
        return False
